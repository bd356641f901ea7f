"""Every kind of file that `trovid detect` can write, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trovid.datasets.contract import Dataset
from trovid.runs.batch import OutputPlace
from trovid.runs.sinks.outputs import CocoOutput, CsvOutput, JsonOutput, Output
from trovid.structures import Detections, GroundTruth
from trovid.video.file import FileReader
from trovid.video.opening import VideoReader
from trovid.viz.annotated_video import AnnotatedVideo
from trovid.viz.panels import Panels
from trovid.viz.sheet import ContactSheet
from trovid.viz.timeline import Timeline

Makers = dict[str, Callable[[OutputPlace], Output]]
Results = Mapping[str, Sequence[Detections]]


@dataclass(frozen=True)
class Pictures:
    """How pictures of results are drawn.

    Attributes:
        timeline: Whether the video has the scores over time under it.
        side_by_side: Whether the video shows the source beside the detections.
        labels: Ground truth, drawn thin where it holds the video.
        beside: By title what other runs found, by name of the video; each gets a panel.
    """

    timeline: bool = False
    side_by_side: bool = False
    labels: Dataset | None = None
    beside: Mapping[str, Results] = field(default_factory=dict)

    def truth(self, place: OutputPlace) -> list[GroundTruth] | None:
        """The ground truth of a video: that of its file, or of its name; None where there is none.

        A video that the labels lack is drawn without.
        """
        if self.labels is None:
            return None
        source, name = Path(place.job.source).resolve(), place.source.video.name
        named = [v.name for v in self.labels.videos if v.name == name]
        named += [v.name for v in self.labels.videos if self.labels.path(v.name).stem == name]
        own = [v.name for v in self.labels.videos if self.labels.path(v.name).resolve() == source]
        chosen = next(iter(own + named), None)
        return None if chosen is None else self.labels.ground_truth(chosen)

    def panels(self, place: OutputPlace) -> Panels:
        """The panels of a video."""
        name = place.source.video.name
        beside = {
            title: {detections.frame_index: detections for detections in results.get(name, ())}
            for title, results in self.beside.items()
        }
        return Panels(
            title=place.head["model"],
            truth=self.truth(place),
            source=self.side_by_side,
            beside=beside,
        )

    def video(self, place: OutputPlace) -> AnnotatedVideo:
        """The annotated video; a stream, whose end is not known, has no timeline."""
        panels, measures, strip = self.panels(place), place.source.video, None
        if self.timeline and isinstance(place.source, VideoReader):
            options, times = place.options, place.source.times
            end = times[-1] if options.end is None else min(options.end, times[-1])
            height, width = panels.size(measures.height, measures.width)
            strip = Timeline(width, height, start=options.start, end=end, lowest=options.score)
        return AnnotatedVideo(
            place.path, measures, sound=_sound(place), panels=panels, timeline=strip
        )


def output_makers(pictures: Pictures, *, video: bool, csv: bool, coco: bool, sheet: bool) -> Makers:
    """What makes each kind of output that is asked for; JSON always is.

    Args:
        pictures: How pictures are drawn.
        video: Whether to write the annotated video.
        csv: Whether to write the table.
        coco: Whether to write COCO results.
        sheet: Whether to write the contact sheet.
    """
    makers: Makers = {}
    if video:
        makers["video"] = pictures.video
    if csv:
        makers["csv"] = lambda place: CsvOutput(place.path)
    if coco:
        makers["coco"] = lambda place: CocoOutput(place.path)
    if sheet:
        makers["sheet"] = lambda place: ContactSheet(place.path, truth=pictures.truth(place))
    makers["json"] = lambda place: JsonOutput(
        place.path, place.source.video, place.job.source, place.head
    )
    return makers


def _sound(place: OutputPlace) -> Path | None:
    return Path(place.job.source) if isinstance(place.source, FileReader) else None
