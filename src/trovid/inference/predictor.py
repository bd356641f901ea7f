"""Predictor: a detector with its recipe, run over videos."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from trovid.data.sampling import SupportSampling
from trovid.data.transforms import make_transform
from trovid.data.video_io import Frame, VideoReader, as_frames, open_video
from trovid.errors import TrovidError, nearest
from trovid.inference.bank_cache import BankCache
from trovid.inference.memory import memory_errors
from trovid.inference.online import OnlineSampling, online_support
from trovid.inference.seq_nms import seq_nms as suppress_along_sequences
from trovid.models.detector import Detector
from trovid.models.inference_form import for_inference
from trovid.models.postprocess import ScoredBoxes, select_detections
from trovid.models.published import model_file
from trovid.models.recipes import Recipe
from trovid.models.support import SupportBank
from trovid.models.weights import ModelCard, load_weights
from trovid.structures import Detections

log = logging.getLogger("trovid")
CANDIDATE_SCORE, CANDIDATES = 0.01, 300
"""Lowest score and greatest number, a frame, of the boxes that Seq-NMS chooses from."""

PIXELS_AT_A_TIME = {"cpu": 2**20, "gpu": 2**23}
"""Of support frames that go through the backbone together; a bound on memory."""


def load(
    name_or_path: str | Path, *, device: str = "auto", precision: str = "float32"
) -> Predictor:
    """A trained model, ready for videos.

    Args:
        name_or_path: Name of an embedded model (`synthvid-selsa-troi`, ...), of published weights
            (`selsa-troi-r101-vid`, ...: downloaded once, verified and converted), or a weights
            file.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        precision: Of the backbone's later convolutions and of the first fully connected layer:
            "float32", "bf16", or "fp16" on a GPU; the rest is computed in float32.

    Raises:
        TrovidError: If there is no such model, or the file or the device cannot be used.

    Example:
        >>> model = load("synthvid-selsa-troi")
        >>> model.class_names[:3]
        ('aeroplane', 'anchor', 'club')
    """
    path = model_file(name_or_path)
    detector, card = load_weights(path)
    return Predictor(
        detector, card.recipe, name=path.stem, card=card, device=device, precision=precision
    )


class Predictor:
    """Runs a detector over videos; holds no state of any video.

    Args:
        detector: The detector.
        recipe: Its recipe: input size, support frames, choice of detections.
        name: How results name the model.
        card: Where the weights come from, if known.
        device: See `load`.
        precision: See `load`.
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
    ) -> None:
        self.device = _device(device)
        self.precision = precision
        self.detector = detector.eval()
        self.running = for_inference(detector, device=self.device, precision=precision)
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

    def detect(
        self,
        source: Any,
        *,
        support: str | None = None,
        score: float | None = None,
        classes: Collection[str] | None = None,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
        nms: float | None = None,
        class_agnostic_nms: bool = False,
        max_detections: int | None = None,
        seq_nms: bool = False,
        online: bool = False,
        lookahead: int = 0,
    ) -> Generator[Detections]:
        """The detections of a video, frame after frame, as a generator.

        The support frames are encoded once and serve every target frame. A target frame that is
        itself among them is left out of its own support (the paper). With `target_among_support`
        it stays, and every target frame is also its own last support frame (published code).

        Args:
            source: A video file, a folder of images, a list of image files, an array
                uint8 [T, H, W, 3], a tensor uint8 [T, 3, H, W], single pictures from a list or a
                generator, or an open VideoReader. See `open_video`.
            support: "uniform:14", "consecutive:6", "stride:8x26"; None for the recipe's.
            score: Lowest score of a detection; None for the recipe's.
            classes: Names of the classes to look for; None for all.
            frames: Indices of the target frames in rising order; None for all.
            target_among_support: None for the recipe's.
            nms: IoU above which the lower of two boxes of a class goes; None for the recipe's.
            class_agnostic_nms: Whether boxes of different classes suppress each other too.
            max_detections: Detections a frame at most; None for the recipe's.
            seq_nms: Whether suppression follows sequences of boxes through the whole video
                (`trovid.inference.seq_nms`), which is then run before the first frame is yielded
                and read once more; `nms` and `class_agnostic_nms` are not used.
            online: Whether frames are taken as they come, with only past ones and `lookahead`
                future ones as support; a generator is then taken frame by frame, and may be
                endless.
            lookahead: Future frames that may serve as support when online.

        Yields:
            Detections with boxes in pixels of the source frame, best first.

        Raises:
            TrovidError: If a class is unknown, the source cannot be read, or memory is short.
        """
        for _, detections in self.run(
            source,
            support=support,
            score=score,
            classes=classes,
            frames=frames,
            target_among_support=target_among_support,
            nms=nms,
            class_agnostic_nms=class_agnostic_nms,
            max_detections=max_detections,
            seq_nms=seq_nms,
            online=online,
            lookahead=lookahead,
        ):
            yield detections

    def run(
        self,
        source: Any,
        *,
        support: str | None = None,
        score: float | None = None,
        classes: Collection[str] | None = None,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
        nms: float | None = None,
        class_agnostic_nms: bool = False,
        max_detections: int | None = None,
        seq_nms: bool = False,
        online: bool = False,
        lookahead: int = 0,
    ) -> Generator[tuple[Frame, Detections]]:
        """Each target frame with its detections; the arguments are those of `detect`."""
        inference = self.recipe.inference
        score = inference.score if score is None else score
        choice: dict[str, Any] = {
            "score": score,
            "nms": inference.nms if nms is None else nms,
            "class_agnostic_nms": class_agnostic_nms,
            "max_detections": inference.max_detections
            if max_detections is None
            else max_detections,
        }
        if seq_nms and online:
            raise TrovidError("Seq-NMS needs the whole video: leave out one of seq_nms and online")
        mask = None if classes is None else self.class_mask(classes)
        if not online and not isinstance(source, VideoReader):
            source = open_video(source)
        found = self.scored_boxes(
            source,
            support=support,
            frames=frames,
            target_among_support=target_among_support,
            online=online,
            lookahead=lookahead,
        )
        if mask is not None:
            found = ((f, ScoredBoxes(s.boxes, s.class_scores * mask)) for f, s in found)
        if seq_nms:
            yield from self._along_sequences(source, found, score, choice["max_detections"])
            return
        for frame, scored in found:
            yield frame, self._select(frame, scored, choice)

    def _select(self, frame: Frame, scored: ScoredBoxes, choice: dict[str, Any]) -> Detections:
        size = (frame.image.shape[0], frame.image.shape[1])
        boxes, scores, labels = select_detections(scored, size, **choice)
        return Detections(
            boxes=boxes,
            scores=scores,
            labels=labels,
            class_names=self.class_names,
            frame_index=frame.index,
            time=frame.time,
            image_size=size,
        )

    def _along_sequences(
        self,
        reader: VideoReader,
        found: Iterator[tuple[Frame, ScoredBoxes]],
        score: float,
        max_detections: int,
    ) -> Iterator[tuple[Frame, Detections]]:
        """Seq-NMS over the candidates of all frames, then the frames once more."""
        choice = {
            "score": min(score, CANDIDATE_SCORE),
            "nms": 1.0,
            "max_detections": CANDIDATES,
        }
        candidates = [self._select(frame, scored, choice) for frame, scored in found]
        chosen = {
            detections.frame_index: detections[detections.scores > score][:max_detections]
            for detections in suppress_along_sequences(candidates)
        }
        for frame in reader:
            if frame.index in chosen:
                yield frame, chosen.pop(frame.index)
            if not chosen:
                return

    def class_mask(self, classes: Collection[str]) -> torch.Tensor:
        """Tensor[num_classes] of 1 for the classes named and 0 for the others.

        Raises:
            TrovidError: If the model does not know one of them.
        """
        for name in classes:
            if name not in self.class_names:
                hint = nearest(name, self.class_names)
                raise TrovidError(f"{self.name} knows no class {name!r}{hint}")
        return torch.tensor([float(name in classes) for name in self.class_names])

    def scored_boxes(
        self,
        source: Any,
        *,
        support: str | None = None,
        frames: Sequence[int] | None = None,
        target_among_support: bool | None = None,
        bank: SupportBank | None = None,
        online: bool = False,
        lookahead: int = 0,
    ) -> Iterator[tuple[Frame, ScoredBoxes]]:
        """Each target frame with all its boxes and class scores, before any is chosen.

        Args:
            source: See `detect`.
            support: See `detect`.
            frames: See `detect`.
            target_among_support: See `detect`.
            bank: A support bank to use for every frame in place of the video's own.
            online: See `detect`.
            lookahead: See `detect`.
        """
        sampling = SupportSampling.parse(support or self.recipe.inference.support)
        among = self.recipe.inference.target_among_support
        among = among if target_among_support is None else target_among_support
        if lookahead < 0:
            raise ValueError(f"`lookahead` must not be negative, but is {lookahead}")
        used = self.detector.uses_support and sampling.count > 0
        if not online and not isinstance(source, VideoReader):
            source = open_video(source)
        if bank is not None or not used:
            pairs = ((frame, bank) for frame in _targets(source, frames))
        elif online:
            ahead = OnlineSampling(sampling, lookahead)
            pairs = online_support(as_frames(source), ahead, self.encode, targets=frames)
        else:
            cache = BankCache(self, source, sampling)
            pairs = ((frame, cache.bank(frame.index)) for frame in _targets(source, frames))
        for frame, own in pairs:
            if own is not None and not among and bank is None:
                own = own.without(frame.index)
            yield frame, self.score_frame(frame, own, target_among_support=among)

    @memory_errors
    @torch.inference_mode()
    def score_frame(
        self, frame: Frame, bank: SupportBank | None, *, target_among_support: bool = False
    ) -> ScoredBoxes:
        """Boxes in source pixels and class scores of one frame, with the support of a bank."""
        images, size = self.input([frame])
        support = None if bank is None or not len(bank) else [bank]
        among = target_among_support and self.detector.uses_support
        scored = self.running(images, support, image_sizes=[size], target_among_support=among)[0]
        factor = scored.boxes.new_tensor(
            [frame.image.shape[1] / size[1], frame.image.shape[0] / size[0]] * 2
        )
        return ScoredBoxes((scored.boxes * factor).cpu(), scored.class_scores.cpu())

    @memory_errors
    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> SupportBank:
        """The support bank of some frames of one video, encoded a few at a time."""
        pixels = math.prod(self.transform.size(*frames[0].image.shape[:2])) if frames else 1
        step = max(1, PIXELS_AT_A_TIME["cpu" if self.device.type == "cpu" else "gpu"] // pixels)
        parts = [self._encode(frames[i : i + step]) for i in range(0, max(len(frames), 1), step)]
        return parts[0] if len(parts) == 1 else SupportBank.cat(parts)

    def _encode(self, frames: Sequence[Frame]) -> SupportBank:
        images, size = self.input(frames)
        return self.running.encode_support(
            images, [f.index for f in frames], image_sizes=[size] * len(frames)
        )

    def input(self, frames: Sequence[Frame]) -> tuple[torch.Tensor, tuple[int, int]]:
        """The detector's input Tensor[T, 3, H, W] for frames, and their size before padding."""
        resized = [self.transform.resize(frame.image) for frame in frames]
        images = self.transform.normalise(resized, self.device)
        return images.contiguous(memory_format=torch.channels_last), resized[0].shape[:2]


def _targets(source: Any, frames: Sequence[int] | None) -> Iterable[Frame]:
    if isinstance(source, VideoReader):
        return source if frames is None else source.walk(frames)
    stream = as_frames(source)
    return stream if frames is None else (frame for frame in stream if frame.index in frames)


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
