"""A backbone that begins with the weights of torchvision's or timm's network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.storage.tensor_files import read_tensors
from trovid.storage.torch_checkpoints import plain_state, read_checkpoint

COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class BackboneAccount:
    """What became of every tensor of a backbone's file.

    Attributes:
        source: The file.
        taken: Names in the file of the tensors that were taken over.
        left_out: Names of those of parts that a feature network does not have (the classifier).
    """

    source: Path
    taken: tuple[str, ...]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.source.name}: {len(self.taken)} tensors start the backbone{left}"


def start_backbone(detector: VideoDetector, path: Path) -> BackboneAccount:
    """Fills the backbone of a detector from the state dict of a classification network.

    What the network does not have (the reduction, a feature pyramid) stays as it is. Nothing in the
    file is executed.

    Args:
        detector: With a backbone of torchvision's or timm's parts.
        path: A safetensors file, or a file of `torch.save` with tensors alone, as they are or under
            `state_dict` or `model`.

    Raises:
        TrovidError: If the file is unreadable, or is not of this network: every tensor of the
            network must be there in its shape, and nothing else of the parts that it has.
    """
    backbone = detector.backbone
    network_state = {k: v for k, v in backbone.network_state().items() if not k.endswith(COUNTER)}
    if not network_state:
        raise TrovidError(
            f"a {type(backbone).__name__} has no published weights: leave out the backbone's start"
        )
    state, key_of = _read(path), backbone.network_key
    names = {key_of(name): name for name in network_state}
    assert len(names) == len(network_state)
    pairs = {key: names[key_of(key)] for key in state if key_of(key) in names}
    parts = {key.split(".")[0] for key in pairs}
    rest = [key for key in state if key not in pairs]
    unknown = [key for key in rest if key.split(".")[0] in parts]
    missing = sorted(network_state.keys() - set(pairs.values()))
    if unknown or missing:
        what = f"unexpected: {unknown[:3]}" if unknown else f"missing: {missing[:3]}"
        raise TrovidError(f"{path} holds the weights of another network ({what})"[:300])
    for key, name in pairs.items():
        value = state[key]
        if value.shape != network_state[name].shape:
            raise TrovidError(
                f"{path}: {key} must be a tensor of shape {list(network_state[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise TrovidError(f"{path}: {key} holds values that are not finite")
    with torch.no_grad():
        for key, name in pairs.items():
            network_state[name].copy_(state[key])
    return BackboneAccount(path, tuple(sorted(pairs)), tuple(sorted(rest)))


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        state = plain_state(read_tensors(path)[0], path)
    else:
        checkpoint: Any = read_checkpoint(path)
        for key in ("state_dict", "model"):
            if isinstance(checkpoint.get(key), dict):
                checkpoint = checkpoint[key]
        state = plain_state(checkpoint, path)
    return {key: value for key, value in state.items() if not key.endswith(COUNTER)}
