"""Several data sets as one, each drawn as often as its weight says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import json_kind, read_json
from trovid.datasets.objects import Objects
from trovid.datasets.ranges import is_number
from trovid.errors import TrovidError, shortened

SPLITS = ("train", "val", "test")
ReadSplit = Callable[[Path, str | None], Dataset]
SplitsOf = Callable[[Path], tuple[str, ...]]


def is_mixed(path: Path) -> bool:
    """Whether it is a JSON file {"mix": [{"data": PATH, "weight": NUMBER}, ...]}."""
    return path.is_file() and path.suffix.lower() == ".json" and json_kind(path) == "mix"


def mixed_splits(path: Path, splits_of: SplitsOf) -> tuple[str, ...]:
    """The splits that one of the data sets has."""
    there = {split for place, _ in _parts(path) for split in splits_of(place)}
    return tuple(split for split in SPLITS if split in there)


def read_mixed(path: Path, split: str | None, read: ReadSplit, splits_of: SplitsOf) -> Dataset:
    """The videos of all data sets, with the classes of all, in the order in which they come.

    A data set without splits belongs to training; one without the split that is wanted adds its
    classes alone, so that every split has the same. Weights say how often a training draws from
    each, whatever their sizes.

    Args:
        path: The JSON file; paths in it begin from its folder.
        split: "train", "val" or "test"; None for everything.
        read: Reads a split of one of them.
        splits_of: Tells which there are.

    Raises:
        TrovidError: If the file does not fit, or a data set cannot be read.
    """
    found: list[tuple[Dataset, float]] = []
    class_names: dict[str, None] = {}
    for place, weight in _parts(path):
        there = splits_of(place)
        taken = split is None or split in there or (not there and split == "train")
        wanted = split if split is None or split in there else next(iter(there), None)
        dataset = read(place, wanted)
        class_names |= dict.fromkeys(dataset.class_names)
        if taken:
            found.append((dataset, weight))
    if not found:
        raise TrovidError(f"{path}: none of its data sets has a split {split!r}")
    return mix([d for d, _ in found], [weight for _, weight in found], list(class_names))


def mix(datasets: list[Dataset], weights: list[float], names: list[str]) -> Dataset:
    """Several data sets as one; a video's name begins with the number of its data set.

    Args:
        datasets: The data sets.
        weights: How often each is drawn.
        names: The classes, which hold those of each.

    Raises:
        TrovidError: If none has a video.
    """
    entries: list[VideoEntry] = []
    columns: list[Objects] = []
    sources: list[int] = []
    for number, dataset in enumerate(datasets):
        labels = np.array([names.index(name) for name in dataset.class_names], dtype=np.int32)
        objects = dataset.objects
        columns.append(
            replace(
                objects,
                videos=objects.videos + np.int32(len(entries)),
                labels=labels[objects.labels] if len(objects) else objects.labels,
                attributes={},
                masks=None,
                visible_masks=None,
            )
        )
        for video in dataset.videos:
            entries.append(
                VideoEntry(
                    replace(video, name=f"{number}/{video.name}"),
                    str(dataset.path(video.name)),
                    dataset.labelled_frames(video.name).tolist(),
                    dataset.named_files(video.name),
                )
            )
        sources += [number] * len(dataset.videos)
    together: dict[str, Any] = {
        name: np.concatenate([getattr(objects, name) for objects in columns])
        for name in ("videos", "frames", "boxes", "labels", "instance_ids", "crowd", "ignore")
    }
    layouts = {dataset.box_layout for dataset in datasets}
    return Dataset(
        names,
        entries,
        Objects(**together),
        info={"name": "mixed", "weights": weights},
        box_layout=layouts.pop() if len(layouts) == 1 else "xyxy",
        sources=sources,
        weights=weights,
    )


def _parts(path: Path) -> list[tuple[Path, float]]:
    document: Any = read_json(path, Faults())
    mixed = document.get("mix") if isinstance(document, dict) else None
    if not isinstance(mixed, list):
        raise TrovidError(f"{path}: `mix` must be a list of data sets")
    parts = []
    for number, entry in enumerate(mixed):
        where = f"{path}: mix[{number}]"
        data = entry.get("data") if isinstance(entry, dict) else None
        weight: Any = entry.get("weight", 1) if isinstance(entry, dict) else None
        if not isinstance(data, str):
            raise TrovidError(f'{where} must be {{"data": PATH, "weight": NUMBER}}')
        if not is_number(weight) or weight <= 0:
            given = shortened(weight)
            raise TrovidError(f"{where}.weight must be a number above 0, but is {given}")
        place = path.parent / data
        if not place.exists():
            raise TrovidError(f"{where}.data: {place} is not there")
        if is_mixed(place):
            raise TrovidError(f"{where}.data names a mixture: name its data sets here")
        parts.append((place, float(weight)))
    return parts
