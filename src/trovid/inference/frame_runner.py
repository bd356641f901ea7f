"""A detector with its recipe, run on frames: no video, no support frames of its own choice."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Collection, Sequence

import torch

from trovid.detectors.candidates import ScoredBoxes
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import SupportBank
from trovid.errors import TrovidError, nearest
from trovid.inference.runtime.execution import (
    compile_parts,
    deterministic_algorithms,
    prepare_deterministic,
)
from trovid.inference.runtime.inference_form import for_inference
from trovid.inference.runtime.memory import memory_errors
from trovid.inference.runtime.precision import usable_precision
from trovid.recipes.schema import Recipe, TorchvisionModelRecipe
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

    def class_mask(self, classes: Collection[str]) -> torch.Tensor:
        """Tensor[num_classes] of 1 for the classes named and 0 for the others.

        Raises:
            TrovidError: If the model does not know one of them.
            TypeError: If they are a text.
        """
        if isinstance(classes, str):
            raise TypeError(f"`classes` must be names, such as [{classes!r}], but is a text")
        for name in classes:
            if name not in self.class_names:
                hint = nearest(name, self.class_names)
                raise TrovidError(f"{self.name} knows no class {name!r}{hint}")
        return torch.tensor([float(name in classes) for name in self.class_names])

    def score_frame(
        self, frame: Frame, bank: SupportBank | None, *, target_among_support: bool = False
    ) -> ScoredBoxes:
        """Boxes in source pixels and class scores of one frame, with the support of a bank."""
        return self.score_frames([frame], [bank], target_among_support=target_among_support)[0]

    @memory_errors(LESS_MEMORY)
    @torch.inference_mode()
    def score_frames(
        self,
        frames: Sequence[Frame],
        banks: Sequence[SupportBank | None],
        *,
        target_among_support: bool = False,
    ) -> list[ScoredBoxes]:
        """`score_frame` for a batch of frames, each with its own bank.

        Args:
            frames: Of one size after resizing.
            banks: For each frame one; all with equally many support frames.
            target_among_support: See `detect`.
        """
        images, size = self.input(frames)
        support = [bank for bank in banks if bank is not None and len(bank)]
        among = target_among_support and self.detector.uses_support
        with deterministic_algorithms(self.deterministic):
            found = self.running(
                images,
                support or None,
                image_sizes=[size] * len(frames),
                target_among_support=among,
            )
        scored = []
        for frame, own in zip(frames, found, strict=True):
            ratio = [frame.image.shape[1] / size[1], frame.image.shape[0] / size[0]] * 2
            boxes = own.boxes * own.boxes.new_tensor(ratio)
            scored.append(ScoredBoxes(boxes.cpu(), own.class_scores.cpu()))
        return scored

    @memory_errors(LESS_MEMORY)
    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> SupportBank:
        """The support bank of some frames of one video, encoded a few at a time."""
        pixels = math.prod(self.transform.size(*frames[0].image.shape[:2])) if frames else 1
        step = max(1, PIXELS_AT_A_TIME["cpu" if self.device.type == "cpu" else "gpu"] // pixels)
        parts = [self._encode(frames[i : i + step]) for i in range(0, max(len(frames), 1), step)]
        return parts[0] if len(parts) == 1 else SupportBank.cat(parts)

    def _encode(self, frames: Sequence[Frame]) -> SupportBank:
        images, size = self.input(frames)
        with deterministic_algorithms(self.deterministic):
            return self.running.encode_support(
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
