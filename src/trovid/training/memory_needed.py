"""The memory that a training takes, told before its first step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trovid.detectors.contract import VideoDetector
from trovid.recipes import TrainingRecipe
from trovid.structures import TrainingBatch
from trovid.training.checkpointing import checkpoint_backbone

GIB = 2**30
OVERHEAD = 1.25
"""Workspaces, gradients of activations and fragments on top of what can be counted."""
CGROUP = Path("/sys/fs/cgroup")
HINT = (
    "lower training.batch (or raise training.accumulate), image.shorter or "
    "training.support_frames, or set training.checkpointing to true"
)


@dataclass(frozen=True)
class MemoryNeeded:
    """Bytes that one process takes, about.

    Attributes:
        weights: Parameters, their gradients and the optimiser's state.
        activations: What is kept of a step for its gradients.
        free: That are free; None where nobody knows.
    """

    weights: int
    activations: int
    free: int | None

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.activations

    @property
    def short(self) -> bool:
        """Whether more is needed than is free."""
        return self.free is not None and self.total > self.free

    def __str__(self) -> str:
        free = "" if self.free is None else f"; {self.free / GIB:.1f} GiB are free"
        hint = f": that is too little, {HINT}" if self.short else ""
        return (
            f"a step needs about {self.total / GIB:.1f} GiB of memory (activations "
            f"{self.activations / GIB:.1f}){free}{hint}"
        )


def memory_needed(
    detector: VideoDetector,
    clip: TrainingBatch,
    settings: TrainingRecipe,
    *,
    clips_at_once: int,
    device: torch.device,
) -> MemoryNeeded:
    """Counts what one clip keeps for its gradients, and multiplies.

    The losses of one clip are computed on a copy of the detector; no random number is taken from
    the training's sources and no statistic of it changes.

    Args:
        detector: In training mode.
        clip: A batch of one clip, on the device.
        settings: Says which optimiser is used.
        clips_at_once: Clips whose activations are kept together.
        device: Where the training runs.
    """
    model = copy.deepcopy(detector)
    again = 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if settings.checkpointing:  # one frame at a time is computed again
            again = _kept(model, lambda: model.backbone(clip.images[:1]))
            checkpoint_backbone(model.backbone)
        kept = _kept(model, lambda: model(clip))
    numbers = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    frozen = sum(p.nbytes for p in model.parameters() if not p.requires_grad)
    states = {"adamw": 2, "sgd": 1}[settings.optimizer]
    activations = OVERHEAD * (clips_at_once * kept + again)
    return MemoryNeeded(frozen + (2 + states) * numbers, round(activations), free_memory(device))


def _kept(model: nn.Module, run: Callable[[], object]) -> int:
    """Bytes that a computation keeps for its gradients, parameters apart."""
    parameter_pointers = {
        parameter.untyped_storage().data_ptr() for parameter in model.parameters()
    }
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameter_pointers:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()
    del result
    return sum(kept.values())


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where nobody knows.

    On the CPU the system's, or what is left of the group that this process belongs to.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    found = [_available(), _left_of_group()]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None


def _left_of_group() -> int | None:
    try:
        most, used = (
            (CGROUP / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
        return None if most == "max" else max(0, int(most) - int(used))
    except (OSError, ValueError):
        return None
