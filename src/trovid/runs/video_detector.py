"""VideoDetector: paths of videos in, Arrow columns out, for engines that start processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from trovid.errors import TrovidError
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.runs.parquet.rows import arrow, detection_table, schema
from trovid.runs.places import Place, is_store
from trovid.runs.provenance import results_head
from trovid.runs.sinks.json import rounded
from trovid.structures import DetectOptions
from trovid.video.opening import open_video

if TYPE_CHECKING:
    import pyarrow


class VideoDetector:
    """Finds objects in whole videos; the unit of work is a video, not a frame.

    Made for `ray.data.Dataset.map_batches` and Daft: the model is loaded once in each process that
    makes one, a pickled one is loaded again where it is unpickled.

    Args:
        model: Name of a model, or a weights file.
        device: Where it runs: auto, cpu, cuda, ...
        precision: Of the backbone's later convolutions.
        frame_rate: Frames per second of folders of images.
        **options: See `DetectOptions`: score, classes, support, nms, ...

    Raises:
        TrovidError: If pyarrow is missing, the model cannot be loaded, or an option does not fit.

    Example:
        >>> detector = VideoDetector("synthvid-selsa-troi", score=0.3)  # doctest: +SKIP
        >>> columns = detector({"path": ["a.mp4", "s3://bucket/b.mp4"]})  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        precision: str = "float32",
        frame_rate: float = 0.0,
        **options: Any,
    ) -> None:
        arrow()
        running = {"device": device, "precision": precision, "frame_rate": frame_rate}
        self._arguments = (model, {**running, **options})
        self._frame_rate = frame_rate
        self._predictor: Predictor = load(model, device=device, precision=precision)
        self._options = self._predictor.options(DetectOptions(**options))
        if self._options.online:
            raise TrovidError("`online` is for streams; whole videos need no such option")

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self._arguments)

    @property
    def head(self) -> dict[str, Any]:
        """Model, weights, class names, options and versions."""
        return results_head(self._predictor, self._options)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, pyarrow.Array]:
        """What is found in some videos: one row a detection.

        Args:
            batch: With the column `path`: files, folders of images, or addresses that fsspec has a
                driver for.

        Returns:
            Columns `path`, `error`, and those of a Parquet file of predictions (`video`, `frame`,
            `time`, `label`, `class`, `score`, `x1` .. `y2`, `track`, `mask`). A frame without
            detections is one row with an empty label; a video that fails is one row with its
            `error` (after the rows of the frames that were done), and the others go on.
        """
        pa = arrow()
        tables = [self._rows(str(path)) for path in batch["path"]]
        table = pa.concat_tables(tables or [_table("", schema().empty_table(), None)])
        return {
            name: column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }

    def _rows(self, path: str) -> pyarrow.Table:
        frames, error = [], None
        try:
            place, name = _place(path)
            with place.local(name) as file:
                source = open_video(file, frame_rate=self._frame_rate)
                for found in self._predictor.detect(source, options=self._options):
                    frames.append(rounded(found))
                problems = [place.named(text, name, file) for text in source.problems]
                error = "; ".join(dict.fromkeys(problems)) or None
        except (TrovidError, OSError, MemoryError) as failure:
            error = str(failure) or type(failure).__name__
        name = PurePosixPath(path).stem
        found = detection_table(name, frames) if frames else schema().empty_table()
        return _table(path, found, error)


def _again(kind: type[VideoDetector], model: str, arguments: dict[str, Any]) -> VideoDetector:
    return kind(model, **arguments)


def _place(path: str) -> tuple[Place, str]:
    if is_store(path):
        root, _, name = path.rpartition("/")
        return Place(root), name
    return Place("/" if path.startswith("/") else "."), path


def _table(path: str, found: pyarrow.Table, error: str | None) -> pyarrow.Table:
    """The rows with their path; an error has a row of its own."""
    pa = arrow()
    count = len(found) + (error is not None)
    failed = pa.table(
        {field.name: pa.nulls(error is not None, field.type) for field in schema()}, schema()
    )
    rows = pa.concat_tables([found.unify_dictionaries(), failed])
    errors = [None] * len(found) + [error] * (error is not None)
    # engines compare types: plain strings instead of dictionaries that differ from block to block
    plain = {
        name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    return pa.table(
        {
            "path": pa.array([path] * count, type=pa.string()),
            "error": pa.array(errors, type=pa.string()),
            **plain,
        }
    )
