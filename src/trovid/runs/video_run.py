"""One video from frames to files: stopped early or damaged, what was done is kept."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import torch

from trovid.errors import TrovidError
from trovid.inference.predictor import Predictor
from trovid.inference.together import SharedBatch
from trovid.progress import Tick
from trovid.runs.run_options import RunOptions
from trovid.runs.sinks.outputs import Output, no_picture
from trovid.runs.sinks.writers import rounded
from trovid.structures import Detections
from trovid.video.live import LiveStream
from trovid.video.opening import Frame, VideoReader

ENDLESS = range(0, 2**62)


@dataclass
class Outcome:
    """What came of running a video.

    Attributes:
        frames: Target frames in the results, those of an earlier run included.
        detections: Detections in them.
        seconds: How long it took.
        new_frames: Frames that this run detected in.
        complete: Whether every frame that was asked for is there.
        problems: What was wrong with the video, one line each.
        error: What broke it off, if anything did.
        latencies: Seconds from a frame's coming in to its detections, when online.
    """

    frames: int = 0
    detections: int = 0
    seconds: float = 0.0
    new_frames: int = 0
    complete: bool = True
    problems: list[str] = field(default_factory=list)
    error: Exception | None = None
    latencies: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """New frames per second."""
        return self.new_frames / max(self.seconds, 1e-9)


def results_head(predictor: Predictor, options: RunOptions) -> dict[str, Any]:
    """The head of the results: model, versions, options; the same for the same run."""
    from importlib.metadata import version

    return {
        "model": predictor.name,
        "weights": weights_digest(predictor.detector),
        "class_names": list(predictor.class_names),
        "options": options.head(predictor),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "av")},
        },
    }


def weights_digest(module: torch.nn.Module) -> str:
    """16 hexadecimal digits that tell one set of weights from another."""
    digest = sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def run_video(
    predictor: Predictor,
    source: VideoReader | LiveStream,
    outputs: Sequence[Output],
    options: RunOptions,
    *,
    earlier: Sequence[Detections] = (),
    stop: Callable[[], bool] = lambda: False,
    tick: Tick = lambda done, total, detail="": None,
    shared: SharedBatch | None = None,
) -> Generator[None, None, Outcome]:
    """Detects in a video and writes every output, pausing after each frame.

    Where the source breaks off or `stop` says so, the outputs are completed with the frames done.

    Args:
        predictor: The model.
        source: The video, or a stream.
        outputs: Files to fill; they are published, or discarded where there is no frame.
        options: What is asked for.
        earlier: What an interrupted run has found in the first target frames.
        stop: Is asked after each frame whether to stop.
        tick: Is told about the progress.
        shared: Scores frames together with those of other videos that are run in turns.

    Yields:
        None, after each frame.

    Returns:
        What came of it.

    Raises:
        TrovidError: If there is no frame, or an output cannot be written; none is left then,
            unless a folder takes the name of a later one.
    """
    began = time.monotonic()
    outcome = Outcome(problems=source.problems)
    live = isinstance(source, LiveStream)
    try:
        targets = ENDLESS[:: options.stride] if live else options.targets(source)
        total = 0 if live else len(targets)
        clock = _Clock(source, options.end if live else None)
        found = predictor.run(
            clock if options.online else source,
            frames=targets[len(earlier) :],
            **options.keywords(),
            shared=shared,
        )
        with closing(_replayed(source, earlier, outputs)) as replay:
            for frame, detections in replay:
                _write(outputs, outcome, frame, detections)
                if stop():
                    break
        outcome.complete = outcome.frames == len(earlier)
        with closing(found):
            while outcome.complete:
                if stop():
                    outcome.complete = live or outcome.frames == total
                    break
                try:
                    frame, detections = next(found)
                except StopIteration:
                    break
                except TrovidError as error:
                    outcome.error, outcome.complete = error, False
                    break
                outcome.new_frames += 1
                if options.online:
                    outcome.latencies.append(clock.latency(frame.index))
                _write(outputs, outcome, frame, rounded(detections))
                tick(outcome.frames, total, f"{outcome.detections} detections")
                yield
        if not outcome.frames:
            raise outcome.error or TrovidError(f"{source.source}: stopped before the first frame")
        if outcome.error:
            outcome.problems.append(str(outcome.error))
        for output in outputs:
            output.finish(complete=outcome.complete, problems=outcome.problems)
            outcome.problems += output.problems
        for output in outputs:
            output.publish()
    except BaseException:
        for output in outputs:
            output.discard()
        raise
    outcome.seconds = time.monotonic() - began
    return outcome


def _write(
    outputs: Sequence[Output], outcome: Outcome, frame: Frame, detections: Detections
) -> None:
    for output in outputs:
        output.write(frame, detections)
    outcome.frames += 1
    outcome.detections += len(detections)


def _replayed(
    source: VideoReader | LiveStream, earlier: Sequence[Detections], outputs: Sequence[Output]
) -> Generator[tuple[Frame, Detections]]:
    """The frames of an earlier run, with pictures only where an output wants them."""
    pictures = any(output.wants_pictures for output in outputs)
    if pictures and isinstance(source, VideoReader) and earlier:
        frames: Iterable[Frame] = source.walk([d.frame_index for d in earlier])
    else:
        frames = map(no_picture, earlier)
    yield from zip(frames, earlier, strict=True)


class _Clock:
    """The frames of a source, each with the time at which it came in.

    Ends where the source has run for `end` seconds.
    """

    def __init__(self, source: VideoReader | LiveStream, end: float | None) -> None:
        self._source = source
        self._end = end
        self._came: dict[int, float] = {}

    def __iter__(self) -> Iterator[Frame]:
        begin: float | None = None
        for frame in self._source:
            begin = frame.time if begin is None else begin
            if self._end is not None and frame.time - begin >= self._end:
                return
            arrived = self._source.arrived if isinstance(self._source, LiveStream) else {}
            self._came[frame.index] = arrived.pop(frame.index, time.monotonic())
            yield frame

    def latency(self, index: int) -> float:
        """Seconds since a frame came in; asked once a frame, in rising order."""
        came = self._came[index]
        self._came = {i: t for i, t in self._came.items() if i > index}
        return time.monotonic() - came
