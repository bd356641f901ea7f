"""Detectors, their parts, recipes and weights."""

from trovid.models.building import build_detector
from trovid.models.detector import Detector
from trovid.models.postprocess import ScoredBoxes, select_detections
from trovid.models.recipes import Recipe, load_recipe, recipe_names
from trovid.models.support import SupportBank
from trovid.models.torchvision_detectors import from_torchvision
from trovid.models.weights import ModelCard, embedded_models, load_weights, save_weights

__all__ = [
    "Detector",
    "ModelCard",
    "Recipe",
    "ScoredBoxes",
    "SupportBank",
    "build_detector",
    "embedded_models",
    "from_torchvision",
    "load_recipe",
    "load_weights",
    "recipe_names",
    "save_weights",
    "select_detections",
]
