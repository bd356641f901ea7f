"""Parquet files of predictions read back, a video at a time, with every check."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trovid.errors import TrovidError
from trovid.runs.parquet.rows import arrow, schema, table_frames, video_columns
from trovid.runs.parquet.writing import METADATA
from trovid.structures import Detections, Video, VideoDetections

if TYPE_CHECKING:
    import pyarrow

NEEDED = ("frame", "label", "score", "x1", "y1", "x2", "y2")
SAME_HEAD = ("model", "weights", "class_names", "options")


@dataclass(frozen=True)
class VideoRecord:
    """What a file says of one of its videos.

    Attributes:
        file: The Parquet file.
        row_groups: First row group and the one after the last.
        video: Name and measures.
        file_name: Where the video was.
        complete: Whether every frame that was asked for is there.
        problems: What was wrong with it.
        class_names: Names of the model's classes.
    """

    file: Path
    row_groups: tuple[int, int]
    video: Video
    file_name: str
    complete: bool
    problems: tuple[str, ...]
    class_names: tuple[str, ...]

    def table(self, columns: tuple[str, ...] | None = None) -> pyarrow.Table:
        """Its rows.

        Args:
            columns: Which columns; None for all.

        Raises:
            TrovidError: If the file is damaged, or holds other columns.
        """
        pa = arrow()
        groups = list(range(*self.row_groups))
        fields = pa.schema([schema().field(name) for name in columns or schema().names])
        try:
            with pa.parquet.ParquetFile(self.file, page_checksum_verification=True) as file:
                if not groups:
                    return fields.empty_table()
                return file.read_row_groups(groups, columns=fields.names).cast(fields)
        except (OSError, pa.ArrowException, KeyError, ValueError, IndexError) as error:
            raise TrovidError(
                f"{self.file}: video '{self.video.name}' cannot be read ({error}); "
                "make the file again"
            ) from error

    def columns(self) -> VideoDetections:
        """Its detections for evaluation."""
        try:
            return video_columns(self.table(NEEDED), self.class_names)
        except ValueError as error:
            raise TrovidError(f"{self.file}: video '{self.video.name}': {error}") from error

    def frames(self) -> Iterator[Detections]:
        """Its detections frame by frame."""
        size = self.video.height, self.video.width
        try:
            yield from table_frames(self.table(), self.class_names, size)
        except ValueError as error:
            raise TrovidError(f"{self.file}: video '{self.video.name}': {error}") from error


class ParquetPredictions(Mapping[str, VideoDetections]):
    """By a video's name what was found in it; a video is read when it is asked for.

    Args:
        path: A Parquet file of trovid, or a folder of them, at any depth.

    Attributes:
        head: What the files say of model and options.
        records: By name what they say of each video.

    Raises:
        TrovidError: If there is none, one is damaged or not of trovid, a video is in two files, or
            the files are of different models or options.
    """

    def __init__(self, path: Path) -> None:
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        files = [file for file in files if not file.name.startswith(".")]
        if not files:
            raise TrovidError(f"{path}: holds no Parquet file")
        self.head: dict[str, Any] = {}
        self.records: dict[str, VideoRecord] = {}
        for file in files:
            head, records = _footer(file)
            for key in SAME_HEAD if self.head else ():
                if head.get(key) != self.head.get(key):
                    raise TrovidError(
                        f"{file}: is of another run than {files[0]}: its {key} differs; "
                        "keep each run in a folder of its own"
                    )
            self.head = self.head or head
            for record in records:
                name = record.video.name
                if name in self.records:
                    raise TrovidError(
                        f"{file}: video '{name}' is in {self.records[name].file} too; keep one"
                    )
                self.records[name] = record

    def __getitem__(self, name: str) -> VideoDetections:
        arrow().default_memory_pool().release_unused()
        return self.records[name].columns()

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


def is_parquet(path: Path) -> bool:
    """Whether predictions at a path are read as Parquet: by its suffix, or it is a folder."""
    return path.is_dir() or path.suffix.lower() == ".parquet"


def _footer(file: Path) -> tuple[dict[str, Any], list[VideoRecord]]:
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(file) as opened:
            metadata, groups = opened.metadata.metadata or {}, opened.num_row_groups
            names = opened.schema_arrow.names
    except (OSError, pa.ArrowException) as error:
        raise TrovidError(f"{file}: cannot be read as Parquet ({error})") from error
    try:
        document = json.loads(metadata[METADATA])
        head = dict(document["head"])
        class_names = tuple(str(name) for name in head["class_names"])
        records = [_record(file, entry, class_names, groups) for entry in document["videos"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TrovidError(f"{file}: holds no predictions of trovid ({error!r})"[:300]) from error
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise TrovidError(f"{file}: has no column {missing[0]!r}; make the file again")
    return head, records


def _record(
    file: Path, entry: Mapping[str, Any], class_names: tuple[str, ...], groups: int
) -> VideoRecord:
    first, last = (int(number) for number in entry["row_groups"])
    if not 0 <= first <= last <= groups:
        raise ValueError(f"row groups {first} to {last} of {groups}")
    video = Video(
        str(entry["name"]),
        int(entry["num_frames"]),
        int(entry["height"]),
        int(entry["width"]),
        float(entry["frame_rate"]),
    )
    return VideoRecord(
        file,
        (first, last),
        video,
        str(entry["file_name"]),
        bool(entry["complete"]),
        tuple(str(problem) for problem in entry["problems"]),
        class_names,
    )
