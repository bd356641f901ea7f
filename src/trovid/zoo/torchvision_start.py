"""Weights of torchvision's detectors as the start of one with trovid's own residual network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from trovid.recipes import ModelRecipe, Recipe, ResNetBackboneRecipe, TorchvisionModelRecipe
from trovid.zoo.weights import ModelCard

RENAMED = {
    "backbone.network.body.": "backbone.",
    "backbone.network.fpn.": "backbone.pyramid.network.",
}
NORM_EPS = nn.BatchNorm2d(1).eps


def in_own_names(
    tensors: Mapping[str, Tensor], card: ModelCard, recipe: Recipe, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of a torchvision detector as a detector with trovid's own ResNet names them.

    Where the networks are the same, so is what the layers of body, pyramid, RPN and heads mean:
    strides, colours, anchors to half a pixel, and the coding of boxes. torchvision pools RoIs half
    a cell further to the right and down (`roi.aligned`), which the training has to take up.
    BatchNorm's scales are changed so that it gives the same with the other eps. An embedding of the
    temporal attention is left out where it was never trained, or has no place. All other weights
    stay as they are.

    Args:
        tensors: Weights to start from.
        card: Their card.
        recipe: That of the detector which is to start from them.
        state: Its state.
    """
    theirs, own = card.recipe.model, recipe.model
    if not (
        isinstance(theirs, TorchvisionModelRecipe)
        and isinstance(own, ModelRecipe)
        and isinstance(own.backbone, ResNetBackboneRecipe)
    ):
        return dict(tensors)
    untrained = card.provenance.get("temporal_trained") is False
    found = {
        _own_name(name): value
        for name, value in tensors.items()
        if not name.startswith("roi_features.") or (name in state and not untrained)
    }
    if _network(found) != _network(state):
        return dict(tensors)
    for name in [name for name in found if name.endswith(".running_var")]:
        scale = f"{name.removesuffix('running_var')}weight"
        variances = found[name].double()
        ratio = (variances + NORM_EPS) / (variances + theirs.norm_eps)
        found[scale] = (found[scale].double() * ratio.sqrt()).to(found[scale].dtype)
    return found


def _own_name(name: str) -> str:
    for theirs, own in RENAMED.items():
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    return name


def _network(names: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors of a backbone, pyramid included."""
    return {
        name
        for name in names
        if name.startswith("backbone.") and not name.endswith("num_batches_tracked")
    }
