"""Labels in JSON: one file, a file a split, or one file for a folder of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trovid.datasets.coco import read_coco
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import json_kind
from trovid.datasets.label_studio import read_label_studio
from trovid.datasets.plain_json import plain_json_splits, read_plain_json
from trovid.errors import TrovidError

SPLITS = ("train", "val", "test")
ANNOTATIONS, INSTANCES = "annotations", "instances_"
Progress = Callable[[int, int], None]


def recognises(path: Path) -> bool:
    """Whether a file is no XML, or a folder holds a file of labels."""
    if path.is_dir():
        return bool(_split_files(path)) or _single(path) is not None
    return path.suffix.lower() not in (".xml", ".csv", ".yaml", ".yml", ".txt")


def splits(path: Path) -> tuple[str, ...]:
    """Of a folder the splits with a file of their own, or those that its one file names."""
    if path.is_dir():
        found = _split_files(path)
        if found:
            return tuple(found)
        single = _single(path)
        assert single is not None
        path = single
        return plain_json_splits(path) if json_kind(path) == "own" else ()
    return plain_json_splits(path) if json_kind(path) == "own" else ()


def read(path: Path, split: str | None, faults: Faults, progress: Progress | None) -> Dataset:
    """A split, or everything.

    Raises:
        TrovidError: If it cannot be read.
    """
    if not path.is_dir():
        return _read_file(path, split, faults, progress)
    files = _split_files(path)
    if files:
        if split is None and len(files) > 1:
            names = ", ".join(files)
            raise TrovidError(f"{path}: has the splits {names}: name one of their files")
        if split is not None and split not in files:
            raise TrovidError(f"{path / split}.json: cannot be read: no such file")
        return _read_file(files[split or next(iter(files))], None, faults, progress)
    single = _single(path)
    assert single is not None
    return _read_file(single, split, faults, progress)


def labels_file(path: Path, split: str | None) -> Path:
    """The file that `read` reads.

    Raises:
        TrovidError: If there is none.
    """
    if not path.is_dir():
        return path
    found = _split_files(path).get(split or "train") or _single(path)
    if found is None:
        raise TrovidError(f"{path}: holds no one JSON file of labels: name the file")
    return found


def _split_files(folder: Path) -> dict[str, Path]:
    """A file a split: train.json, or as COCO has it, annotations/instances_train2017.json."""
    found = {split: folder / f"{split}.json" for split in SPLITS}
    for split in SPLITS:
        if not found[split].is_file():
            named = sorted((folder / ANNOTATIONS).glob(f"{INSTANCES}{split}*.json"))
            found[split] = named[-1] if named else found[split]
    return {split: file for split, file in found.items() if file.is_file()}


def _single(folder: Path) -> Path | None:
    for name in ("labels.json", "annotations.json"):
        if (folder / name).is_file():
            return folder / name
    files = sorted(folder.glob("*.json")) or sorted(folder.glob(f"{ANNOTATIONS}/{INSTANCES}*.json"))
    found = [file for file in files if json_kind(file)]
    return found[0] if len(found) == 1 else None


def _read_file(path: Path, split: str | None, faults: Faults, progress: Progress | None) -> Dataset:
    kind = json_kind(path)
    if kind == "own":
        return read_plain_json(path, split=split, faults=faults, progress=progress)
    if kind == "label-studio":
        return read_label_studio(path, faults=faults)
    if kind == "coco":
        return read_coco(path, faults=faults)
    return read_coco_vid(path, faults=faults)
