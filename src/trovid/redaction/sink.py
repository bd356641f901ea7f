"""The files of a redacted video: the video itself, the report, the JSON with what was filled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from trovid.files import GrowingFile
from trovid.progress import bar
from trovid.redaction.covering import cover, regions
from trovid.redaction.filled import FilledBoxes, filled_trajectories
from trovid.redaction.found import FoundObjects
from trovid.redaction.options import Redaction
from trovid.redaction.page import report_page
from trovid.redaction.report import redaction_report
from trovid.redaction.trajectories import Trajectory
from trovid.runs.provenance import contents_digest
from trovid.runs.sinks.json import json_writer
from trovid.runs.sinks.making import Subject
from trovid.runs.sinks.picture import PictureSink
from trovid.runs.sinks.sink import Sink
from trovid.runs.sinks.video import VideoSink
from trovid.structures import Detections
from trovid.video.blanking import BlankingReader
from trovid.video.file import FileReader
from trovid.video.opening import Frame
from trovid.video.sound import Sound
from trovid.viz.panels import Panels

TECHNICAL = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder", "duration"))
"""Texts that tell how a file was written, not what it shows."""
log = logging.getLogger("trovid")


class RedactionSink:
    """Takes what is found in the whole video, then decodes it again and covers it.

    Frames are read through a `BlankingReader`. Those that could not be decoded, in whichever of the
    two passes, and those that damage may have changed become black.

    Args:
        subject: The video, with identities among its options.
        redaction: What is covered, and how.
        stop: Is asked before each frame whether to stop. What was found before a stop is drawn to
            its end; stopped while drawing, the video ends there.
        show_progress: Whether a bar is shown while drawing.
    """

    wants_pictures = False

    def __init__(
        self,
        subject: Subject,
        redaction: Redaction,
        *,
        stop: Callable[[], bool] = lambda: False,
        show_progress: bool = False,
    ) -> None:
        self.path = subject.job.files["json"]
        self.problems: list[str] = []
        assert isinstance(subject.source, BlankingReader)
        self._source = subject.source
        self._subject = subject
        self._contents = contents_digest(subject.source)
        self._redaction = redaction
        self._stop = stop
        self._show_progress = show_progress
        self._full: list[int] = []
        self._video: Sink | None = None
        self._moments = 0
        self._json = json_writer(self.path, subject.head)
        try:
            self._page = GrowingFile(subject.job.files["report"])
            self._found = FoundObjects(self.path.parent)
        except BaseException:
            self._json.file.discard()
            raise

    def write(self, frame: Frame, detections: Detections) -> None:
        """Takes what was found in a frame."""
        self._found.add(detections)
        if len(detections) >= (self._subject.options.max_detections or 0):
            self._full.append(detections.frame_index)

    def finish(self, *, complete: bool, problems: Sequence[str]) -> bool:
        """Fills the gaps, covers the objects, and writes the files; whether it came to the end."""
        height, width = self._source.video.height, self._source.video.width
        longest = self._redaction.fill_gaps
        filled = filled_trajectories(self._found, longest=longest, size=(height, width))
        extra = FilledBoxes(filled)
        drawn = self._draw(extra)
        whole = drawn == len(self._found)
        blank = self._blank
        self._tell_of_blank(whole, drawn)
        told = list(dict.fromkeys([*problems, *self._source.problems, *self.problems]))
        self._write_files(filled, extra, blank, complete and whole, told)
        return whole

    def publish(self) -> None:
        """Gives the files their names, the JSON last."""
        assert self._video is not None
        self._video.publish()
        self._page.publish()
        self._json.file.publish()
        if self._moments:
            log.warning(
                "%s: %d moment%s for a person to look at before the video is shown",
                self._page.path,
                self._moments,
                "s" * (self._moments > 1),
            )

    def discard(self) -> None:
        """Removes what was written."""
        if self._video is not None:
            self._video.discard()
        self._page.discard()
        self._json.file.discard()
        self._found.close()

    @property
    def _blank(self) -> set[int]:
        wanted = set(self._found.frames)
        doubtful = {index for stretch in self._source.doubtful for index in stretch}
        return wanted & (doubtful | self._source.unreadable)

    def _draw(self, extra: FilledBoxes) -> int:
        """Writes the video; how many frames it has then."""
        self._video = self._drawing()
        doubtful = self._source.doubtful
        stopping, total = self._stop(), len(self._found)
        title = f"{self._subject.job.name}: covering"
        with bar(title, unit="frames", shown=self._show_progress) as tick:
            for place, frame in enumerate(self._source.walk(list(self._found.frames))):
                if not stopping and place and self._stop():
                    self._finish_video()
                    return place
                found = self._found.detections(place)
                if frame.index in self._source.unreadable or any(
                    frame.index in stretch for stretch in doubtful
                ):
                    image = np.zeros_like(frame.image)
                else:
                    image = self._covered(frame, found, extra)
                self._video.write(Frame(frame.index, frame.time, image), found[[]])
                tick(place + 1, total)
        self._finish_video()
        return total

    def _drawing(self) -> Sink:
        """The file of the covered pictures; of a single picture a picture."""
        files, redaction, reader = self._subject.job.files, self._redaction, self._source.reader
        if "picture" in files:
            return PictureSink(files["picture"], panels=Panels())
        sound, metadata = None, {}
        if isinstance(reader, FileReader) and redaction.keep_sound:
            playlist, end = reader.allow_playlist, reader.clock_end
            sound = Sound(reader.path, allow_playlist=playlist, clock_end=end)
        if isinstance(reader, FileReader) and redaction.keep_metadata:
            metadata = {k: v for k, v in reader.metadata.items() if k.lower() not in TECHNICAL}
        return VideoSink(
            files["video"],
            self._source.video,
            sound=sound,
            metadata=metadata,
            pixel_aspect=reader.pixel_aspect if isinstance(reader, FileReader) else None,
        )

    def _finish_video(self) -> None:
        assert self._video is not None
        self._video.finish(complete=True, problems=())
        self.problems += self._video.problems

    def _covered(self, frame: Frame, found: Detections, extra: FilledBoxes) -> np.ndarray:
        redaction, size = self._redaction, (frame.image.shape[0], frame.image.shape[1])
        covers = partial(regions, size=size, by=redaction.by, margin=redaction.margin)
        covered = [*covers(found.boxes.tolist(), masks=found.masks)]
        covered += covers(extra.boxes(frame.index))
        return cover(frame.image, covered, redaction.fill)

    def _tell_of_blank(self, whole: bool, drawn: int) -> None:
        source, count = self._source.source, len(self._blank)
        if count:
            self.problems.append(
                f"{source}: {count} frames cannot be decoded for sure and are black"
            )
        if not whole:
            self.problems.append(
                f"{source}: stopped while covering, the video ends after {drawn} frames"
            )

    def _write_files(
        self,
        filled: Sequence[Trajectory],
        extra: FilledBoxes,
        blank: set[int],
        complete: bool,
        problems: Sequence[str],
    ) -> None:
        subject, redaction, names = self._subject, self._redaction, self._class_names
        video = self._source.video
        assert subject.options.score is not None
        report = redaction_report(
            filled,
            frames=self._found.frames,
            times=self._found.times,
            size=(video.height, video.width),
            class_names=names,
            classes=subject.options.classes or names,
            fill_gaps=redaction.fill_gaps,
            blank=blank,
            full=self._full,
        )
        self._moments = len(report.moments)
        self._json.begin_video(video, subject.job.source, contents=self._contents)
        for place, index in enumerate(self._found.frames):
            facts = {"filled": extra.records(index, names), "blank": index in blank}
            said = {key: value for key, value in facts.items() if value}
            self._json.write(self._found.detections(place), **said)
        self._json.end_video(complete=complete, problems=problems, redaction=report.record())
        self._json.finish()
        self._page.write(
            report_page(
                report,
                source=subject.job.name,
                model=subject.head["model"],
                score=subject.options.score,
                redaction=redaction,
                problems=problems,
            )
        )
        self._page.finish()
        self._found.close()

    @property
    def _class_names(self) -> tuple[str, ...]:
        return tuple(self._subject.head["class_names"])
