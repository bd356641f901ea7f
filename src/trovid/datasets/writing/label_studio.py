"""Label Studio's tasks with rectangles in videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.writing.places import counted_place, name_from
from trovid.datasets.writing.tracks import Track, tracks
from trovid.files import replacing
from trovid.structures import Video


def write(path: Path, dataset: Dataset) -> None:
    """Writes a JSON list of tasks, whose regions are annotations."""
    tasks = []
    for number, video in enumerate(dataset.videos, 1):
        regions = [_region(i, t, video) for i, t in enumerate(tracks(dataset, video.name))]
        tasks.append(
            {
                "id": number,
                "data": {"video": name_from(path.parent, counted_place(dataset, video.name))},
                "annotations": [{"id": number, "was_cancelled": False, "result": regions}],
            }
        )
    with replacing(path) as partial:
        partial.write_text(json.dumps(tasks, indent=1), encoding="utf-8")


def _region(number: int, track: Track, video: Video) -> dict[str, Any]:
    sequence = []
    for place, (frame, box) in enumerate(zip(track.frames, track.boxes, strict=True)):
        following = track.frames[place + 1] if place + 1 < len(track.frames) else None
        x1, y1, x2, y2 = box
        sequence.append(
            {
                "frame": frame + 1,
                "enabled": following == frame + 1,
                "rotation": 0,
                "x": round(100 * x1 / video.width, 4),
                "y": round(100 * y1 / video.height, 4),
                "width": round(100 * (x2 - x1) / video.width, 4),
                "height": round(100 * (y2 - y1) / video.height, 4),
                "time": round(frame / video.frame_rate, 4) if video.frame_rate else 0.0,
            }
        )
    rate = video.frame_rate
    value = {
        "framesCount": video.num_frames,
        "duration": round(video.num_frames / rate, 4) if rate else 0.0,
        "sequence": sequence,
        "labels": [track.label],
    }
    apart = {"from_name": "box", "to_name": "video", "type": "videorectangle", "origin": "manual"}
    return {"id": f"track{number}", "value": value, **apart}
