"""A Parquet file of predictions, video after video; whole under its name or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trovid import __version__
from trovid.errors import TrovidError
from trovid.files import partial_name, publish, remove, unwritable
from trovid.runs.parquet.rows import arrow, detection_table, schema
from trovid.structures import Detections, Video

if TYPE_CHECKING:
    import pyarrow

ROWS_AT_ONCE = 200_000
METADATA = b"trovid"


class ParquetWriter:
    """Writes predictions as they come; `finish` and `publish` give the file its name.

    Each video has row groups of its own. The file's metadata hold under "trovid" the head and a
    record for each video: its name, measures, row groups, whether it is complete, and problems.

    Args:
        path: The file.
        head: Model, class names, options, versions.
        rows_at_once: About how many rows a row group has.

    Raises:
        TrovidError: If pyarrow is missing, or the file cannot be written, here or in a method.
    """

    def __init__(
        self, path: Path, *, head: Mapping[str, Any], rows_at_once: int = ROWS_AT_ONCE
    ) -> None:
        self.path = path
        self._rows_at_once = rows_at_once
        self._head = {"trovid": __version__, **head}
        self._partial = partial_name(path)
        self._videos: list[dict[str, Any]] = []
        self._waiting: list[Detections] = []
        self._rows = self._groups = 0
        parquet = arrow().parquet
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = self._partial.open("wb")
            self._file = parquet.ParquetWriter(
                self._sink, schema(), compression="zstd", write_page_checksum=True
            )
        except OSError as error:
            remove(self._partial)
            raise unwritable(path, error) from error

    def begin_video(self, video: Video, file_name: str | Path) -> None:
        """Starts a video; its frames follow by `write` or `write_table`, its end by `end_video`."""
        self._videos.append(
            {
                "name": video.name,
                "file_name": str(file_name),
                "width": video.width,
                "height": video.height,
                "num_frames": video.num_frames,
                "frame_rate": video.frame_rate,
                "row_groups": [self._groups, self._groups],
            }
        )

    def write(self, detections: Detections) -> None:
        """Adds a frame to the video that was begun."""
        self._waiting.append(detections)
        self._rows += max(len(detections), 1)
        if self._rows >= self._rows_at_once:
            self._flush()

    def write_table(self, table: pyarrow.Table) -> None:
        """Adds rows to the video that was begun."""
        if not len(table):
            return
        try:
            self._file.write_table(table, row_group_size=len(table))
        except OSError as error:
            self.discard()
            raise unwritable(self.path, error) from error
        self._groups += 1

    def end_video(self, *, complete: bool = True, problems: Sequence[str] = ()) -> None:
        """Ends the video that was begun.

        Args:
            complete: Whether every frame that was asked for is there.
            problems: What was wrong with the video, one line each.
        """
        self._flush()
        record = self._videos[-1]
        record["row_groups"][1] = self._groups
        record |= {"complete": complete, "problems": list(problems)}

    def finish(self) -> None:
        """Completes the file under its hidden name."""
        document = json.dumps({"head": self._head, "videos": self._videos})
        try:
            self._file.add_key_value_metadata({METADATA: document})
            self._file.close()
            self._sink.close()
        except OSError as error:
            self.discard()
            raise unwritable(self.path, error) from error

    def publish(self) -> None:
        """Gives the finished file its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written, unless it was published."""
        with suppress(OSError, arrow().ArrowException):
            self._file.close()
        with suppress(OSError):
            self._sink.close()
        remove(self._partial)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._rows = self._waiting, [], 0
            if len(waiting[0].class_names) > 2**15:
                self.discard()
                raise TrovidError(f"{self.path}: more than 32768 classes do not fit")
            self.write_table(detection_table(self._videos[-1]["name"], waiting))
