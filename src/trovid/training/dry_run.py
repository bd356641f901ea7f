"""One step of a training on made-up frames: what it takes, before there are data or machines."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.inference.runtime.device import usable_device
from trovid.recipes import Recipe
from trovid.structures import Masks, Video
from trovid.training.clips import TrainingClips
from trovid.training.data import trains_masks
from trovid.training.loop import train
from trovid.training.processes import ALONE, Processes
from trovid.training.provenance import count_memory_anew, peak_memory
from trovid.video.transforms import make_transform

log = logging.getLogger("trovid")
VIDEOS = 2
SHAPE = 16 / 9
"""Width over height of the made-up frames."""
BOXES = ((0.1, 0.1, 0.4, 0.6), (0.5, 0.2, 0.9, 0.9), (0.2, 0.7, 0.3, 0.8))
"""Of each frame, as shares of its sides."""


@dataclass(frozen=True)
class DryRun:
    """What a step took.

    Attributes:
        processes: That shared it.
        seconds: From the first process's beginning to its end, model and checkpoint included.
        peak: Bytes of memory that all processes together held at most: each one's own peak, added,
            pages that they share counted for each; on a GPU what torch allocated.
        losses: By name.
    """

    processes: int
    seconds: float
    peak: int
    losses: dict[str, float]

    def __str__(self) -> str:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        who = f"{self.processes} processes" if self.processes > 1 else "one process"
        return (
            f"a step of {who} on made-up frames: {self.seconds:.1f} s, "
            f"at most {self.peak / 1e9:.2f} GB of memory ({losses})"
        )


def dry_run(
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = log.info,
    processes: Processes = ALONE,
) -> DryRun:
    """Trains one step of a recipe as `train` does and leaves nothing behind.

    Weights are random, frames are noise of the recipe's size with three objects each.

    Args:
        recipe: The recipe.
        seed: Of weights and samples.
        device: Where; "auto": on the GPU where there is one.
        say: Is told what the step is expected to need.
        processes: Those that share the step.

    Raises:
        TrovidError: What `train` raises.
    """
    place = usable_device(device)
    if place.type == "cuda":
        count_memory_anew(place)
    chance = "clip" if processes.count > 1 else recipe.training.random
    one = replace(recipe, training=replace(recipe.training, steps=1, start=None, random=chance))
    told: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trovid-dry-run-")))
        clips = TrainingClips(
            _made_up(one, folder),
            make_transform(**asdict(recipe.image)),
            cache=folder / "frames",
            masks=trains_masks(recipe),
        )
        began = time.monotonic()
        train(
            one,
            clips,
            seed=seed,
            checkpoint=folder / "checkpoint",
            device=str(place),
            report=lambda progress: told.update(progress.losses),
            say=say,
            processes=processes,
        )
        seconds = time.monotonic() - began
    peak = processes.mean(
        torch.tensor(float(peak_memory(place)), device=place, dtype=torch.float32)
    )
    return DryRun(processes.count, seconds, int(peak.item() * processes.count), told)


def _made_up(recipe: Recipe, folder: Path) -> Dataset:
    """Videos of noise."""
    settings, image = recipe.training, recipe.image
    height, width = image.shorter, min(image.longer, round(image.shorter * SHAPE))
    count = settings.support_frames + 3
    source, entries, rows = np.random.default_rng(0), [], ObjectRows()
    scale = np.array([width, height, width, height])
    boxes = [tuple((np.array(box) * scale).round().tolist()) for box in BOXES]
    dense = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(dense, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = True
    codes = Masks.from_dense(dense).counts
    for number in range(VIDEOS):
        name = f"noise{number}"
        (folder / name).mkdir()
        for frame in range(count):
            pixels = source.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{frame:03}.jpg")
            for instance, (box, code) in enumerate(zip(boxes, codes, strict=True)):
                label = instance % len(recipe.model.classes)
                rows.add(number, frame, label, box, instance_id=instance, mask=code)
        video = Video(name, count, height, width)
        entries.append(VideoEntry(video, str(folder / name), range(count)))
    return Dataset(recipe.model.classes, entries, rows.objects(), box_layout="xyxy")
