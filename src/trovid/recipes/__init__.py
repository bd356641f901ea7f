"""Recipes: everything that makes a model, as typed values. Nothing here imports torch."""

from trovid.recipes.backbone_schema import (
    BackboneRecipe,
    EfficientNetLiteBackboneRecipe,
    ResNetBackboneRecipe,
    SmallBackboneRecipe,
    TimmBackboneRecipe,
)
from trovid.recipes.camera_schema import CameraRecipe
from trovid.recipes.changing import changed_recipe, differences, parse_changes
from trovid.recipes.heads import with_temporal
from trovid.recipes.instance_schema import MaskHeadRecipe, TrackHeadRecipe, TrackingRecipe
from trovid.recipes.loading import load_recipe, parse_recipe, recipe_names
from trovid.recipes.printing import recipe_text
from trovid.recipes.schema import (
    AggregationRecipe,
    AugmentationRecipe,
    BoxHeadRecipe,
    ImageRecipe,
    InferenceRecipe,
    ModelRecipe,
    Recipe,
    RoIRecipe,
    RPNRecipe,
    TorchvisionImageRecipe,
    TorchvisionModelRecipe,
    TrainingRecipe,
)
from trovid.recipes.support_schema import (
    DeformableRecipe,
    NonLocalRecipe,
    SupportRecipe,
    TemporalRecipe,
    TrainingFreeRecipe,
)
from trovid.recipes.values import flat_values, recipe_values

__all__ = [
    "AggregationRecipe",
    "AugmentationRecipe",
    "BackboneRecipe",
    "BoxHeadRecipe",
    "CameraRecipe",
    "DeformableRecipe",
    "EfficientNetLiteBackboneRecipe",
    "ImageRecipe",
    "InferenceRecipe",
    "MaskHeadRecipe",
    "ModelRecipe",
    "NonLocalRecipe",
    "RPNRecipe",
    "Recipe",
    "ResNetBackboneRecipe",
    "RoIRecipe",
    "SmallBackboneRecipe",
    "SupportRecipe",
    "TemporalRecipe",
    "TimmBackboneRecipe",
    "TorchvisionImageRecipe",
    "TorchvisionModelRecipe",
    "TrackHeadRecipe",
    "TrackingRecipe",
    "TrainingFreeRecipe",
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
    "with_temporal",
]
