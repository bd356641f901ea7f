"""Every kind of file that `trovid detect` can write, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trovid.data.video_file import FileReader
from trovid.data.video_io import VideoReader
from trovid.inference.batch import OutputPlace
from trovid.inference.outputs import CocoOutput, CsvOutput, JsonOutput, Output
from trovid.viz.annotated_video import AnnotatedVideo
from trovid.viz.sheet import ContactSheet
from trovid.viz.timeline import Timeline

Makers = dict[str, Callable[[OutputPlace], Output]]


def output_makers(
    *, video: bool, csv: bool, coco: bool, sheet: bool, timeline: bool = False
) -> Makers:
    """What makes each kind of output that is asked for; JSON always is.

    Args:
        video: The annotated video.
        csv: The table.
        coco: COCO results.
        sheet: The contact sheet.
        timeline: Whether the video has the scores over time under it.
    """
    makers: Makers = {}
    if video:
        makers["video"] = _with_timeline if timeline else _plain
    if csv:
        makers["csv"] = lambda place: CsvOutput(place.path)
    if coco:
        makers["coco"] = lambda place: CocoOutput(place.path)
    if sheet:
        makers["sheet"] = lambda place: ContactSheet(place.path)
    makers["json"] = lambda place: JsonOutput(
        place.path, place.source.video, place.job.source, place.head
    )
    return makers


def _plain(place: OutputPlace) -> AnnotatedVideo:
    return AnnotatedVideo(place.path, place.source.video, sound=_sound(place))


def _with_timeline(place: OutputPlace) -> AnnotatedVideo:
    if not isinstance(place.source, VideoReader):
        return _plain(place)
    measures, options, times = place.source.video, place.options, place.source.times
    end = times[-1] if options.end is None else min(options.end, times[-1])
    strip = Timeline(
        measures.width, measures.height, start=options.start, end=end, lowest=options.score
    )
    return AnnotatedVideo(place.path, measures, sound=_sound(place), timeline=strip)


def _sound(place: OutputPlace) -> Path | None:
    return Path(place.job.source) if isinstance(place.source, FileReader) else None
