"""Many videos, in turn or several at once: each result whole, a bad one does not stop the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.inference.predictor import Predictor
from trovid.inference.together import SharedBatch
from trovid.progress import Parts, Tick, bar
from trovid.runs.jobs import Job, find_inputs, plan
from trovid.runs.resume import earlier_results
from trovid.runs.run_options import RunOptions
from trovid.runs.sinks.outputs import Output
from trovid.runs.video_run import Outcome, results_head, run_video
from trovid.structures import Detections
from trovid.video.live import LiveStream, is_live
from trovid.video.opening import VideoReader, open_video

Source = VideoReader | LiveStream


@dataclass(frozen=True)
class OutputPlace:
    """What an output may want to know of its video.

    Attributes:
        path: The file to write.
        job: Input and files.
        source: The opened input.
        head: Model, versions and options for the head of a file.
        options: What is asked for.
    """

    path: Path
    job: Job
    source: Source
    head: dict[str, Any]
    options: RunOptions


@dataclass
class Result:
    """What came of one input.

    Attributes:
        source: The input.
        job: Where its results are; None where it could not be read.
        outcome: Figures; None where nothing was done now.
        losses: One line for each thing that went wrong.
        error: The error of which the first loss tells, where one was raised.
        done_before: Whether an earlier run had completed it.
    """

    source: str
    job: Job | None = None
    outcome: Outcome | None = None
    losses: list[str] = field(default_factory=list)
    error: Exception | None = None
    done_before: bool = False

    @property
    def state(self) -> str:
        """In a few words."""
        if self.done_before:
            return "done before"
        if self.outcome is None:
            return "not done"
        if not self.outcome.complete:
            return "incomplete"
        return "damaged" if self.outcome.problems else "done"


@dataclass
class Batch:
    """How inputs are run and where their results go.

    Attributes:
        load: Gives the model; called once, after the inputs were found to be readable.
        options: What is asked for.
        out: Folder of the results.
        makers: By kind (a key of `plan.ENDINGS`) what makes that output.
        overwrite: Whether results that exist are replaced.
        resume: Whether they are gone on from.
        frame_rate: Frames per second of folders of images.
        at_once: How many videos are run at once and share the batch.
        stop: Is asked whether to stop.
        show_progress: Whether bars are shown.
    """

    load: Callable[[], Predictor]
    options: RunOptions
    out: Path
    makers: Mapping[str, Callable[[OutputPlace], Output]]
    overwrite: bool = False
    resume: bool = False
    frame_rate: float = 0.0
    at_once: int = 1
    stop: Callable[[], bool] = lambda: False
    show_progress: bool = False

    def run(self, words: Sequence[str]) -> Iterator[Result]:
        """The results as the inputs are done; those that cannot be read come first.

        Args:
            words: See `find_inputs`.

        Raises:
            TrovidError: If the model cannot be loaded or the folder not be made.
        """
        inputs: list[str] = []
        sources: dict[str, Source] = {}
        for word in words:
            try:
                inputs += [found for found in find_inputs(word) if found not in inputs]
            except (TrovidError, OSError) as error:
                yield Result(word, losses=[_loss(word, error)], error=error)
        for word in inputs:
            try:
                sources[word] = self._open(word)
            except (TrovidError, OSError, MemoryError) as error:
                yield Result(word, losses=[_loss(word, error)], error=error)
        ready = []
        for job in plan(list(sources), inputs, self.out, self.makers):
            there = job.existing()
            if there and not self.overwrite and not self.resume:
                cure = "give --overwrite, --resume or another --out"
                yield Result(job.source, job, losses=[f"{there[0]}: exists; {cure}"])
            else:
                ready.append(job)
        if not ready:
            return
        predictor = self.load()
        if self.options.classes is not None:
            predictor.options(classes=self.options.classes)
        self._make_folder()
        if self.at_once > 1:
            yield from self._run_together(predictor, ready, sources)
            return
        for job in ready:
            progress = bar(job.name, unit="frames", shown=self.show_progress)
            yield from _in_turns(
                iter([self._run(predictor, sources[job.source], job, progress)]), 1
            )

    def _run_together(
        self, predictor: Predictor, jobs: Sequence[Job], sources: Mapping[str, Source]
    ) -> Iterator[Result]:
        """Runs several inputs at once, with one progress bar."""
        shared = SharedBatch(predictor)
        totals = {job.source: self._total(sources[job.source]) for job in jobs}
        with bar(f"{len(jobs)} videos", unit="frames", shown=self.show_progress) as tick:
            parts = Parts(tick, totals)
            ticks = (nullcontext(parts.tick(job.source)) for job in jobs)
            runs = (
                self._run(predictor, sources[job.source], job, own, shared)
                for job, own in zip(jobs, ticks, strict=True)
            )
            for result in _in_turns(runs, self.at_once):
                if result.outcome is None:
                    parts.drop(result.source)
                yield result

    def _total(self, source: Source) -> int:
        """The number of target frames, as far as it is known."""
        try:
            return len(self.options.targets(source)) if isinstance(source, VideoReader) else 0
        except TrovidError:
            return 0

    def _open(self, word: str) -> Source:
        if not is_live(word):
            return open_video(word, frame_rate=self.frame_rate)
        if not self.options.online:
            raise TrovidError(f"{word}: a stream has no end to look ahead to; give --online")
        if self.options.start:
            raise TrovidError(f"{word}: a stream starts when it is opened; leave out --start")
        return LiveStream(word, stop=self.stop)

    def _make_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            is_file = isinstance(error, FileExistsError | NotADirectoryError)
            reason = "it or a folder above it is a file" if is_file else error.strerror
            raise TrovidError(
                f"{self.out}: cannot be made ({reason}); choose another folder by --out"
            ) from error

    def _run(
        self,
        predictor: Predictor,
        source: Source,
        job: Job,
        progress: AbstractContextManager[Tick],
        shared: SharedBatch | None = None,
    ) -> Generator[None, None, Result]:
        """Runs one input, pausing after each frame."""
        if self.stop():
            return Result(job.source, job, losses=[f"{job.source}: interrupted before it began"])
        head = results_head(predictor, self.options)
        try:
            earlier = self._earlier(source, job, head)
            if earlier is None:
                return Result(job.source, job, done_before=True)
            with progress as tick:
                outcome = yield from run_video(
                    predictor,
                    source,
                    self._outputs(job, source, head),
                    self.options,
                    earlier=earlier,
                    stop=self.stop,
                    tick=tick,
                    shared=shared,
                )
        except (TrovidError, MemoryError) as error:
            return Result(job.source, job, losses=[_loss(job.source, error)], error=error)
        losses = list(dict.fromkeys(outcome.problems))
        if not outcome.complete:
            again = "the same command with --resume goes on"
            losses.append(f"{job.source}: stopped after {outcome.frames} frames; {again}")
        return Result(job.source, job, outcome, losses, outcome.error)

    def _earlier(
        self, source: Source, job: Job, head: dict[str, Any]
    ) -> Sequence[Detections] | None:
        """What an interrupted run has left; None if it has left nothing to do.

        Sequences go through the whole video: with Seq-NMS everything is done again.
        """
        there = job.existing()
        if not self.resume or not there:
            return ()
        if job.files["json"] not in there:
            name = job.files["json"].name
            raise TrovidError(f"{there[0]}: cannot be resumed without {name}; give --overwrite")
        if isinstance(source, LiveStream):
            raise TrovidError(f"{job.source}: a stream cannot be resumed; give --overwrite")
        targets = self.options.targets(source)
        earlier = earlier_results(job.files["json"], head, source.video, targets)
        if earlier.complete:
            return None
        return () if self.options.seq_nms else earlier.frames

    def _outputs(self, job: Job, source: Source, head: dict[str, Any]) -> list[Output]:
        """The files to write, JSON last: where it is, the others are complete too."""
        outputs: list[Output] = []
        try:
            for kind, path in job.files.items():
                place = OutputPlace(path, job, source, head, self.options)
                outputs.append(self.makers[kind](place))
        except BaseException:
            for output in outputs:
                output.discard()
            raise
        return outputs


def _in_turns(runs: Iterator[Generator[None, None, Result]], at_once: int) -> Iterator[Result]:
    """Goes through the runs frame by frame, so many of them at once; one that ends makes room."""
    running: deque[Generator[None, None, Result]] = deque()
    try:
        while True:
            running.extend(islice(runs, at_once - len(running)))
            if not running:
                return
            try:
                next(running[0])
            except StopIteration as ended:
                running.popleft()
                yield ended.value
            else:
                running.rotate(-1)
    finally:
        for run in running:
            run.close()


def _loss(word: str, error: Exception) -> str:
    """What went wrong with an input, in a line that names it."""
    if isinstance(error, MemoryError):
        return f"{word}: out of memory; smaller pictures need less, and so does --no-video"
    if isinstance(error, OSError):
        return f"{word}: {error.strerror or error}; check the name"
    return str(error)
