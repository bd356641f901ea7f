"""Predictor: a detector with its recipe, run over videos."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trovid.detectors.candidates import ScoredBoxes, select_detections
from trovid.detectors.faster_rcnn.support import SupportBank
from trovid.errors import TrovidError
from trovid.inference.bank_cache import BankCache
from trovid.inference.frame_runner import FrameRunner
from trovid.inference.online import OnlineSampling, online_support
from trovid.inference.seq_nms import seq_nms as suppress_along_sequences
from trovid.inference.support_frames import SupportSampling
from trovid.inference.together import SharedBatch
from trovid.structures import Detections
from trovid.video.opening import Frame, VideoReader, as_frames, open_video
from trovid.zoo.published import model_file
from trovid.zoo.weights import load_weights

CANDIDATE_SCORE, CANDIDATES = 0.01, 300
"""Lowest score and greatest number, a frame, of the boxes that Seq-NMS chooses from."""


def load(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    precision: str = "float32",
    compile: bool = False,
    deterministic: bool = False,
) -> Predictor:
    """A trained model, ready for videos.

    Args:
        name_or_path: Name of an embedded model (`synthvid-selsa-troi`, ...), of published weights
            (`selsa-troi-r101-vid`, ...: downloaded once, verified and converted), or a weights
            file.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        precision: Of the backbone's later convolutions and of the first fully connected layer:
            "float32", "bf16", or "fp16" on a GPU; the rest is computed in float32.
        compile: Whether torch.compile makes the backbone and the RPN's head, at the first frame of
            each size: slow then, faster afterwards.
        deterministic: Whether only deterministic algorithms are used, so that another run on the
            same machine gives the same numbers, also on a GPU.

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
        detector,
        card.recipe,
        name=path.stem,
        card=card,
        device=device,
        precision=precision,
        compile=compile,
        deterministic=deterministic,
    )


class Predictor(FrameRunner):
    """Runs a detector over videos; holds no state of any video.

    Its arguments are those of FrameRunner.
    """

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
        shared: SharedBatch | None = None,
    ) -> Generator[tuple[Frame, Detections]]:
        """Each target frame with its detections; the arguments are those of `detect`.

        With `shared` its frames are scored together with those of the other videos there.
        """
        choice = self._choice(score, nms, class_agnostic_nms, max_detections)
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
            shared=shared,
        )
        if mask is not None:
            found = ((f, ScoredBoxes(s.boxes, s.class_scores * mask)) for f, s in found)
        if seq_nms:
            yield from self._along_sequences(source, found, choice)
            return
        for frame, scored in found:
            yield frame, self._select(frame, scored, choice)

    def detect_together(
        self,
        sources: Sequence[Any],
        *,
        support: str | None = None,
        score: float | None = None,
        classes: Collection[str] | None = None,
        frames: Sequence[Sequence[int] | None] | None = None,
        target_among_support: bool | None = None,
        nms: float | None = None,
        class_agnostic_nms: bool = False,
        max_detections: int | None = None,
    ) -> Generator[tuple[int, Detections]]:
        """The detections of several videos at once, whose frames share the batch.

        Each video has its own support frames, and its detections are those of `detect`. Frames
        share a batch where they have one size after resizing. Memory grows with the number of
        videos.

        Args:
            sources: Videos, each as `detect` takes it.
            support: See `detect`, as for what follows.
            score: Lowest score of a detection.
            classes: Names of the classes to look for.
            frames: For each video the indices of its target frames, or None for all.
            target_among_support: Whether each target frame is its own last support frame.
            nms: IoU above which the lower of two boxes of a class goes.
            class_agnostic_nms: Whether boxes of different classes suppress each other too.
            max_detections: Detections a frame at most.

        Yields:
            The position of a video in `sources` and the detections of its next frame.

        Raises:
            TrovidError: If a class is unknown, a source cannot be read, or memory is short.
        """
        wanted = frames if frames is not None else [None] * len(sources)
        if len(wanted) != len(sources):
            raise ValueError(
                f"`frames` must have an entry a video ({len(sources)}), but has {len(wanted)}"
            )
        shared = SharedBatch(self)
        running = {
            number: self.run(
                source,
                support=support,
                score=score,
                classes=classes,
                frames=own,
                target_among_support=target_among_support,
                nms=nms,
                class_agnostic_nms=class_agnostic_nms,
                max_detections=max_detections,
                shared=shared,
            )
            for number, (source, own) in enumerate(zip(sources, wanted, strict=True))
        }
        while running:
            for number, video in list(running.items()):
                found = next(video, None)
                if found is None:
                    del running[number]
                else:
                    yield number, found[1]

    def _choice(
        self,
        score: float | None,
        nms: float | None,
        class_agnostic_nms: bool,
        max_detections: int | None,
    ) -> dict[str, Any]:
        """The arguments of `select_detections`, the recipe's where none is given."""
        for name, value in (("score", score), ("nms", nms)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"`{name}` must lie in 0..1, but is {value}")
        if max_detections is not None and max_detections < 1:
            raise ValueError(f"`max_detections` must be at least 1, but is {max_detections}")
        own = self.recipe.inference
        return {
            "score": own.score if score is None else score,
            "nms": own.nms if nms is None else nms,
            "class_agnostic_nms": class_agnostic_nms,
            "max_detections": own.max_detections if max_detections is None else max_detections,
        }

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
        wanted: dict[str, Any],
    ) -> Iterator[tuple[Frame, Detections]]:
        """Seq-NMS over the candidates of all frames, then the frames once more."""
        score, max_detections = wanted["score"], wanted["max_detections"]
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
        shared: SharedBatch | None = None,
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
            shared: See `run`.
        """
        own = self.recipe.inference.target_among_support
        among = own if target_among_support is None else target_among_support
        pairs = self._supported(
            source,
            support=support,
            frames=frames,
            among=among,
            bank=bank,
            online=online,
            lookahead=lookahead,
        )
        if shared is not None:
            yield from shared.scored(pairs, target_among_support=among)
            return
        for frame, support_bank in pairs:
            yield frame, self.score_frame(frame, support_bank, target_among_support=among)

    def _supported(
        self,
        source: Any,
        *,
        support: str | None,
        frames: Sequence[int] | None,
        among: bool,
        bank: SupportBank | None = None,
        online: bool = False,
        lookahead: int = 0,
    ) -> Iterator[tuple[Frame, SupportBank | None]]:
        """Each target frame with the bank that supports it."""
        sampling = SupportSampling.parse(support or self.recipe.inference.support)
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
            yield frame, own


def _targets(source: Any, frames: Sequence[int] | None) -> Iterable[Frame]:
    if isinstance(source, VideoReader):
        return source if frames is None else source.walk(frames)
    stream = as_frames(source)
    return stream if frames is None else (frame for frame in stream if frame.index in frames)
