"""Many videos, in turn or several at once: each result whole, a bad one does not stop the rest."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError, without_password
from trovid.inference.predictor import Predictor
from trovid.inference.target_frames import target_frames
from trovid.progress import Parts, bar
from trovid.runs.counting import begin_counting, end_counting, turned_out_wrong
from trovid.runs.derived import strange_folder
from trovid.runs.jobs import Job, find_inputs, jobs_for
from trovid.runs.provenance import contents_digest, results_head
from trovid.runs.resume import earlier_results
from trovid.runs.sinks.making import Pictures, Subject, check_drawn, make_sinks
from trovid.runs.sinks.sink import Sink
from trovid.runs.video_run import Outcome, VideoRun
from trovid.structures import Detections, DetectOptions
from trovid.video.blanking import BlankingReader
from trovid.video.fetched import fetched, is_web_address
from trovid.video.live import NO_END, LiveStream, is_live
from trovid.video.opening import VideoReader, open_video

Source = VideoReader | LiveStream
log = logging.getLogger("trovid")


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
        segment: Whether masks and identities are wanted, as `Predictor.segment` gives them.
        kinds: The files to write (keys of `SINKS`).
        pictures: How pictures are drawn.
        overwrite: Whether results that exist are replaced.
        resume: Whether they are gone on from.
        frame_rate: Frames per second of folders of images.
        allow_playlist: See `open_video`.
        at_once: How many videos are run at once and share the batch.
        stop: Is asked whether to stop.
        show_progress: Whether bars are shown.
        opened: What a video that was opened is read through.
        begun: By their word the files that are open already, and whose frames are being counted.
        sinks: Makes the files of a video, as this batch runs them.
        stated: What the results say of their options besides.
    """

    load: Callable[[], Predictor]
    options: DetectOptions
    out: Path
    segment: bool = False
    kinds: Collection[str] = ("json",)
    pictures: Pictures = field(default_factory=Pictures)
    overwrite: bool = False
    resume: bool = False
    frame_rate: float = 0.0
    allow_playlist: bool = False
    at_once: int = 1
    stop: Callable[[], bool] = lambda: False
    show_progress: bool = False
    opened: Callable[[VideoReader], VideoReader] = lambda reader: reader
    begun: Mapping[str, VideoReader] = field(default_factory=dict)
    sinks: Callable[[Subject, Batch], Sequence[Sink]] = lambda subject, batch: make_sinks(subject)
    stated: Mapping[str, Any] = field(default_factory=dict)

    def run(self, words: Sequence[str]) -> Iterator[Result]:
        """The results as the inputs are done; those that cannot be read come first.

        Args:
            words: See `find_inputs`.

        Raises:
            TrovidError: If the model cannot be loaded or the folder not be made.
            OptionError: If nothing shows what is to be drawn.
        """
        inputs: list[str] = []
        sources: dict[str, Source] = {}
        for word in words:
            try:
                inputs += [found for found in find_inputs(word) if found not in inputs]
            except (TrovidError, OSError) as error:
                yield Result(word, losses=[_loss(word, error)], error=error)
        shown = {word: without_password(word) for word in inputs}
        for word in inputs:
            try:
                sources[shown[word]] = self._open(word)
            except (TrovidError, OSError, MemoryError) as error:
                yield Result(shown[word], losses=[_loss(shown[word], error)], error=error)
        ready = []
        online = self.options.online
        jobs = jobs_for(list(sources), list(shown.values()), self.out, self.kinds, online=online)
        check_drawn(jobs, sources, self.pictures)
        for job in jobs:
            there, strange = job.existing(), strange_folder(job)
            if there and not self.overwrite and not self.resume:
                cure = "give `overwrite`, `resume` or another `out`"
                yield Result(job.source, job, losses=[f"{there[0]}: exists; {cure}"])
            elif strange is not None:
                reason = "holds what no run of trovid has left; move it, or give another `out`"
                yield Result(job.source, job, losses=[f"{strange}: {reason}"])
            else:
                ready.append(job)
        if not ready:
            return
        predictor = self.load()
        usual = self.options
        if usual.score is None:
            usual = replace(usual, score=predictor.usual_score)
        segmenting = predictor.segmenting if self.segment else predictor.options
        options = segmenting(usual)
        self._make_folder()
        head = results_head(predictor, options)
        head["options"] |= self.stated
        subjects = [
            Subject(job, sources[job.source], head, options, self.pictures) for job in ready
        ]
        if self.at_once == 1:
            yield from self._run_all(predictor, options, subjects)
            return
        totals = {subject.job.source: self._total(subject) for subject in subjects}
        with bar(f"{len(ready)} videos", unit="frames", shown=self.show_progress) as tick:
            parts = Parts(tick, totals)
            for result in self._run_all(predictor, options, subjects, parts):
                if result.outcome is None:
                    parts.drop(result.source)
                yield result

    def _open(self, word: str) -> Source:
        if is_web_address(word) and not self.options.online:
            how = {"stop": self.stop, "show_progress": self.show_progress}
            return self.opened(fetched(word, frame_rate=self.frame_rate, **how))
        if not is_live(word):
            reader = self.begun.get(word)  # whose length, and so its truth, waits for the count
            if reader is None:
                reader = open_video(
                    word, frame_rate=self.frame_rate, allow_playlist=self.allow_playlist
                )
            return self.opened(reader)
        shown = without_password(word)
        if not self.options.online:
            raise TrovidError(f"{shown}: {NO_END}")
        if self.options.start:
            raise TrovidError(f"{shown}: a stream starts when it is opened; leave out `start`")
        return LiveStream(word, stop=self.stop)

    def _make_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            is_file = isinstance(error, FileExistsError | NotADirectoryError)
            reason = "it or a folder above it is a file" if is_file else error.strerror
            raise TrovidError(
                f"{self.out}: cannot be made ({reason}); choose another folder by `out`"
            ) from error

    def _run_all(
        self,
        predictor: Predictor,
        options: DetectOptions,
        subjects: Sequence[Subject],
        parts: Parts | None = None,
    ) -> Iterator[Result]:
        """Goes through the videos frame by frame, so many of them at once."""
        batcher = predictor.batcher(options)
        waiting = deque(subjects)
        running: list[VideoRun] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    begun = self._begin(predictor, waiting.popleft(), parts)
                    if isinstance(begun, VideoRun):
                        running.append(begun)
                    else:
                        yield begun
                for run in list(running):
                    over = not run.goes_on
                    if self._is_wrong(run, wait=over):
                        running.remove(run)
                        waiting.appendleft(run.subject)
                    elif over:
                        running.remove(run)
                        yield _finished(run)
                turns = batcher.next_frames([run.targets for run in running])
                for run, turn in zip(list(running), turns, strict=True):
                    try:
                        run.take(turn)
                    except (TrovidError, MemoryError) as error:
                        running.remove(run)
                        run.discard()
                        yield _failed(run.job, error)
        finally:
            for run in running:
                run.discard()
            for subject in subjects:
                end_counting(subject.source)

    def _is_wrong(self, run: VideoRun, *, wait: bool) -> bool:
        """Whether a run goes by frames that the file does not have; it is discarded then."""
        if not turned_out_wrong(run.subject.source, wait=wait):
            return False
        log.info("%s: other frames decode than the file tells of: begun again", run.job.source)
        run.discard()
        return True

    def _begin(
        self, predictor: Predictor, subject: Subject, parts: Parts | None
    ) -> VideoRun | Result:
        """Begins a video; a Result where there is nothing to do, or it cannot be."""
        job = subject.job
        self._count(subject, foresee=self.at_once == 1 and not self.resume)
        if self.stop():
            return Result(job.source, job, losses=[f"{job.source}: interrupted before it began"])
        if parts is None:
            progress = bar(job.name, unit="frames", shown=self.show_progress)
        else:
            progress = nullcontext(parts.tick(job.source))
        try:
            earlier = self._earlier(subject)
            if earlier is None:
                return Result(job.source, job, done_before=True)
            run = VideoRun(subject, self.sinks(subject, self), stop=self.stop)
            try:
                run.begin(predictor, earlier, progress, together=self.at_once > 1)
            except BaseException:
                run.discard()
                raise
        except (TrovidError, MemoryError) as error:
            if turned_out_wrong(subject.source, wait=True):
                return self._begin(predictor, subject, parts)
            return _failed(job, error)
        return run

    def _count(self, subject: Subject, *, foresee: bool) -> None:
        begin_counting(
            subject.source,
            subject.job.name,
            foresee=foresee,
            stop=self.stop,
            show_progress=self.show_progress,
        )

    def _total(self, subject: Subject) -> int:
        """The number of target frames, as far as it is known."""
        if isinstance(subject.source, LiveStream) or self.stop():
            return 0
        self._count(subject, foresee=False)
        try:
            return len(target_frames(subject.source, subject.options))
        except TrovidError:
            return 0

    def _earlier(self, subject: Subject) -> Sequence[Detections] | None:
        """What an earlier run has left; None if it has left nothing to do, and every file is there.

        Sequences go through the whole video: with Seq-NMS everything is done again.
        """
        job, source = subject.job, subject.source
        there = job.existing()
        if not self.resume or not there:
            return ()
        if job.files["json"] not in there:
            name = job.files["json"].name
            raise TrovidError(f"{there[0]}: cannot be resumed without {name}; give `overwrite`")
        if isinstance(source, LiveStream):
            raise TrovidError(f"{job.source}: a stream cannot be resumed; give `overwrite`")
        targets = target_frames(source, subject.options)
        contents = contents_digest(source)
        earlier = earlier_results(
            job.files["json"], subject.head, source.video, targets, contents=contents
        )
        if earlier.complete and len(there) == len(job.files):
            return None
        if subject.options.seq_nms:
            return ()
        if isinstance(source, BlankingReader):
            source.unreadable |= earlier.blank
        return earlier.frames


def _finished(run: VideoRun) -> Result:
    """Completes the files of a video; where that fails, none is left."""
    job = run.job
    try:
        outcome = run.finish()
    except BaseException as error:
        run.discard()
        if isinstance(error, TrovidError | MemoryError):
            return _failed(job, error)
        raise
    losses = list(dict.fromkeys(outcome.problems))
    if not outcome.complete:
        again = "the same command with `resume` goes on"
        losses.append(f"{job.source}: stopped after {outcome.frames} frames; {again}")
    return Result(job.source, job, outcome, losses, outcome.error)


def _failed(job: Job, error: Exception) -> Result:
    return Result(job.source, job, losses=[_loss(job.source, error)], error=error)


def _loss(word: str, error: Exception) -> str:
    """What went wrong with an input, in a line that names it."""
    if isinstance(error, MemoryError):
        return f"{word}: out of memory; smaller pictures need less, and so does `video=False`"
    if isinstance(error, OSError):
        return f"{word}: {error.strerror or error}; check the name"
    return str(error)
