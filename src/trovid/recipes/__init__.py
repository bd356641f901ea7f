"""Recipes: everything that makes a model, as typed values."""

from trovid.recipes.schema import Recipe, load_recipe, recipe_names

__all__ = ["Recipe", "load_recipe", "recipe_names"]
