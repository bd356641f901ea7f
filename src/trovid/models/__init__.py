"""Detectors, their parts, recipes and weights."""

from .detector import Detector
from .postprocess import ScoredBoxes, select_detections
from .recipes import Recipe, build_detector, load_recipe, recipe_names
from .support import SupportBank
from .weights import ModelCard, embedded_models, load_weights, save_weights

__all__ = [
    "Detector",
    "ModelCard",
    "Recipe",
    "ScoredBoxes",
    "SupportBank",
    "build_detector",
    "embedded_models",
    "load_recipe",
    "load_weights",
    "recipe_names",
    "save_weights",
    "select_detections",
]
