"""Predictor: a detector with its recipe, run over videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from trovid.data.sampling import SupportSampling
from trovid.data.transforms import FrameTransform
from trovid.data.video_io import Frame, VideoReader, open_video
from trovid.errors import TrovidError
from trovid.inference.bank_cache import BankCache
from trovid.models.detector import Detector
from trovid.models.postprocess import ScoredBoxes, select_detections
from trovid.models.published import model_file
from trovid.models.recipes import Recipe
from trovid.models.support import SupportBank
from trovid.models.weights import ModelCard, load_weights
from trovid.structures import Detections


def load(name_or_path: str | Path, *, device: str = "auto") -> Predictor:
    """A trained model, ready for videos.

    Args:
        name_or_path: Name of an embedded model (`synthvid-selsa-troi`, ...), of published weights
            (`selsa-troi-r101-vid`, ...: downloaded once, verified and converted), or a weights
            file.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        TrovidError: If there is no such model, or the file or the device cannot be used.

    Example:
        >>> model = load("synthvid-selsa-troi")
        >>> model.class_names[:3]
        ('aeroplane', 'anchor', 'club')
    """
    path = model_file(name_or_path)
    detector, card = load_weights(path)
    return Predictor(detector, card.recipe, name=path.stem, card=card, device=device)


class Predictor:
    """Runs a detector over videos; holds no state of any video.

    Args:
        detector: The detector.
        recipe: Its recipe: input size, support frames, choice of detections.
        name: How results name the model.
        card: Where the weights come from, if known.
        device: See `load`.
    """

    def __init__(
        self,
        detector: Detector,
        recipe: Recipe,
        *,
        name: str | None = None,
        card: ModelCard | None = None,
        device: str = "auto",
    ) -> None:
        self.device = _device(device)
        self.detector = detector.eval().to(self.device)
        self.recipe = recipe
        self.name = name or recipe.name
        self.card = card
        self.transform = FrameTransform(
            recipe.image.shorter, recipe.image.longer, divisor=recipe.image.divisor
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Detections.labels`."""
        return self.recipe.model.classes

    def detect(
        self,
        source: Any,
        *,
        support: str | None = None,
        score: float = 0.05,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
    ) -> Iterator[Detections]:
        """The detections of a video, frame after frame, as a generator.

        The support frames are encoded once and serve every target frame. A target frame that is
        itself among them is left out of its own support (the paper), unless
        `target_among_support` says otherwise (published code).

        Args:
            source: A video file, a folder of images, a list of image files, an array
                uint8 [T, H, W, 3], or an open VideoReader.
            support: "uniform:14", "consecutive:6", "stride:8x26"; None for the recipe's.
            score: Lowest score of a detection.
            frames: Indices of the target frames in rising order; None for all.
            target_among_support: None for the recipe's.

        Yields:
            Detections with boxes in pixels of the source frame, best first.
        """
        for _, detections in self.run(
            source,
            support=support,
            score=score,
            frames=frames,
            target_among_support=target_among_support,
        ):
            yield detections

    def run(
        self,
        source: Any,
        *,
        support: str | None = None,
        score: float = 0.05,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
    ) -> Iterator[tuple[Frame, Detections]]:
        """Each target frame with its detections; the arguments are those of `detect`."""
        for frame, scored in self.scored_boxes(
            source, support=support, frames=frames, target_among_support=target_among_support
        ):
            size = (frame.image.shape[0], frame.image.shape[1])
            boxes, scores, labels = select_detections(
                scored,
                size,
                score=score,
                nms=self.recipe.inference.nms,
                max_detections=self.recipe.inference.max_detections,
            )
            detections = Detections(
                boxes=boxes,
                scores=scores,
                labels=labels,
                class_names=self.class_names,
                frame_index=frame.index,
                time=frame.time,
                image_size=size,
            )
            yield frame, detections

    def scored_boxes(
        self,
        source: Any,
        *,
        support: str | None = None,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
        bank: SupportBank | None = None,
    ) -> Iterator[tuple[Frame, ScoredBoxes]]:
        """Each target frame with all its boxes and class scores, before any is chosen.

        Args:
            source: See `detect`.
            support: See `detect`.
            frames: See `detect`.
            target_among_support: See `detect`.
            bank: A support bank to use for every frame in place of the video's own.
        """
        if isinstance(source, VideoReader):
            yield from self._scored(source, support, frames, target_among_support, bank)
            return
        with open_video(source) as reader:
            yield from self._scored(reader, support, frames, target_among_support, bank)

    def _scored(
        self,
        reader: VideoReader,
        support: str | None,
        frames: Sequence[int] | None,
        target_among_support: bool | None,
        bank: SupportBank | None,
    ) -> Iterator[tuple[Frame, ScoredBoxes]]:
        sampling = SupportSampling.parse(support or self.recipe.inference.support)
        among = self.recipe.inference.target_among_support
        among = among if target_among_support is None else target_among_support
        wanted = None if frames is None else set(frames)
        needs_support = self.detector.uses_support and bank is None and sampling.count > 0
        cache = BankCache(self, reader, sampling) if needs_support else None
        last = None if wanted is None else max(wanted, default=-1)
        for frame in reader:
            if last is not None and frame.index > last:
                return
            if wanted is not None and frame.index not in wanted:
                continue
            own = bank if cache is None else cache.bank(frame.index)
            if own is not None and not among and bank is None:
                own = own.without(frame.index)
            yield frame, self.score_frame(frame, own)

    @torch.inference_mode()
    def score_frame(self, frame: Frame, bank: SupportBank | None) -> ScoredBoxes:
        """Boxes in source pixels and class scores of one frame, with the support of a bank."""
        images, size = self.input([frame])
        support = None if bank is None or not len(bank) else [bank]
        scored = self.detector(images, support, image_sizes=[size])[0]
        factor = scored.boxes.new_tensor(
            [frame.image.shape[1] / size[1], frame.image.shape[0] / size[0]] * 2
        )
        return ScoredBoxes((scored.boxes * factor).cpu(), scored.class_scores.cpu())

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> SupportBank:
        """The support bank of some frames of one video."""
        images, size = self.input(frames)
        return self.detector.encode_support(
            images, [f.index for f in frames], image_sizes=[size] * len(frames)
        )

    def input(self, frames: Sequence[Frame]) -> tuple[torch.Tensor, tuple[int, int]]:
        """The detector's input Tensor[T, 3, H, W] for frames, and their size before padding."""
        resized = [self.transform.resize(frame.image) for frame in frames]
        images = self.transform.normalise(resized, self.device)
        return images.contiguous(memory_format=torch.channels_last), resized[0].shape[:2]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrovidError(f"device {name!r} cannot be used here ({reason}): try cpu") from error
    return device
