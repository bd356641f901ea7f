"""The figures of tracks, under the protocol of YouTube-VIS or of MOT Challenge."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.video_names import by_labels
from trovid.evaluation.bootstrap import Interval
from trovid.evaluation.protocols.davis import similarity
from trovid.evaluation.protocols.mot import TrackingCounts, tracking_figures
from trovid.evaluation.protocols.youtube_vis import match_tracks, vis_figures
from trovid.evaluation.tables import Table, per_cent
from trovid.evaluation.track_bootstrap import tracking_intervals, vis_intervals
from trovid.evaluation.tracking import Predictions, both_tracks, sequence_counts
from trovid.files import replacing
from trovid.structures import Detections

Row = Mapping[str, float]
VIS = "YouTube-VIS: AP of tracks, IoU over all frames, 101 recall points, 100 tracks a video"
MOT = "MOT Challenge: HOTA, CLEAR, Identity"
AMODAL = "Masks are amodal: the whole shape of an object, whatever lies in front of it."
_VIS_COLUMNS = {
    "AP": "ap",
    "AP50": "ap50",
    "AP75": "ap75",
    "AR1": "ar1",
    "AR10": "ar10",
    "small": "ap_small",
    "medium": "ap_medium",
    "large": "ap_large",
}
_MOT_COLUMNS = {
    "HOTA": "hota",
    "DetA": "det_a",
    "AssA": "ass_a",
    "MOTA": "mota",
    "IDF1": "idf1",
    "recall": "recall",
    "precision": "precision",
}
_SIMILARITY = ("surest", "oracle")
_MOT_COUNTS = {"switches": "switches", "fragments": "fragments", "objects": "objects"}


@dataclass(frozen=True)
class TrackReport:
    """What `evaluate_vis` or `evaluate_mot` found.

    Figures are fractions of 1 here and in JSON, per cent in tables; NaN (in JSON null) where there
    is nothing to find.

    Attributes:
        head: Protocol, versions, how much was evaluated.
        overall: Figures by name: those of `VisFigures` or of `TrackingFigures`.
        per_class: The same of each class.
        per_video: The same of each video; with MOT alone.
        visible: `overall` of the visible parts, where the labels tell them beside whole shapes.
        similarity: Where classes do not matter, region similarity J of the surest track and of the
            best by oracle (`Similarity`), of all videos ("all": the mean) and of each.
        intervals: Where asked for, some figures of `overall` ("all") and of `visible` ("visible"),
            each with the interval that other videos would give.
    """

    head: dict[str, Any]
    overall: Row
    per_class: dict[str, Row]
    per_video: dict[str, Row] = field(default_factory=dict)
    visible: Row | None = None
    similarity: dict[str, Row] = field(default_factory=dict)
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "head": self.head,
            "overall": _plain(self.overall),
            "visible": None if self.visible is None else _plain(self.visible),
            "per_class": {name: _plain(row) for name, row in self.per_class.items()},
            "per_video": {name: _plain(row) for name, row in self.per_video.items()},
            "similarity": {name: _plain(row) for name, row in self.similarity.items()},
            "intervals": {
                part: {name: asdict(interval) for name, interval in figures.items()}
                for part, figures in self.intervals.items()
            },
        }

    def save(self, path: str | Path) -> None:
        """Write JSON; the file appears whole or not at all.

        Raises:
            TrovidError: If it cannot be written.
        """
        with replacing(Path(path)) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def tables(self) -> list[Table]:
        """All figures, then each class and each video, in per cent."""
        mot = "hota" in self.overall
        columns, counts = (_MOT_COLUMNS, _MOT_COUNTS) if mot else (_VIS_COLUMNS, {})
        if not mot:
            counts = {"number": "num_objects"}

        def rows(named_rows: Mapping[str, Row]) -> list[tuple[str, ...]]:
            return [
                (
                    name,
                    *(per_cent(row[key]) for key in columns.values()),
                    *(str(row[key]) for key in counts.values()),
                )
                for name, row in named_rows.items()
            ]

        videos, frames = self.head["videos"], self.head["frames"]
        title = f"{self.head['protocol']}\nin per cent, {frames} frames of {videos} videos"
        every = {"all": self.overall}
        if self.visible is not None:
            every = {"whole shapes (amodal)": self.overall, "visible parts": self.visible}
        parts = [(title, "", every), ("", "class", self.per_class), ("", "video", self.per_video)]
        tables = [
            Table(text, (first, *columns, *counts), rows(named_rows))
            for text, first, named_rows in parts
            if named_rows
        ]
        if self.intervals:
            tables.insert(1, self._interval_table({k: title for title, k in columns.items()}))
        if self.similarity:
            lines = [
                (name, per_cent(row["surest"]), per_cent(row["oracle"]))
                for name, row in self.similarity.items()
            ]
            title = "J in per cent: of the surest track, and of the best (chosen with the truth)"
            tables.append(Table(title, ("video", "surest", "oracle"), lines))
        return tables

    def _interval_table(self, titles: Mapping[str, str]) -> Table:
        rows = []
        for part, figures in self.intervals.items():
            for name, interval in figures.items():
                values = interval.value, interval.low, interval.high
                counted = name in _MOT_COUNTS.values()
                cells = [f"{x:.0f}" if counted else per_cent(x) for x in values]
                title = titles.get(name, name)
                rows.append((title if part == "all" else f"{title}, {part} parts", *cells))
        return Table("95 % intervals over the videos", ("", "value", "from", "to"), rows)


def evaluate_vis(
    predictions: Predictions,
    dataset: Dataset,
    *,
    masks: bool = True,
    class_agnostic: bool = False,
    head: Mapping[str, Any] | None = None,
    resamples: int = 0,
) -> TrackReport:
    """AP and AR of tracks: the metric of YouTube-VIS.

    Args:
        predictions: By the video's name its frames with `track_ids` (those frames count), or its
            tracks (all labelled frames count).
        dataset: Ground truth. Where it tells the visible parts beside whole shapes, both are
            measured.
        masks: Whether tracks are of masks; else they are of boxes.
        class_agnostic: Whether all objects are taken for one class; then J is told too.
        head: More to say in the report's head: the model, the files.
        resamples: How often the videos are drawn for the intervals of AP; 0: no intervals.

    Raises:
        TrovidError: If predictions and labels do not fit.
    """
    classes = ("object",) if class_agnostic else dataset.class_names
    options = {"masks": masks, "class_agnostic": class_agnostic}
    found, true = both_tracks(predictions, dataset, **options)
    cells = {"all": match_tracks(found, true)}
    overall, per_class = vis_figures(cells["all"], len(classes))
    amodal = masks and dataset.amodal
    visible = None
    if amodal and dataset.objects.visible_masks is not None:
        parts = both_tracks(predictions, dataset.with_visible_masks(), **options)
        cells["visible"] = match_tracks(*parts)
        visible = asdict(vis_figures(cells["visible"], len(classes))[0])
    similarities: dict[str, Row] = {}
    if class_agnostic:
        by_video = {name: asdict(similarity(found[name], true[name])) for name in true}
        every = {key: float(np.nanmean([r[key] for r in by_video.values()])) for key in _SIMILARITY}
        similarities = {"all": every, **by_video}
    settings = {
        "protocol": VIS if masks else VIS.replace("tracks,", "tracks of boxes,"),
        **({"masks": AMODAL} if amodal else {}),
        "videos": len(true),
        "frames": sum(len(tracks.frames) for tracks in true.values()),
        "tracks": sum(map(len, found.values())),
    }
    return TrackReport(
        _head(settings, head),
        asdict(overall),
        {n: asdict(f) for n, f in zip(classes, per_class, strict=True)},
        visible=visible,
        similarity=similarities,
        intervals={
            part: vis_intervals(part_cells, list(true), len(classes), resamples=resamples)
            for part, part_cells in cells.items()
            if resamples and overall.num_objects
        },
    )


def evaluate_mot(
    predictions: Mapping[str, Sequence[Detections]],
    dataset: Dataset,
    *,
    masks: bool = False,
    class_agnostic: bool = False,
    head: Mapping[str, Any] | None = None,
    resamples: int = 0,
) -> TrackReport:
    """HOTA, MOTA, IDF1 and what belongs to them, counted over all classes and videos.

    Args:
        predictions: By the video's name its frames with `track_ids`; those frames count.
        dataset: Ground truth.
        masks: Whether masks overlap; else boxes do.
        class_agnostic: Whether identities are compared whatever their class.
        head: More to say in the report's head: the model, the files.
        resamples: How often the videos are drawn for the intervals of HOTA, MOTA, IDF1 and
            switches; 0: no intervals.

    Raises:
        TrovidError: If predictions and labels do not fit.
    """
    predictions = by_labels(predictions, dataset)
    counts = sequence_counts(predictions, dataset, masks=masks, class_agnostic=class_agnostic)
    videos = {name: None for by_video in counts.values() for name in by_video}
    frames = sum(
        len({f.frame_index for f in predictions[name]} & {*dataset.labelled_frames(name).tolist()})
        for name in videos
    )
    settings = {
        "protocol": f"{MOT}, IoU of {'masks' if masks else 'boxes'}",
        "videos": len(videos),
        "frames": frames,
    }

    def figures(some: list[TrackingCounts]) -> Row:
        return asdict(tracking_figures(reduce(add, some)))

    parts = {
        video: [by_video[video] for by_video in counts.values() if video in by_video]
        for video in videos
    }
    intervals = {}
    if resamples:
        sums = [reduce(add, of_video) for of_video in parts.values()]
        intervals["all"] = tracking_intervals(sums, resamples=resamples)
    return TrackReport(
        _head(settings, head),
        figures([part for of_video in parts.values() for part in of_video]),
        {
            name: figures(list(by_video.values()))
            for name, by_video in counts.items()
            if name and by_video
        },
        {video: figures(of_video) for video, of_video in parts.items()},
        intervals=intervals,
    )


def _head(settings: Mapping[str, Any], more: Mapping[str, Any] | None) -> dict[str, Any]:
    from trovid import __version__

    return {"trovid": __version__, **settings, **(more or {})}


def _plain(row: Row) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in row.items()}
