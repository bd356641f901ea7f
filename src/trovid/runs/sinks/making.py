"""Every kind of file that a run can write, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.video_names import labelled_name
from trovid.errors import OptionError, TrovidError
from trovid.inference.target_frames import target_frames
from trovid.runs.jobs import Job
from trovid.runs.provenance import contents_digest
from trovid.runs.sinks.coco import CocoSink
from trovid.runs.sinks.csv import CsvSink
from trovid.runs.sinks.json import JsonSink
from trovid.runs.sinks.mask_pictures import MaskPicturesSink
from trovid.runs.sinks.mot import MotSink
from trovid.runs.sinks.parquet import ParquetSink
from trovid.runs.sinks.picture import PictureSink
from trovid.runs.sinks.sheet import SheetSink
from trovid.runs.sinks.sink import Sink
from trovid.runs.sinks.video import VideoSink
from trovid.runs.sinks.youtube_vis import YouTubeVisSink
from trovid.structures import Detections, DetectOptions, GroundTruth
from trovid.video.file import FileReader
from trovid.video.live import LiveStream
from trovid.video.opening import Frame, VideoReader
from trovid.video.sound import Sound
from trovid.viz.canvas import USUAL_LABELS, LabelStyle
from trovid.viz.identities import IdentityOverlay
from trovid.viz.panels import Panels
from trovid.viz.timeline import Timeline
from trovid.viz.window import Window

log = logging.getLogger("trovid")
Results = Mapping[str, Sequence[Detections]]


@dataclass(frozen=True)
class Pictures:
    """How pictures of results are drawn.

    Attributes:
        timeline: Whether the video has the scores over time under it.
        side_by_side: Whether the video shows the source beside the detections.
        labels: Ground truth, drawn thin where it holds the video.
        beside: By title what other runs found, by name of the video; each gets a panel.
        style: How labels of objects are written.
        window: Shows the pictures while they come; None for none.
    """

    timeline: bool = False
    side_by_side: bool = False
    labels: Dataset | None = None
    beside: Mapping[str, Results] = field(default_factory=dict)
    style: LabelStyle = USUAL_LABELS
    window: Window | None = None


@dataclass(frozen=True)
class Subject:
    """The video whose results are written.

    Attributes:
        job: Input and files.
        source: The opened input.
        head: Model, versions and options for the head of a file.
        options: What is asked for, resolved.
        pictures: How pictures are drawn.
    """

    job: Job
    source: VideoReader | LiveStream
    head: dict[str, Any]
    options: DetectOptions
    pictures: Pictures

    @property
    def truth(self) -> list[GroundTruth] | None:
        """The ground truth of the video: that of its file, or of its name; None where none is."""
        labels = self.pictures.labels
        if labels is None:
            return None
        source = Path(self.job.source).resolve()
        names = (v.name for v in labels.videos if labels.path(v.name).resolve() == source)
        chosen = next(names, None) or labelled_name(self.source.video.name, labels)
        if chosen is None:
            return None
        stated, there = labels.video(chosen).num_frames, self.source.video.num_frames
        if 0 < there < stated:
            raise TrovidError(
                f"{self.job.source}: has {there} frames, but its labels say {stated}: correct the "
                "labels, or give those of this video"
            )
        return labels.ground_truth(chosen)

    @property
    def window(self) -> Shown | None:
        """What shows the video while it is run; None for nothing."""
        window = self.pictures.window
        return None if window is None else Shown(window, self.panels, self.job.name)

    @property
    def panels(self) -> Panels:
        """What the annotated video shows side by side."""
        name = self.source.video.name
        beside = {
            title: {detections.frame_index: detections for detections in results.get(name, ())}
            for title, results in self.pictures.beside.items()
        }
        return Panels(
            title=self.head["model"],
            truth=self.truth,
            source=self.pictures.side_by_side,
            beside=beside,
            overlay=IdentityOverlay(self.pictures.style) if self.options.track else None,
            style=self.pictures.style,
        )


@dataclass(frozen=True)
class Shown:
    """One video in a window.

    Attributes:
        window: The window.
        panels: How a picture is put together.
        title: Of the window.
    """

    window: Window
    panels: Panels
    title: str

    def show(self, frame: Frame, detections: Detections) -> None:
        """Shows a frame, as long as the window is open."""
        if self.window.is_open:
            self.window.show(self.panels.picture(frame, detections), self.title)


def _json(path: Path, subject: Subject) -> Sink:
    contents = contents_digest(subject.source)
    return JsonSink(path, subject.source.video, subject.job.source, subject.head, contents=contents)


def _parquet(path: Path, subject: Subject) -> Sink:
    return ParquetSink(path, subject.source.video, subject.job.source, subject.head)


def _video(path: Path, subject: Subject) -> Sink:
    """A stream, whose end is not known, has no timeline."""
    panels, measures, strip = subject.panels, subject.source.video, None
    if subject.pictures.timeline and isinstance(subject.source, VideoReader):
        options, times = subject.options, subject.source.times
        end = times[-1] if options.end is None else min(options.end, times[-1])
        height, width = panels.size(measures.height, measures.width)
        assert options.score is not None
        strip = Timeline(width, height, start=options.start, end=end, lowest=options.score)
    sound, reader = None, subject.source
    if isinstance(reader, FileReader):
        playlist, end = reader.allow_playlist, reader.clock_end
        sound = Sound(reader.path, allow_playlist=playlist, clock_end=end)
    aspect = reader.pixel_aspect if isinstance(reader, FileReader | LiveStream) else None
    return VideoSink(
        path, measures, sound=sound, panels=panels, timeline=strip, pixel_aspect=aspect
    )


def _sheet(path: Path, subject: Subject) -> Sink:
    total = None
    if isinstance(subject.source, VideoReader):
        total = len(target_frames(subject.source, subject.options))
    return SheetSink(path, total=total, truth=subject.truth, style=subject.pictures.style)


SINKS: dict[str, Callable[[Path, Subject], Sink]] = {
    "video": _video,
    "csv": lambda path, subject: CsvSink(path),
    "coco": lambda path, subject: CocoSink(path),
    "picture": lambda path, subject: PictureSink(path, panels=subject.panels),
    "sheet": _sheet,
    "parquet": _parquet,
    "youtube-vis": lambda path, subject: YouTubeVisSink(path),
    "masks": lambda path, subject: MaskPicturesSink(path),
    "mot": lambda path, subject: MotSink(path),
    "json": _json,
}
"""What makes each kind of file (keys of `trovid.runs.jobs.ENDINGS`)."""


def check_drawn(
    jobs: Sequence[Job], sources: Mapping[str, VideoReader | LiveStream], pictures: Pictures
) -> None:
    """That what is to be drawn has something to be drawn into; what lacks it for some is said.

    Args:
        jobs: Inputs and files.
        sources: The opened inputs by name.
        pictures: How pictures are drawn.

    Raises:
        OptionError: If nothing shows one of the things asked for.
    """
    panels = {"video", "picture"}
    style = pictures.style
    asked = {
        "timeline": (pictures.timeline, {"video"}),
        "side_by_side": (pictures.side_by_side, panels),
        "beside": (bool(pictures.beside), panels),
        "labels": (pictures.labels is not None, panels | {"sheet"}),
        "no_labels": (not style.shown, panels | {"sheet"}),
        "label_size": (style.size is not None, panels | {"sheet"}),
    }
    for name, (wanted, kinds) in asked.items():
        timeline = name == "timeline"
        if not wanted or (pictures.window is not None and not timeline):
            continue
        where = "the video, of a source that ends" if timeline else "pictures"
        without = [
            job.source
            for job in jobs
            if not kinds & job.files.keys()
            or (timeline and isinstance(sources[job.source], LiveStream))
        ]
        if len(without) == len(jobs) > 0:
            raise OptionError(f"`{name}` is drawn into {where}, and none is written: leave it out")
        if without:
            more = f" (and {len(without) - 1} more)" if len(without) > 1 else ""
            log.warning("%s%s: no file of it shows `%s`", without[0], more, name)


def _say_absent(subject: Subject) -> None:
    """Names what was to be drawn and does not hold the video."""
    source, pictures = subject.job.source, subject.pictures
    if pictures.labels is not None and subject.truth is None:
        log.warning("%s: is not among the videos of `labels`: none are drawn", source)
    for title, results in pictures.beside.items():
        if subject.source.video.name not in results:
            log.warning("%s: is not in the `beside` of %s: its panel stays empty", source, title)


def make_sinks(subject: Subject) -> list[Sink]:
    """The files of a job, in its order: JSON last, so that where it is, all are complete.

    Raises:
        TrovidError: If one cannot be written; none is left then.
    """
    _say_absent(subject)
    sinks: list[Sink] = []
    try:
        for kind, path in subject.job.files.items():
            sinks.append(SINKS[kind](path, subject))
    except BaseException:
        for sink in sinks:
            sink.discard()
        raise
    return sinks
