"""Many objects with masks and identities in every frame, and the memory that a run takes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import trovid
from trovid.cli.main import main as command_line
from trovid.detectors.contract import VideoDetector
from trovid.detectors.masktrack.instances import Instances
from trovid.inference.predictor import Predictor
from trovid.recipes import TrackingRecipe, load_recipe
from trovid.structures import Detections, DetectOptions
from trovid.video.opening import Frame

LARGEST = ((1.0, 1.0), (0.9, 0.8), (0.5, 0.4), (0.3, 0.6))
SMALLEST, USUAL = 0.05, 0.28
"""Height of most objects as a share of the frame's: 50 to 300 pixels of 1080."""
MAP = 28


class Blobs(VideoDetector):
    """In place of a detector with mask and track heads: blobs that drift and change their form.

    Args:
        count: How many there are in every frame.
        class_names: Names of the classes.
    """

    uses_support, segments, embeds = False, True, True

    def __init__(self, count: int, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.class_names = class_names
        generator = torch.Generator().manual_seed(0)
        spread = torch.rand(count, 2, generator=generator)
        self._sides = SMALLEST * (USUAL / SMALLEST) ** spread
        self._sides[:, 1] *= 9 / 16
        self._sides[: len(LARGEST)] = torch.tensor(LARGEST[:count])
        self._places = torch.rand(count, 2, generator=generator)
        self._phases = 2 * math.pi * torch.rand(count, 4, 1, 1, generator=generator)
        self._embeddings = torch.randn(count, 64, generator=generator)
        self._labels = torch.arange(count) % len(class_names)
        self._time = 0.0

    def encode(self, images: Tensor, *rest: Any, **more: Any) -> Any:
        raise NotImplementedError

    def forward(self, batch: Any) -> dict[str, Tensor]:
        raise NotImplementedError

    def detect(
        self,
        images: Tensor,
        support: Any = None,
        *,
        options: DetectOptions,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Any]:
        assert image_sizes is not None
        return [self.found(size) for size in image_sizes]

    def found(self, size: tuple[int, int]) -> Instances:
        """The blobs of the next frame, of this height and width."""
        self._time += 0.02
        room = 1 - self._sides
        swing = torch.sin(self._time * (1 + self._places) + self._phases[:, :2, 0, 0])
        start = room * (0.5 + 0.5 * swing)
        boxes = torch.cat([start, start + self._sides], 1)[:, [1, 0, 3, 2]]
        height, width = size
        found = Detections(
            boxes=boxes * torch.tensor([width, height, width, height]),
            scores=torch.linspace(0.95, 0.6, len(boxes)),
            labels=self._labels,
            class_names=self.class_names,
            image_size=size,
            embeddings=self._embeddings,
        )
        return Instances(found, self._maps())

    def _maps(self) -> Tensor:
        axis = torch.linspace(-1, 1, MAP)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        waves = torch.arange(1, 5).view(4, 1, 1) * torch.atan2(y, x) + self._time
        edge = 0.75 + 0.06 * torch.cos(waves + self._phases).sum(1)
        return (12 * (edge - torch.hypot(x, y))).sigmoid()


class Measured(Predictor):
    """Runs blobs, and notes what the process holds when it looks at a frame.

    Args:
        count: Blobs in every frame.
        hoarded_since: The frame from which on the pixels of all masks are kept, as nobody should;
            None for no such frame.

    Attributes:
        used: Bytes before each frame.
    """

    def __init__(self, count: int, *, hoarded_since: int | None = None) -> None:
        recipe = load_recipe("synthvid-masktrack")
        recipe = replace(
            recipe,
            image=replace(recipe.image, shorter=32, longer=64),
            inference=replace(recipe.inference, tracking=TrackingRecipe(same=1.0)),
        )
        super().__init__(Blobs(count, recipe.model.classes), recipe, name="blobs", device="cpu")
        self.used: list[int] = []
        self._hoarded_since = hoarded_since
        self._pixels: list[Tensor] = []

    def detect_frames(self, frames: Sequence[Frame], *rest: Any) -> list[Detections]:
        self.used.append(used_memory())
        found = super().detect_frames(frames, *rest)
        if self._hoarded_since is not None and frames[0].index >= self._hoarded_since:
            self._pixels += [
                instances.masks.dense() for instances in found if instances.masks is not None
            ]
        return found


def used_memory() -> int:
    """Bytes that this process holds (Linux)."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])


def segment(predictor: Predictor, words: Sequence[str]) -> None:
    """`trovid segment WORD...` with this model.

    Raises:
        SystemExit: If its exit status is not 0.
    """
    trovid.load = lambda *_, **__: predictor
    try:
        command_line(["segment", *words])
    except SystemExit as exited:
        if exited.code:
            raise


def main() -> None:
    """Prints what was used; its arguments are those of `Measured` as JSON, and words."""
    predictor = Measured(**json.loads(sys.argv[1]))
    segment(predictor, sys.argv[2:])
    print(json.dumps(predictor.used))
