"""The results of all shards in one file, with a word on everything that is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.progress import Tick
from trovid.runs.parquet.reading import ParquetPredictions, VideoRecord
from trovid.runs.parquet.writing import ParquetWriter
from trovid.runs.places import Place
from trovid.runs.shard_run import DONE, FAILED, SHARDS, read_marker
from trovid.runs.sinks.json import JsonWriter
from trovid.video.images import natural_key


@dataclass
class ShardState:
    """What the shards of a run have left.

    Attributes:
        expected: Paths of the videos that the shards have listed.
        missing: By path of each that has no result why.
        absent: Shards that have not begun, as i/n; their videos are not among the others.
    """

    expected: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not self.absent


def shard_state(folder: Path) -> ShardState:
    """Which videos of a run are done and which are not.

    Args:
        folder: The results of `trovid detect --shard`.

    Raises:
        TrovidError: If the shards are not of one run.
    """
    place = Place(folder)
    state = ShardState()
    inside = [name for name in place.names(".json") if name.startswith(f"{SHARDS}/")]
    lists = {name.removeprefix(f"{SHARDS}/"): _listed(place, name) for name in inside}
    counts = {name.split("-of-")[-1].removesuffix(".json") for name in lists}
    runs = {str(listing.get("run")) for listing in lists.values()}
    if len(counts) > 1 or len(runs) > 1:
        raise TrovidError(
            f"{folder}/{SHARDS}: holds lists of several runs ({', '.join(sorted(lists))}); "
            "keep each run in a folder of its own, or remove the lists of the old one"
        )
    for name, listing in lists.items():
        videos = listing.get("videos")
        if not isinstance(videos, list) or not all(isinstance(video, str) for video in videos):
            raise TrovidError(f"{folder}/{SHARDS}/{name}: `videos` must be a list of paths")
        state.expected += videos
    for count in counts:
        state.absent = [
            f"{i}/{count}" for i in range(int(count)) if f"{i}-of-{count}.json" not in lists
        ]
    state.expected.sort(key=natural_key)
    for path in state.expected:
        if place.exists(path + DONE) and place.exists(f"{path}.parquet"):
            continue
        text = place.read(path + FAILED)
        marker = {} if text is None else read_marker(text, f"{folder}/{path}{FAILED}")
        state.missing[path] = str(marker.get("error", "not done yet"))
    return state


def _listed(place: Place, name: str) -> dict[str, Any]:
    if not re.fullmatch(rf"{SHARDS}/\d+-of-[1-9]\d*\.json", name):
        raise TrovidError(f"{place}/{name}: is no list of a shard; remove it")
    return read_marker(place.read(name) or "", f"{place}/{name}")


def merge(folder: Path, out: Path, state: ShardState, *, progress: Tick | None = None) -> int:
    """Writes the results of all videos that are done into one file, in the order of their names.

    Args:
        folder: The results of `trovid detect --shard`, or any folder of Parquet files of trovid.
        out: NAME.parquet or NAME.json; whole under its name or not there.
        state: What `shard_state` said.
        progress: Called after a video.

    Returns:
        The number of videos.

    Raises:
        TrovidError: If a file cannot be read or written.
    """
    predictions = ParquetPredictions(folder)
    unfinished = {folder / f"{path}.parquet" for path in state.missing}
    records = [record for record in predictions.records.values() if record.file not in unfinished]
    records.sort(key=lambda record: natural_key(record.video.name))
    if out.suffix == ".parquet":
        _to_parquet(records, predictions.head, out, progress)
    elif out.suffix == ".json":
        _to_json(records, predictions.head, out, progress)
    else:
        raise TrovidError(f"{out}: must end in .parquet or .json")
    return len(records)


def _to_parquet(
    records: list[VideoRecord], head: Mapping[str, Any], out: Path, progress: Tick | None
) -> None:
    writer = ParquetWriter(out, head=head)
    try:
        for done, record in enumerate(records, 1):
            writer.begin_video(record.video, record.file_name)
            writer.write_table(record.table())
            writer.end_video(complete=record.complete, problems=record.problems)
            if progress:
                progress(done, len(records), record.video.name)
        writer.finish()
        writer.publish()
    except BaseException:
        writer.discard()
        raise


def _to_json(
    records: list[VideoRecord], head: Mapping[str, Any], out: Path, progress: Tick | None
) -> None:
    stated = ("trovid", "model", "class_names", "options")
    with JsonWriter(
        out,
        model=str(head.get("model")),
        class_names=head["class_names"],
        options=head.get("options"),
        provenance={key: value for key, value in head.items() if key not in stated},
    ) as writer:
        for done, record in enumerate(records, 1):
            writer.begin_video(record.video, record.file_name)
            for frame in record.frames():
                writer.write(frame)
            writer.end_video(complete=record.complete, problems=record.problems)
            if progress:
                progress(done, len(records), record.video.name)
