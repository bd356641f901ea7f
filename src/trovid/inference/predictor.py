"""Predictor: a detector with its recipe, run over videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trovid.detectors.candidates import Candidates
from trovid.detectors.faster_rcnn.support import Support
from trovid.errors import TrovidError, nearest
from trovid.inference.bank_cache import BankCache
from trovid.inference.frame_runner import FrameRunner
from trovid.inference.online import OnlineSampling, online_support
from trovid.inference.seq_nms import seq_nms as suppress_along_sequences
from trovid.inference.together import SharedBatch
from trovid.structures import Detections, DetectOptions
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import Frame, VideoReader, as_frames, open_video
from trovid.zoo.published import model_file
from trovid.zoo.weights import load_weights

CANDIDATE_SCORE, MOST_CANDIDATES = 0.01, 300
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


Found = Detections | Candidates


class Predictor(FrameRunner):
    """Runs a detector over videos; holds no state of any video.

    Its arguments are those of FrameRunner.
    """

    def detect(
        self,
        source: Any,
        *,
        frames: Sequence[int] | None = None,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> Generator[Any]:
        """The detections of a video, frame after frame, as a generator.

        The support frames are encoded once and serve every target frame.

        Args:
            source: A video file, a folder of images, a list of image files, an array
                uint8 [T, H, W, 3], a tensor uint8 [T, 3, H, W], single pictures from a list or a
                generator, or an open VideoReader. See `open_video`. With `online` a generator is
                taken frame by frame, and may be endless.
            frames: Indices of the target frames in rising order; None for all.
            options: What is asked for.
            **changes: Fields of `DetectOptions`, in place of those of `options`: `support`,
                `score`, `classes`, `nms`, `max_detections`, `seq_nms`, `online` and so on.

        Yields:
            Detections with boxes in pixels of the source frame, best first; with
            `selection="candidates"` Candidates.

        Raises:
            TrovidError: If a class is unknown, the source cannot be read, or memory is short.
            OptionError: If an option is out of range.
        """
        for _, found in self.run(source, frames=frames, options=options, **changes):
            yield found

    def run(
        self,
        source: Any,
        *,
        frames: Sequence[int] | None = None,
        options: DetectOptions | None = None,
        support: Support | str | None = None,
        shared: SharedBatch | None = None,
        **changes: Any,
    ) -> Generator[tuple[Frame, Any]]:
        """Each target frame with its detections; the arguments are those of `detect`.

        `support` may also be a Support that serves every frame in place of the video's own. With
        `shared` the frames share batches with those of the other videos there.
        """
        bank = support if isinstance(support, Support) else None
        if isinstance(support, str):
            changes["support"] = support
        wanted = self.options(options, **changes)
        if not wanted.online and not isinstance(source, VideoReader):
            source = open_video(source)
        if wanted.seq_nms:
            yield from self._along_sequences(source, frames, wanted, bank)
        else:
            yield from self._found(source, frames, wanted, bank, shared)

    def options(self, options: DetectOptions | None = None, **changes: Any) -> DetectOptions:
        """The options in force: those given, the recipe's where they are None.

        Raises:
            OptionError: If a value is out of range.
            TrovidError: If a class is unknown.
        """
        chosen = dataclasses.replace(options or DetectOptions(), **changes)
        for name in chosen.classes or ():
            if name not in self.class_names:
                raise TrovidError(
                    f"{self.name} knows no class {name!r}{nearest(name, self.class_names)}"
                )
        return chosen.resolved(self.recipe.inference)

    def detect_together(
        self,
        sources: Sequence[Any],
        *,
        frames: Sequence[Sequence[int] | None] | None = None,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> Generator[tuple[int, Any]]:
        """The detections of several videos at once, whose frames share the batch.

        Each video has its own support frames, and its detections are those of `detect`. Frames
        share a batch where they have one size after resizing. Memory grows with the number of
        videos.

        Args:
            sources: Videos, each as `detect` takes it.
            frames: For each video the indices of its target frames, or None for all.
            options: See `detect`.
            **changes: See `detect`.

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
            number: self.run(source, frames=own, options=options, shared=shared, **changes)
            for number, (source, own) in enumerate(zip(sources, wanted, strict=True))
        }
        while running:
            for number, video in list(running.items()):
                found = next(video, None)
                if found is None:
                    del running[number]
                else:
                    yield number, found[1]

    def _found(
        self,
        source: Any,
        frames: Sequence[int] | None,
        options: DetectOptions,
        bank: Support | None,
        shared: SharedBatch | None = None,
    ) -> Iterator[tuple[Frame, Any]]:
        pairs = self._supported(source, frames, options, bank)
        if shared is not None:
            yield from shared.found(pairs, options)
            return
        for frame, support in pairs:
            yield frame, self.detect_frames([frame], [support], options)[0]

    def _along_sequences(
        self,
        reader: VideoReader,
        frames: Sequence[int] | None,
        options: DetectOptions,
        bank: Support | None,
    ) -> Iterator[tuple[Frame, Detections]]:
        """Seq-NMS over the candidates of all frames, then the frames once more."""
        assert options.score is not None
        looked_at = dataclasses.replace(options, seq_nms=False, selection="candidates")
        choice = dataclasses.replace(
            options,
            score=min(options.score, CANDIDATE_SCORE),
            nms=1.0,
            class_agnostic_nms=False,
            max_detections=MOST_CANDIDATES,
        )
        candidates = [
            found.select(choice) for _, found in self._found(reader, frames, looked_at, bank)
        ]
        chosen = {
            detections.frame_index: detections[detections.scores > options.score][
                : options.max_detections
            ]
            for detections in suppress_along_sequences(candidates)
        }
        for frame in reader:
            if frame.index in chosen:
                yield frame, chosen.pop(frame.index)
            if not chosen:
                return

    def _supported(
        self,
        source: Any,
        frames: Sequence[int] | None,
        options: DetectOptions,
        bank: Support | None,
    ) -> Iterator[tuple[Frame, Support | None]]:
        """Each target frame with the support of its video."""
        assert options.support is not None
        sampling = SupportSampling.parse(options.support)
        if bank is not None or not (self.detector.uses_support and sampling.count > 0):
            yield from ((frame, bank) for frame in _targets(source, frames))
            return
        if options.online:
            ahead = OnlineSampling(sampling, options.lookahead)
            pairs = online_support(as_frames(source), ahead, self.encode, targets=frames)
        else:
            cache = BankCache(self, source, sampling)
            pairs = ((frame, cache.bank(frame.index)) for frame in _targets(source, frames))
        for frame, own in pairs:
            if own is not None and not options.target_among_support:
                own = own.without(frame.index)
            yield frame, own


def _targets(source: Any, frames: Sequence[int] | None) -> Iterable[Frame]:
    if isinstance(source, VideoReader):
        return source if frames is None else source.walk(frames)
    stream = as_frames(source)
    return stream if frames is None else (frame for frame in stream if frame.index in frames)
