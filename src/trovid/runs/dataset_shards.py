"""A model over a data set by many processes: a Parquet file a video, then all of them together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.evaluation.dataset_runner import run_dataset
from trovid.inference.predictor import Predictor
from trovid.progress import Tick
from trovid.runs.parquet.reading import ParquetPredictions
from trovid.runs.parquet.writing import ParquetWriter
from trovid.runs.provenance import results_head
from trovid.runs.shard import Shard
from trovid.structures import DetectOptions, Video


@dataclass
class DatasetShards:
    """What many processes find in the labelled frames of a data set.

    Attributes:
        folder: Where each video's file goes, whole or not at all.
        predictor: The model.
        dataset: The data set.
        options: What is asked for.
        every: Take every `every`-th labelled frame.
        videos: How many of the first videos; None for all.
        at_once: Videos that are run at once.
    """

    folder: Path
    predictor: Predictor
    dataset: Dataset
    options: DetectOptions
    every: int = 1
    videos: int | None = None
    at_once: int = 1

    def __post_init__(self) -> None:
        head = results_head(self.predictor, self.predictor.options(self.options))
        recipe = repr(self.predictor.recipe)
        asked = json.dumps([head["weights"], head["options"], recipe, self.every], sort_keys=True)
        self._head = {**head, "every": self.every}
        self._run = sha256(asked.encode()).hexdigest()[:16]
        self._chosen = [
            video
            for video in self.dataset.videos[: self.videos]
            if len(self.dataset.labelled_frames(video.name))
        ]

    def run(self, shard: Shard, *, progress: Tick | None = None) -> None:
        """Does the videos of a shard that have no file yet.

        Raises:
            TrovidError: If a video cannot be read, or a file not be written.
        """
        missing = self._missing()
        names = [video.name for video in missing if shard.holds(video.name)]
        found = run_dataset(
            self.predictor,
            self.dataset,
            every=self.every,
            videos=self.videos,
            names=names,
            at_once=self.at_once,
            progress=progress,
            options=self.options,
        )
        waiting: dict[str, list[Any]] = {}
        videos: dict[str, Video] = {}
        for video, detections in found:
            videos[video.name] = video
            waiting.setdefault(video.name, []).append(detections)
            for name in [name for name in waiting if name != video.name and self.at_once == 1]:
                self._write(videos[name], waiting.pop(name))
        for name, frames in waiting.items():
            self._write(videos[name], frames)

    @property
    def missing(self) -> list[str]:
        """Names of the videos that no process has done yet."""
        return [video.name for video in self._missing()]

    def predictions(self) -> Mapping[str, Any]:
        """What was found, a video at a time, in the order of the data set.

        Raises:
            TrovidError: If a file is damaged.
        """
        return _Files({video.name: self._file(video) for video in self._chosen})

    def _missing(self) -> list[Video]:
        return [video for video in self._chosen if not self._file(video).exists()]

    def _file(self, video: Video) -> Path:
        """Names may hold anything; other options make other files."""
        name = sha256(video.name.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        return self.folder / self._run / f"{name}.parquet"

    def _write(self, video: Video, frames: list[Any]) -> None:
        writer = ParquetWriter(self._file(video), head=self._head)
        try:
            writer.begin_video(video, self.dataset.path(video.name))
            for detections in frames:
                writer.write(detections)
            writer.end_video()
            writer.finish()
            writer.publish()
        except BaseException:
            writer.discard()
            raise


class _Files(Mapping[str, Any]):
    """By a video's name what its file holds, read when it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Any:
        file = self._files[name]
        found = ParquetPredictions(file)
        if list(found) != [name]:
            raise TrovidError(f"{file}: must hold video '{name}'; remove it and run again")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
