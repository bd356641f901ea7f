"""Pictures as videos of one frame: what readers of stills share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.structures import Video


class Stills:
    """Collects labelled pictures, each its own video and its own support.

    Attributes:
        rows: Takes the objects: `rows.add(stills.number, 0, ...)` belongs to the picture that is
            added next.
    """

    def __init__(self) -> None:
        self.rows = ObjectRows()
        self._entries: list[VideoEntry] = []
        self._names: set[str] = set()

    @property
    def number(self) -> int:
        """Number of the picture that is added next."""
        return len(self._entries)

    def add(self, path: Path, name: str, *, height: int, width: int) -> None:
        """The next picture; a name that is taken gets a number."""
        unique, copies = name, 1
        while unique in self._names:
            copies += 1
            unique = f"{name}#{copies}"
        self._names.add(unique)
        self._entries.append(VideoEntry(Video(unique, 1, height, width), str(path), [0]))

    def dataset(self, class_names: Sequence[str], **info: str) -> Dataset:
        """All of them; boxes are said to be written by corners."""
        return Dataset(
            class_names, self._entries, self.rows.objects(), info=info, box_layout="xyxy"
        )
