"""From checkpoints of torchvision to trovid's own weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from trovid.detectors.torchvision.building import take_over, torchvision_network
from trovid.errors import TrovidError, shortened
from trovid.recipes import Recipe, TorchvisionModelRecipe, recipe_values
from trovid.storage.hashes import sha256_of
from trovid.storage.torch_checkpoints import plain_state, read_checkpoint


def convert_torchvision(path: Path, recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a checkpoint of torchvision as the weights of a recipe that names its builder.

    Args:
        path: A state dict as torchvision publishes it; read with `weights_only`.
        recipe: The recipe.

    Returns:
        The tensors by trovid's names, and metadata as `save_tensors` takes it.

    Raises:
        TrovidError: If the file holds anything but tensors, or they do not fit the builder.
    """
    assert isinstance(recipe.model, TorchvisionModelRecipe)
    state = plain_state(read_checkpoint(path), path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision_network(recipe.model)
        _fill(network, state, path)
        detector = take_over(network, recipe.model)
    provenance = {
        "source": path.name,
        "source_sha256": sha256_of(path),
        "layout": f"torchvision {recipe.model.name}",
        "temporal_trained": False,
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(provenance)}
    kept = {k: v for k, v in detector.state_dict().items() if not k.endswith("num_batches_tracked")}
    return kept, metadata


def _fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    expected = {
        k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")
    }
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    unknown, missing = (
        sorted(given.keys() - expected.keys()),
        sorted(expected.keys() - given.keys()),
    )
    if unknown or missing:
        what = f"unexpected: {shortened(unknown[:3])}" if unknown else f"missing: {missing[:3]}"
        raise TrovidError(f"{path} is not of the published layout ({what})")
    for key, value in given.items():
        if value.shape != expected[key].shape:
            raise TrovidError(
                f"{path}: {key} must be a tensor of shape {list(expected[key].shape)}"
            )
        if not torch.isfinite(value).all():
            raise TrovidError(f"{path}: {key} holds values that are not finite")
    network.load_state_dict(given, strict=False)
