"""From published weights of any family to trovid's own."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trovid.detectors.faster_rcnn.conversion import convert_published
from trovid.detectors.masktrack.conversion import RULES
from trovid.detectors.torchvision.conversion import convert_torchvision
from trovid.recipes import Recipe, TorchvisionModelRecipe


def convert_checkpoint(path: Path, recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a published checkpoint as the weights of a recipe, without executing anything in it.

    Args:
        path: A pickle of tensors, as `torch.save` wrote it.
        recipe: The recipe whose detector it fills.

    Returns:
        The tensors and the metadata that carries the recipe and what is known of the file.

    Raises:
        TrovidError: If the file holds anything but tensors or does not fit the recipe.
    """
    if isinstance(recipe.model, TorchvisionModelRecipe):
        return convert_torchvision(path, recipe)
    return convert_published(path, recipe, RULES)
