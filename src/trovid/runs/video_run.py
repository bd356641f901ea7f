"""One video from frames to files: stopped early or damaged, what was done is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import numpy as np

from trovid.errors import TrovidError
from trovid.inference.batching import Turn
from trovid.inference.predictor import Predictor
from trovid.inference.target_frames import target_frames
from trovid.progress import Tick
from trovid.runs.behind import Behind
from trovid.runs.sinks.json import rounded
from trovid.runs.sinks.making import Shown, Subject
from trovid.runs.sinks.sink import Sink
from trovid.structures import Detections
from trovid.video.live import LiveStream
from trovid.video.opening import Frame, VideoReader

DRAWN_BEHIND = 4
"""Frames that may wait to be drawn and written, which a thread of its own does."""
NO_PICTURE = np.empty((0, 0, 3), np.uint8)


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


class VideoRun:
    """A video that is being run, with the files that its detections fill.

    Files are written in a thread of their own, beside the detector. After `begin` it takes its
    turns while it `goes_on`; then `finish` completes the files with the frames done, and they
    appear. `discard` leaves none.

    Args:
        subject: The video, or a stream.
        sinks: Files to fill.
        stop: Is asked before each frame whether to stop.

    Attributes:
        subject: The video.
        job: Input and files.
        outcome: What has come of it so far.
        targets: The target frames that are left, as the model is to look at them.
    """

    def __init__(
        self, subject: Subject, sinks: Sequence[Sink], *, stop: Callable[[], bool]
    ) -> None:
        self.job = subject.job
        self.outcome = Outcome(problems=subject.source.problems)
        self._source = source = subject.source
        self._sinks = sinks
        self._fill = Behind(self._write_files, DRAWN_BEHIND)
        self.subject = subject
        self._window: Shown | None = None
        self._options = subject.options
        self._stop = stop
        self._clock = _Clock(source)
        self._total = 0
        self._ended = False
        self._open = ExitStack()
        self._began = time.monotonic()

    def begin(
        self,
        predictor: Predictor,
        earlier: Sequence[Detections],
        progress: AbstractContextManager[Tick],
        *,
        together: bool = False,
    ) -> None:
        """Writes what an earlier run has found, and opens the video for the rest.

        Args:
            predictor: The model.
            earlier: What was found in the first target frames.
            progress: Is told about the rest; closed with the files.
            together: Whether other videos are run beside it.

        Raises:
            TrovidError: If no frame is asked for, or a file cannot be written.
        """
        self._window = self.subject.window
        frames = None
        if isinstance(self._source, VideoReader):
            asked = target_frames(self._source, self._options)
            self._total, frames = len(asked), asked[len(earlier) :]
        for frame, detections in zip(self._pictures_of(earlier), earlier, strict=True):
            self._write(frame, detections)
            if self._stop():
                break
        if self.outcome.frames < len(earlier):
            self.outcome.complete, self._ended = False, True
        source = self._clock if self._options.online else self._source
        remembered = earlier if frames else ()
        self.targets = predictor.session(
            source, self._options, frames=frames, earlier=remembered, together=together
        )
        self._open.callback(self.targets.close)
        self._tick = self._open.enter_context(progress)

    @property
    def goes_on(self) -> bool:
        """Whether another frame is wanted."""
        if not self._ended and self._stop():
            live = isinstance(self._source, LiveStream)
            self.outcome.complete = live or self.outcome.frames == self._total
            self._ended = True
        return not self._ended

    def take(self, turn: Turn) -> None:
        """Writes what came of the next frame; with an error of the video the run ends there.

        Raises:
            TrovidError: If a file cannot be written.
        """
        if turn is None:
            self._ended = True
        elif isinstance(turn, TrovidError):
            self.outcome.error, self.outcome.complete, self._ended = turn, False, True
        elif isinstance(turn, Exception):
            raise turn
        else:
            frame, detections = turn
            self.outcome.new_frames += 1
            if self._options.online:
                self.outcome.latencies.append(self._clock.latency(frame.index))
            self._write(frame, rounded(detections))
            done = f"{self.outcome.detections} detections"
            self._tick(self.outcome.frames, self._total, done)

    def finish(self) -> Outcome:
        """Completes the files and gives them their names.

        Raises:
            TrovidError: If there is no frame, or a file cannot be written; none is left then,
                unless a folder takes the name of a later one.
        """
        outcome = self.outcome
        self._fill.finish()
        if not outcome.frames:
            reason = f"{self._source.source}: stopped before the first frame"
            raise outcome.error or TrovidError(reason)
        if outcome.error:
            outcome.problems.append(str(outcome.error))
        self._open.close()
        for sink in self._sinks:
            if sink.finish(complete=outcome.complete, problems=outcome.problems) is False:
                outcome.complete = False
            outcome.problems += sink.problems
        for sink in self._sinks:
            sink.publish()
        outcome.seconds = time.monotonic() - self._began
        return outcome

    def discard(self) -> None:
        """Removes what was written."""
        self._fill.drop()
        for sink in self._sinks:
            sink.discard()
        self._open.close()

    def _write(self, frame: Frame, detections: Detections) -> None:
        self._fill(frame, detections)
        if self._window is not None and frame.image.size:
            self._window.show(frame, detections)
        self.outcome.frames += 1
        self.outcome.detections += len(detections)

    def _write_files(self, frame: Frame, detections: Detections) -> None:
        for sink in self._sinks:
            sink.write(frame, detections)

    def _pictures_of(self, earlier: Sequence[Detections]) -> Iterable[Frame]:
        """The frames of an earlier run, with their pictures only where a file wants them."""
        wanted = any(sink.wants_pictures for sink in self._sinks)
        if wanted and earlier and isinstance(self._source, VideoReader):
            return self._source.walk([detections.frame_index for detections in earlier])
        return (Frame(d.frame_index, d.time, NO_PICTURE) for d in earlier)


class _Clock:
    """The frames of a source, each with the time at which it came in."""

    def __init__(self, source: VideoReader | LiveStream) -> None:
        self.source = source.source
        self._frames = source
        self._came: dict[int, float] = {}

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            arrived = self._frames.arrived if isinstance(self._frames, LiveStream) else {}
            self._came[frame.index] = arrived.pop(frame.index, time.monotonic())
            yield frame

    def latency(self, index: int) -> float:
        """Seconds since a frame came in; asked once a frame, in rising order."""
        came = self._came[index]
        self._came = {i: t for i, t in self._came.items() if i > index}
        return time.monotonic() - came
