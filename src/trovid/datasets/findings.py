"""What may be wrong with labelled videos: each fault has a name and a level that never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from trovid.errors import TrovidError

Level = Literal["error", "warning"]
SHOWN_PLACES = 20

ERRORS = {
    "unreadable-labels": "the labels, or a part of them, cannot be read",
    "no-objects": "no object is labelled",
    "unknown-class": "an object's class is none of the classes",
    "classes-differ": "the splits have different classes",
    "box-xyxy": "boxes read as x, y, width, height are x1, y1, x2, y2",
    "box-xywh": "boxes read as x1, y1, x2, y2 are x, y, width, height",
    "box-normalised": "boxes are shares of the frame where pixels are wanted",
    "box-in-pixels": "boxes are pixels where shares of the frame are wanted",
    "box-degenerate": "boxes without width or height",
    "box-too-large": "boxes more than half as large again as the frame",
    "box-outside": "boxes whose middle lies outside the frame",
    "size-swapped": "width and height are exchanged",
    "size-differs": "the frames have another size than the labels say",
    "missing-video": "a video file or folder of frames is missing",
    "unreadable-video": "no frame of a video can be read",
    "empty-video": "a video has no frame",
    "empty-file": "a file has no bytes",
    "missing-frame": "a video has fewer frames than its labels say, or a frame's file is missing",
    "unreadable-frame": "a frame cannot be decoded",
    "stray-picture": "a folder holds pictures that are no frames, which shifts the labels",
    "frame-order": "the frames' numbers and the order of their file names contradict each other",
    "frame-outside": "a label's frame lies outside its video",
    "repeated-id": "an instance id comes twice in a frame",
    "duplicate-video": "a video is in two splits",
}
WARNINGS = {
    "no-val": "no validation videos",
    "unlabelled-video": "a video without labelled frames",
    "unused-class": "a class without an object",
    "class-not-in-train": "a class that the training videos do not show",
    "box-beyond-frame": "boxes that reach over the edge of the frame",
    "box-tiny": "boxes narrower than two pixels",
    "repeated-box": "the same object is labelled twice in a frame",
    "jumping-id": "the boxes of an instance id jump from one frame to the next",
    "id-of-two-classes": "the boxes of an instance id are of several classes",
    "no-ids": "the objects of a video have no instance ids",
    "frame-gap": "a number is missing in the names of a folder's frames",
    "longer-video": "a video has more frames than its labels say",
    "damaged-video": "a video is damaged in places",
    "repeated-video": "a video is there twice",
}
MEANINGS = {**ERRORS, **WARNINGS}


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one split.

    Attributes:
        name: A key of `ERRORS` or `WARNINGS`.
        message: What is wrong, with the first place, and what helps.
        split: "train", "val", "test", or "" where there are no splits.
        places: Where (video, frame, position in the file), the first ones.
        count: How often.
    """

    name: str
    message: str
    split: str = ""
    places: tuple[str, ...] = ()
    count: int = 1

    @property
    def level(self) -> Level:
        """Whether it is an error or a warning, which its name fixes."""
        return "error" if self.name in ERRORS else "warning"

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return {"level": self.level, **asdict(self), "places": list(self.places)}

    def __str__(self) -> str:
        where = f"{self.split}: " if self.split else ""
        return f"{self.level} {self.name}: {where}{self.message}"


class Faults:
    """What a reader does about a part of the labels that does not fit: raise, or note and go on.

    Args:
        collect: Whether faults are noted, so that all are found in one reading. Data read in this
            way lacks what could not be read and is there to be looked at, not to be used.
    """

    def __init__(self, *, collect: bool = False) -> None:
        self.collect = collect
        self._found: dict[str, list[tuple[str, str]]] = {}

    def add(self, name: str, message: str, *, place: str = "") -> None:
        """A fault.

        Args:
            name: A key of `ERRORS` or `WARNINGS`.
            message: What is wrong and what helps, in one line.
            place: Where.

        Raises:
            TrovidError: With the place and the message, unless faults are collected.
        """
        if not self.collect:
            raise TrovidError(f"{place}: {message}" if place else message)
        self._found.setdefault(name, []).append((place, message))

    def findings(self, split: str = "") -> list[Finding]:
        """What was noted, one entry a kind."""
        return [grouped(name, split, found) for name, found in self._found.items()]


def grouped(name: str, split: str, found: Sequence[tuple[str, str]]) -> Finding:
    """One finding of several places with a message each; the first message is shown."""
    places = tuple(dict.fromkeys(place for place, _ in found if place))
    place, message = found[0]
    text = f"{place}: {message}" if place else message
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Finding(name, text + more, split, places[:SHOWN_PLACES], len(found))
