"""Recipes: everything that makes a model, as typed values. Nothing here imports torch."""

from trovid.recipes.changing import changed_recipe, differences, parse_changes
from trovid.recipes.loading import load_recipe, parse_recipe, recipe_names
from trovid.recipes.printing import recipe_text
from trovid.recipes.schema import (
    BackboneRecipe,
    BoxHeadRecipe,
    ImageRecipe,
    InferenceRecipe,
    ModelRecipe,
    Recipe,
    ResNetBackboneRecipe,
    RoIRecipe,
    RPNRecipe,
    SmallBackboneRecipe,
    TemporalRecipe,
    TimmBackboneRecipe,
    TorchvisionImageRecipe,
    TorchvisionModelRecipe,
    TrainingRecipe,
)
from trovid.recipes.values import flat_values, recipe_values

__all__ = [
    "BackboneRecipe",
    "BoxHeadRecipe",
    "ImageRecipe",
    "InferenceRecipe",
    "ModelRecipe",
    "RPNRecipe",
    "Recipe",
    "ResNetBackboneRecipe",
    "RoIRecipe",
    "SmallBackboneRecipe",
    "TemporalRecipe",
    "TimmBackboneRecipe",
    "TorchvisionImageRecipe",
    "TorchvisionModelRecipe",
    "TrainingRecipe",
    "changed_recipe",
    "differences",
    "flat_values",
    "load_recipe",
    "parse_changes",
    "parse_recipe",
    "recipe_names",
    "recipe_text",
    "recipe_values",
]
