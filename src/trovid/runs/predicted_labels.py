"""Predictions as labels, to be corrected in a labelling tool."""

from __future__ import annotations

from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.runs.predictions import parse_predictions, read_document
from trovid.structures import Detections, Video
from trovid.tracking.association import BoxLinker


def is_predictions(path: Path) -> bool:
    """Whether a file is what `trovid detect` writes; it is read to its end only if it is JSON."""
    if not path.is_file() or path.suffix.lower() != ".json":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return '"head"' in file.read(200)


def predicted_labels(path: Path, *, score: float = 0.0) -> Dataset:
    """The detections of a file as labels; every predicted frame counts as looked at.

    Where the detections have no track ids, boxes of one class that overlap from frame to frame
    become one object.

    Args:
        path: JSON of `trovid detect`.
        score: Lowest score of a detection.

    Raises:
        TrovidError: If the file cannot be read or does not fit.
    """
    document = read_document(path)
    head, found = parse_predictions(document, path)
    rows, entries = ObjectRows(), []
    for number, (record, frames) in enumerate(zip(document["videos"], found.values(), strict=True)):
        if "num_frames" not in record:
            raise TrovidError(f"{path}: videos[{number}] has no `num_frames`")
        measures = (int(record[key]) for key in ("num_frames", "height", "width"))
        video = Video(record["name"], *measures, float(record.get("frame_rate", 0.0)))
        linker = BoxLinker()
        for detections in sorted(frames, key=lambda frame: frame.frame_index):
            _add(rows, number, detections[detections.scores >= score], linker)
        labelled = sorted({detections.frame_index for detections in frames})
        entries.append(VideoEntry(video, str(record["file_name"]), labelled))
    info = {"name": f"predictions of {head.get('model')}"}
    return Dataset(head["class_names"], entries, rows.objects(), info=info, box_layout="xyxy")


def _add(rows: ObjectRows, video: int, detections: Detections, linker: BoxLinker) -> None:
    ids = detections.track_ids
    if ids is None:
        ids = linker.link(detections.boxes, detections.labels)
    for box, label, number, score in zip(
        detections.boxes.tolist(),
        detections.labels.tolist(),
        ids.tolist(),
        detections.scores.tolist(),
        strict=True,
    ):
        rows.add(
            video,
            detections.frame_index,
            label,
            box,
            instance_id=max(0, number),
            attributes={"score": score},
        )
