"""Predictor: a detector with its recipe, run over videos."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from trovid.detectors.contract import Support, VideoDetector
from trovid.errors import TrovidError, nearest
from trovid.inference.batching import FrameBatcher
from trovid.inference.identities import video_tracker
from trovid.inference.notice import Notice
from trovid.inference.runtime.backend import check_backend
from trovid.inference.runtime.compilation import compile_parts
from trovid.inference.runtime.determinism import deterministic_algorithms, prepare_deterministic
from trovid.inference.runtime.device import usable_device
from trovid.inference.runtime.inference_form import for_inference
from trovid.inference.runtime.memory import LESS_MEMORY, MEMORY_ERRORS, is_short_memory
from trovid.inference.runtime.precision import usable_precision
from trovid.inference.seq_nms import sequence_targets
from trovid.inference.session import MOST_LANES, Target, VideoSession, in_lanes
from trovid.inference.together import detect_together
from trovid.ops.checks import MagnitudeError
from trovid.recipes import Recipe, TorchvisionModelRecipe
from trovid.structures import Detections, DetectOptions
from trovid.video.opening import Frame, VideoReader, open_video
from trovid.video.transforms import make_transform
from trovid.zoo.weights import ModelCard

if TYPE_CHECKING:
    from trovid.inference.explanation import FrameExplanation

PIXELS_AT_A_TIME = {"cpu": 320_000, "gpu": 2**23}
"""Of support frames that go through the backbone together. On a CPU no more than its caches hold:
14 frames of 288x512 take EfficientNet-Lite0 28 ms each by twos and 48 ms by sevens (Zen 3, 2
threads). On a GPU a bound on memory."""
USUAL_SCORE = 0.5
log = logging.getLogger("trovid")


class Predictor:
    """Runs a detector over videos; holds no state of any video.

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
        detector: VideoDetector,
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
        check_backend(self.device)
        self.precision = precision = usable_precision(precision, self.device)
        self.deterministic = deterministic
        if deterministic:
            prepare_deterministic(self.device)
        self.detector: Any = detector.eval()
        parts = recipe.model
        self.channels_last = not isinstance(parts, TorchvisionModelRecipe) or parts.channels_last
        self.running: Any = for_inference(
            self.detector, device=self.device, precision=precision, channels_last=self.channels_last
        )
        self.running.class_names = recipe.model.classes
        self.compiled = compile
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
        self.notice = Notice(self.name, len(self.class_names), card)

    def __repr__(self) -> str:
        return f"Predictor({self.name}, {len(self.class_names)} classes, {self.device})"

    @property
    def usual_score(self) -> float:
        """The lowest score worth showing: where the card says it, the best on validation."""
        known = self.card.provenance.get("score_threshold") if self.card else None
        return USUAL_SCORE if known is None else float(known)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Detections.labels`."""
        return self.recipe.model.classes

    def detect(
        self,
        source: Any,
        *,
        frames: Sequence[int] | None = None,
        frame_rate: float = 0.0,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> Generator[Any]:
        """The detections of a video, frame after frame, as a generator.

        The support frames are encoded once and serve every target frame.

        Args:
            source: A video file, a folder of images, an image, an http(s) address of a video, a
                list of image files, an array uint8 [T, H, W, 3], a tensor uint8 [T, 3, H, W],
                single pictures from a list or a generator, or an open VideoReader. See
                `open_video`. With `online` a generator is taken frame by frame, and may be
                endless; so may a camera ("webcam") or an address of a stream.
            frames: Indices of the target frames in rising order; None for those of the options'
                `start`, `end` and `stride`.
            frame_rate: Frames per second of images and arrays, which do not know it (0: unknown,
                then every frame's time is 0). A video file or an open reader knows its own.
            options: What is asked for.
            **changes: Fields of `DetectOptions`, in place of those of `options`: `support`,
                `score`, `classes`, `nms`, `max_detections`, `seq_nms`, `online`, `start="1:30"` and
                so on.

        Yields:
            Detections with boxes in pixels of the source frame, best first; with
            `selection="candidates"` Candidates.

        Raises:
            TrovidError: If a class is unknown, the source cannot be read, or memory is short.
            OptionError: If an option is out of range.
        """
        runs = self.run(source, frames=frames, frame_rate=frame_rate, options=options, **changes)
        for _, found in runs:
            yield found

    def run(
        self,
        source: Any,
        *,
        frames: Sequence[int] | None = None,
        frame_rate: float = 0.0,
        options: DetectOptions | None = None,
        support: Support | str | None = None,
        encoded: Support | None = None,
        **changes: Any,
    ) -> Generator[tuple[Frame, Any]]:
        """Each target frame with its detections; the arguments are those of `detect`.

        `support` may also be a Support that serves every frame in place of the video's own;
        `encoded` holds the video's own, all that the options choose, which are not read then.
        """
        given = None if isinstance(support, str) else support
        if isinstance(support, str) and support:
            changes["support"] = support
        wanted = self.options(options, **changes)
        session = self.session(
            source, wanted, frames=frames, frame_rate=frame_rate, support=given, encoded=encoded
        )
        with closing(session):
            for target in session:
                found = target.looked_at(partial(self._found, wanted)).found
                yield target.frame, target.identified(found)

    def segment(
        self,
        source: Any,
        *,
        frames: Sequence[int] | None = None,
        frame_rate: float = 0.0,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> Generator[Detections]:
        """The detections of a video with masks and identities, frame after frame.

        Arguments and errors are those of `detect`, and a model without a mask head is one too.
        Identities are found by the track head, or where there is none by the overlap of boxes.

        Yields:
            Detections with `masks` and `track_ids`.
        """
        wanted = self.segmenting(options, **changes)
        return self.detect(source, frames=frames, frame_rate=frame_rate, options=wanted)

    def detect_together(
        self,
        sources: Sequence[Any],
        *,
        frames: Sequence[Sequence[int] | None] | None = None,
        frame_rate: float = 0.0,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> Generator[tuple[int, Any]]:
        """The detections of several videos at once, whose frames share the batch.

        Each video has its own support frames, and its detections are those of `detect`. Frames
        share a batch where they have one size after resizing. Memory grows with the number of
        videos.

        Args:
            sources: Videos, each as `detect` takes it.
            frames: For each video the indices of its target frames, or None as in `detect`.
            frame_rate: See `detect`.
            options: See `detect`.
            **changes: See `detect`.

        Yields:
            The position of a video in `sources` and the detections of its next frame.

        Raises:
            TrovidError: If a class is unknown, a source cannot be read, or memory is short.
        """
        wanted = self.options(options, **changes)
        return detect_together(self, sources, frames, wanted, frame_rate=frame_rate)

    def options(self, options: DetectOptions | None = None, **changes: Any) -> DetectOptions:
        """The options in force: those given, the recipe's where they are None.

        Raises:
            OptionError: If a value is out of range, or a model of single frames is given `support`.
            TrovidError: If a class is unknown.
        """
        chosen = dataclasses.replace(options or DetectOptions(), **changes)
        chosen = chosen if self.detector.uses_support else chosen.of_single_frames(self.name)
        known = self.class_names
        for name in chosen.classes or ():
            if name not in known:
                raise TrovidError(f"{self.name} knows no class {name!r}{nearest(name, known)}")
        if chosen.masks and not self.detector.segments:
            raise TrovidError(
                f"{self.name} finds boxes alone: take another `model`, such as coco-mask-r50-fpn"
            )
        return chosen.resolved(self.recipe.inference)

    def segmenting(self, options: DetectOptions | None = None, **changes: Any) -> DetectOptions:
        """As `options`, with masks, and with identities by what the model has."""
        chosen = dataclasses.replace(options or DetectOptions(), **changes)
        usual = "embedding" if self.detector.embeds else "iou"
        return self.options(chosen, masks=True, track=chosen.track or usual)

    def session(
        self,
        source: Any,
        options: DetectOptions,
        *,
        frames: Sequence[int] | None = None,
        frame_rate: float = 0.0,
        support: Support | None = None,
        encoded: Support | None = None,
        earlier: Sequence[Detections] = (),
        together: bool = False,
    ) -> VideoSession | Generator[Target]:
        """The target frames of a video, each with its Support; to be closed in the end.

        On a CPU several small frames are looked at side by side: they come with what was found.

        Args:
            source: See `detect`.
            options: Resolved (`options`).
            frames: See `detect`.
            frame_rate: See `detect`.
            support: Serves every frame in place of the video's own.
            encoded: See `run`.
            earlier: What an interrupted run has found in the frames before, so that the identities
                go on. The last of them are looked at once more.
            together: Whether its frames are looked at with those of other videos.
        """
        self.notice.say(source)
        given: Any = {"frames": frames, "support": support, "encoded": encoded}
        given["tracker"] = video_tracker(self, source, options, earlier) if options.track else None
        if options.seq_nms:
            if not isinstance(source, VideoReader):
                source = open_video(source, frame_rate=frame_rate)
            return sequence_targets(self, source, options, **given)
        session = VideoSession(
            source,
            encode=self.encode,
            options=options,
            single_frames=not self.detector.uses_support,
            frame_rate=frame_rate,
            **given,
        )
        lanes = 1 if options.online or together else self.lanes()
        return session if lanes == 1 else in_lanes(session, partial(self._found, options), lanes)

    def _found(self, options: DetectOptions, target: Target) -> Any:
        return self.detect_frames([target.frame], [target.support], options)[0]

    def lanes(self) -> int:
        """How many frames are looked at side by side."""
        large = self.recipe.image.shorter * self.recipe.image.longer > PIXELS_AT_A_TIME["cpu"]
        if large or self.device.type != "cpu" or self.deterministic or self.compiled:
            return 1
        return min(MOST_LANES, torch.get_num_threads())

    def explain(
        self, source: Any, *, frame: int, boxes: Any, support: str = "uniform:4"
    ) -> FrameExplanation:
        """What RoI positions found in support frames, as arrays; see `explain_source`."""
        from trovid.inference.explanation import explain_source

        return explain_source(self, source, frame=frame, boxes=boxes, support=support)

    def batcher(self, options: DetectOptions) -> FrameBatcher:
        """Looks at the frames of several sessions together, with resolved options."""
        return FrameBatcher(
            lambda frames, supports: self.detect_frames(frames, supports, options),
            lambda frame: self.transform.size(*frame.image.shape[:2]),
        )

    @torch.inference_mode()
    def detect_frames(
        self, frames: Sequence[Frame], supports: Sequence[Support | None], options: DetectOptions
    ) -> list[Any]:
        """The objects in a batch of frames, in pixels of the source, each with its own support.

        Args:
            frames: Of one size after resizing.
            supports: For each frame one; all with equally many support frames.
            options: Resolved (`options`).

        Returns:
            For each frame Detections, or with `selection="candidates"` Candidates. With `track`
            those from `continue_score` on are among them: its tracker chooses.

        Raises:
            TrovidError: If memory is short, or the weights give values that are too large.
        """
        given = [support for support in supports if support is not None]
        if options.track is not None:
            options = options.of_detector
        with self.computing():
            images, size = self.input(frames)
            found = self.running.detect(
                images, given or None, options=options, image_sizes=[size] * len(frames)
            )
        return [
            dataclasses.replace(
                result.scaled(frame.image.shape[:2]).cpu(), frame_index=frame.index, time=frame.time
            )
            for frame, result in zip(frames, found, strict=True)
        ]

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> Any:
        """The Support of some frames of one video, encoded a few at a time.

        Raises:
            TrovidError: If memory is short, or the weights give values that are too large.
        """
        pixels = math.prod(self.transform.size(*frames[0].image.shape[:2])) if frames else 1
        step = max(1, PIXELS_AT_A_TIME["cpu" if self.device.type == "cpu" else "gpu"] // pixels)
        parts = []
        with self.computing():
            for start in range(0, max(len(frames), 1), step):
                some = frames[start : start + step]
                images, size = self.input(some)
                indices, sizes = [frame.index for frame in some], [size] * len(some)
                parts.append(self.running.encode(images, indices, image_sizes=sizes))
            return parts[0] if len(parts) == 1 else parts[0].cat(parts)

    def input(self, frames: Sequence[Frame]) -> tuple[torch.Tensor, tuple[int, int]]:
        """The detector's input Tensor[T, 3, H, W] for frames, and their size before padding."""
        resized = [self.transform.resize(frame.image) for frame in frames]
        images = self.transform.normalise(resized, self.device)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout), resized[0].shape[:2]

    @contextmanager
    def computing(self) -> Generator[None]:
        """Deterministic algorithms alone, where wanted; what cannot be computed is one line."""
        try:
            with deterministic_algorithms() if self.deterministic else nullcontext():
                yield
        except MEMORY_ERRORS as error:
            if is_short_memory(error):
                raise TrovidError(f"out of memory: {LESS_MEMORY}") from error
            raise
        except MagnitudeError as error:
            raise TrovidError(f"{self.name}: other weights are needed: {error}") from error
