"""A detector with its recipe, run on frames: no video, no support frames of its own choice."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import Any

import torch

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.errors import TrovidError
from trovid.inference.runtime.execution import (
    compile_parts,
    deterministic_algorithms,
    prepare_deterministic,
)
from trovid.inference.runtime.inference_form import for_inference
from trovid.inference.runtime.memory import memory_errors
from trovid.inference.runtime.precision import usable_precision
from trovid.recipes import Recipe, TorchvisionModelRecipe
from trovid.structures import DetectOptions
from trovid.video.opening import Frame
from trovid.video.transforms import make_transform
from trovid.zoo.weights import ModelCard

DEVICES = ("auto", "cpu", "cuda", "mps")
log = logging.getLogger("trovid")
PIXELS_AT_A_TIME = {"cpu": 2**20, "gpu": 2**23}
"""Of support frames that go through the backbone together; a bound on memory."""

LESS_MEMORY = (
    "fewer support frames need less (--support uniform:4), so do fewer videos at once (--batch) "
    "and a recipe of smaller image size; --device cpu uses the computer's own memory"
)


class FrameRunner:
    """Frames to boxes and support banks; holds no state of any video.

    Args:
        detector: The detector.
        recipe: Its recipe: input size, support frames, choice of detections.
        name: How results name the model.
        card: Where the weights come from, if known.
        device: See `load`.
        precision: See `load`.
        compile: See `load`.
        deterministic: See `load`.
    """

    def __init__(
        self,
        detector: Detector,
        recipe: Recipe,
        *,
        name: str | None = None,
        card: ModelCard | None = None,
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        deterministic: bool = False,
    ) -> None:
        self.device = usable_device(device)
        self.precision = precision = usable_precision(precision, self.device)
        self.deterministic = deterministic
        if deterministic:
            prepare_deterministic(self.device)
        self.detector = detector.eval()
        parts = recipe.model
        self.channels_last = not isinstance(parts, TorchvisionModelRecipe) or parts.channels_last
        self.running = for_inference(
            detector, device=self.device, precision=precision, channels_last=self.channels_last
        )
        self.running.class_names = recipe.model.classes
        if compile:
            compile_parts(self.running, self.device)
        self.name = name or recipe.name
        if detector.uses_support and not detector.temporal_trained:
            log.warning(
                "%s was not trained with support frames: it runs on single frames", self.name
            )
            alone = dataclasses.replace(recipe.inference, support="uniform:0")
            recipe = dataclasses.replace(recipe, inference=alone)
        self.recipe = recipe
        self.card = card
        self.transform = make_transform(**dataclasses.asdict(recipe.image))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Detections.labels`."""
        return self.recipe.model.classes

    @memory_errors(LESS_MEMORY)
    @torch.inference_mode()
    def detect_frames(
        self,
        frames: Sequence[Frame],
        supports: Sequence[Support | None],
        options: DetectOptions,
    ) -> list[Any]:
        """The objects in a batch of frames, in pixels of the source, each with its own support.

        Args:
            frames: Of one size after resizing.
            supports: For each frame one; all with equally many support frames.
            options: Resolved.

        Returns:
            For each frame Detections, or with `selection="candidates"` Candidates.
        """
        images, size = self.input(frames)
        given = [support for support in supports if support is not None and len(support)]
        with deterministic_algorithms(self.deterministic):
            found = self.running.detect(
                images, given or None, options=options, image_sizes=[size] * len(frames)
            )
        return [
            dataclasses.replace(
                own.scaled(frame.image.shape[:2]).cpu(), frame_index=frame.index, time=frame.time
            )
            for frame, own in zip(frames, found, strict=True)
        ]

    @memory_errors(LESS_MEMORY)
    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> Support:
        """The support bank of some frames of one video, encoded a few at a time."""
        pixels = math.prod(self.transform.size(*frames[0].image.shape[:2])) if frames else 1
        step = max(1, PIXELS_AT_A_TIME["cpu" if self.device.type == "cpu" else "gpu"] // pixels)
        parts = [self._encode(frames[i : i + step]) for i in range(0, max(len(frames), 1), step)]
        return parts[0] if len(parts) == 1 else Support.cat(parts)

    def _encode(self, frames: Sequence[Frame]) -> Support:
        images, size = self.input(frames)
        with deterministic_algorithms(self.deterministic):
            return self.running.encode(
                images, [f.index for f in frames], image_sizes=[size] * len(frames)
            )

    def input(self, frames: Sequence[Frame]) -> tuple[torch.Tensor, tuple[int, int]]:
        """The detector's input Tensor[T, 3, H, W] for frames, and their size before padding."""
        resized = [self.transform.resize(frame.image) for frame in frames]
        images = self.transform.normalise(resized, self.device)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout), resized[0].shape[:2]


def usable_device(name: str) -> torch.device:
    """The device of that name; "auto" is the GPU where there is one.

    Raises:
        TrovidError: If there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = name.partition(":")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if kind == "meta":
            raise ValueError("holds no numbers")
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        if kind not in DEVICES or (colon and not number.isdecimal()):
            reason = f"the devices are {', '.join(DEVICES)}, and cuda:1 and so on"
        elif kind == "cuda" and torch.cuda.is_available():
            reason = f"there are {torch.cuda.device_count()} GPUs, counted from cuda:0"
        else:
            reason = f"torch {torch.__version__} finds no such device here; leave it out"
        raise TrovidError(f"device {name!r} cannot be used: {reason}") from error
    return device
