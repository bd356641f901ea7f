"""Results in the form of YouTube-VIS: written for its server, and read back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset
from trovid.datasets.json_entries import NUMBER, kind_of
from trovid.datasets.json_files import read_text
from trovid.datasets.ranges import is_number
from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures import Masks, Tracks

SCORE_DECIMALS = 5
IN_ZIP = "results.json"


def video_results(
    tracks: Tracks, *, video_id: int, category_ids: list[int]
) -> list[dict[str, Any]]:
    """One plain dict a track of masks: `video_id`, `score`, `category_id`, `segmentations`.

    Args:
        tracks: The tracks of a video; every frame of the video is among theirs.
        video_id: The video's id in the labels.
        category_ids: For each class its id in the labels.
    """
    codes: list[list[dict[str, Any] | None]] = [
        [None] * len(tracks.frames) for _ in range(len(tracks))
    ]
    for frame, (numbers, masks) in enumerate(tracks.frames):
        assert isinstance(masks, Masks)
        for number, code in zip(numbers.tolist(), masks.to_coco(), strict=True):
            codes[number][frame] = code
    return [
        {
            "video_id": video_id,
            "score": round(score, SCORE_DECIMALS),
            "category_id": category_ids[label],
            "segmentations": segmentations,
        }
        for score, label, segmentations in zip(
            tracks.scores.tolist(), tracks.labels.tolist(), codes, strict=True
        )
    ]


def write_youtube_vis_results(
    path: Path, videos: Iterable[tuple[str, Tracks]], dataset: Dataset
) -> None:
    """Writes results, video after video.

    Args:
        path: The file: JSON, or a zip with `results.json` in it, as the server takes it.
        videos: Names and tracks, whose labels index the data set's classes and whose frames are
            all frames of the video.
        dataset: The data set, read from YouTube-VIS for its ids; another one's videos and classes
            are numbered from 1.

    Raises:
        TrovidError: If the file cannot be written, or a video is not of the data set.
    """
    video_ids, category_ids = _ids(dataset)
    texts = _texts(videos, dataset, video_ids, category_ids)
    with replacing(path) as partial:
        if path.suffix.lower() == ".zip":
            with (
                zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
                archive.open(IN_ZIP, "w", force_zip64=True) as file,
            ):
                file.writelines(text.encode("ascii") for text in texts)
        else:
            with partial.open("w", encoding="ascii", newline="") as file:
                file.writelines(texts)


def read_youtube_vis_results(path: Path, dataset: Dataset) -> dict[str, Tracks]:
    """Reads results of any program in this form.

    Args:
        path: The file: JSON, or a zip with one JSON file in it.
        dataset: The data set that they are of.

    Returns:
        By the video's name its tracks; a video without any has none.

    Raises:
        TrovidError: If the file cannot be read or an entry does not fit; the message names it.
    """
    try:
        document = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise TrovidError(f"{path}: is no JSON: {error}") from error
    if not isinstance(document, list):
        raise TrovidError(f"{path}: must hold a list of tracks, but holds {kind_of(document)}")
    video_ids, category_ids = _ids(dataset)
    names = {number: name for name, number in video_ids.items()}
    labels = {number: label for label, number in enumerate(category_ids)}
    found: dict[str, list[tuple[int, float, list[Any], str]]] = {name: [] for name in video_ids}
    for index, entry in enumerate(document):
        where = f"{path}: [{index}]"
        _check(entry, where, names, labels)
        name = names[entry["video_id"]]
        length = dataset.video(name).num_frames
        if len(entry["segmentations"]) != length:
            raise TrovidError(
                f"{where}.segmentations must have one entry a frame ({length}), "
                f"but has {len(entry['segmentations'])}"
            )
        row = labels[entry["category_id"]], float(entry["score"]), entry["segmentations"], where
        found[name].append(row)
    return {name: _tracks(rows, dataset, name) for name, rows in found.items()}


def _texts(
    videos: Iterable[tuple[str, Tracks]],
    dataset: Dataset,
    video_ids: Mapping[str, int],
    category_ids: list[int],
) -> Iterable[str]:
    before = "[\n"
    for name, tracks in videos:
        if name not in dataset:
            raise TrovidError(f"video '{name}' is not one of the labels' videos")
        length = dataset.video(name).num_frames
        if len(tracks.frames) != length:
            raise TrovidError(
                f"video '{name}' has {length} frames, but its tracks go through "
                f"{len(tracks.frames)}: predict every frame"
            )
        for row in video_results(tracks, video_id=video_ids[name], category_ids=category_ids):
            yield before + json.dumps(row)
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _ids(dataset: Dataset) -> tuple[dict[str, int], list[int]]:
    """The ids of videos by name, and of the classes in order."""
    videos = dataset.info.get("video_ids") or {v.name: i for i, v in enumerate(dataset.videos, 1)}
    categories = dataset.info.get("category_ids") or {}
    return (
        {video.name: videos[video.name] for video in dataset.videos},
        [categories.get(name, i) for i, name in enumerate(dataset.class_names, 1)],
    )


def _read(path: Path) -> str:
    if path.suffix.lower() != ".zip":
        return read_text(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".json")]
            if len(names) != 1:
                raise TrovidError(f"{path}: must hold one JSON file, but holds {len(names)}")
            return archive.read(names[0]).decode("utf-8")
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, RuntimeError) as error:
        raise TrovidError(f"{path}: cannot be read: {error}") from error


def _check(entry: Any, where: str, names: Mapping[int, str], labels: Mapping[int, int]) -> None:
    if not isinstance(entry, dict):
        raise TrovidError(f"{where} must be an object, but is {kind_of(entry)}")
    for field, kind in (
        ("video_id", int),
        ("category_id", int),
        ("score", NUMBER),
        ("segmentations", list),
    ):
        if not isinstance(entry.get(field), kind) or isinstance(entry[field], bool):
            raise TrovidError(f"{where}.{field} does not fit: it is {kind_of(entry.get(field))}")
    for field, known in (("video_id", names), ("category_id", labels)):
        if entry[field] not in known:
            raise TrovidError(f"{where}.{field} is {entry[field]}, but the labels have no such id")
    if not is_number(entry["score"]):
        raise TrovidError(f"{where}.score is not finite")


def _tracks(rows: list[tuple[int, float, list[Any], str]], dataset: Dataset, name: str) -> Tracks:
    video = dataset.video(name)
    size = video.height, video.width
    frames: list[tuple[NDArray[np.int64], Masks]] = []
    for frame in range(video.num_frames):
        seen = [i for i, (_, _, codes, _) in enumerate(rows) if codes[frame]]
        try:
            masks = Masks.from_coco([rows[i][2][frame] for i in seen], size)
        except ValueError as error:
            _, place, reason = str(error).split(" ", 2)
            where = rows[seen[int(place)]][3]
            raise TrovidError(f"{where}.segmentations[{frame}] {reason}") from error
        frames.append((np.array(seen, dtype=np.int64), masks))
    labels = np.array([label for label, *_ in rows], dtype=np.int64)
    return Tracks.make(labels, np.array([score for _, score, *_ in rows]), frames)
