"""NAME.youtube-vis.json: one entry a track, as YouTube-VIS's server takes it."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trovid.files import GrowingFile, unwritable
from trovid.runs.sinks.json import SCORE_DECIMALS
from trovid.structures import Detections
from trovid.video.opening import Frame


@dataclass
class _Track:
    """What is remembered of a track; its masks lie on the disk."""

    score: float = 0.0
    labels: Counter[int] = field(default_factory=Counter)
    places: array[int] = field(default_factory=lambda: array("q"))


class YouTubeVisSink:
    """A list of tracks: `video_id` 1, mean `score`, `category_id`, `segmentations`.

    `segmentations` has an entry for each frame that was looked at, null where the object is not
    seen. `category_id` is the place, from 1, of the class that most of the track's detections have
    (of the one seen first where two are as many). Masks wait in a file beside, so that memory does
    not grow with them.
    """

    wants_pictures = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._file = GrowingFile(path)
        try:
            self._waiting = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        except OSError as error:
            self._file.discard()
            raise unwritable(path, error) from error
        self._tracks: dict[int, _Track] = {}
        self._frames = 0
        self._size = 0

    def write(self, frame: Frame, detections: Detections) -> None:
        """Adds a frame."""
        assert detections.masks is not None or not len(detections)
        ids = [] if detections.track_ids is None else detections.track_ids.tolist()
        codes = [] if detections.masks is None else detections.masks.to_coco()
        rows = zip(ids, codes, detections.scores.tolist(), detections.labels.tolist(), strict=True)
        try:
            for number, code, score, label in rows:
                text = json.dumps(code).encode("ascii")
                self._waiting.write(text)
                track = self._tracks.setdefault(number, _Track())
                track.score += score
                track.labels[label] += 1
                track.places.extend((self._frames, self._size, len(text)))
                self._size += len(text)
        except OSError as error:
            self.discard()
            raise unwritable(self.path, error) from error
        self._frames += 1

    def finish(self, *, complete: bool, problems: Sequence[str]) -> None:
        """Completes the file, track after track."""
        before = "[\n"
        for number in sorted(self._tracks):
            for text in self._entry(self._tracks[number]):
                self._file.write(before + text)
                before = ""
            before = ",\n"
        self._file.write("[]\n" if not self._tracks else "\n]\n")
        self._waiting.close()
        self._file.finish()

    def _entry(self, track: _Track) -> Iterator[str]:
        head: dict[str, Any] = {
            "video_id": 1,
            "score": round(track.score / track.labels.total(), SCORE_DECIMALS),
            "category_id": track.labels.most_common(1)[0][0] + 1,
        }
        yield f'{json.dumps(head)[:-1]}, "segmentations": ['
        frame = 0
        places = iter(track.places)
        for index, start, length in zip(places, places, places, strict=True):
            yield "null, " * (index - frame)
            self._waiting.seek(start)
            yield self._waiting.read(length).decode("ascii")
            frame = index + 1
            yield ", " if frame < self._frames else ""
        yield ", ".join(["null"] * (self._frames - frame)) + "]}"

    def publish(self) -> None:
        """Gives the file its name."""
        self._file.publish()

    def discard(self) -> None:
        """Removes what was written."""
        self._waiting.close()
        self._file.discard()
