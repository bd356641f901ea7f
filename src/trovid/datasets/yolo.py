"""YOLO's text files: a line an object, beside a YAML file that names the classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trovid.bounded_yaml import read_values
from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import read_text
from trovid.datasets.ranges import is_number
from trovid.datasets.stills import Stills
from trovid.errors import TrovidError, shortened
from trovid.structures import Masks
from trovid.video.images import images_in, read_size

SPLITS = ("train", "val", "test")
YAML_NAMES = ("data.yaml", "dataset.yaml", "data.yml")
NEARLY = 1.02
Progress = Callable[[int, int], None]


def is_yolo(path: Path) -> bool:
    """Whether it is data.yaml, a folder with one, or a folder with images, labels, classes.txt."""
    if path.is_file():
        return path.suffix in (".yaml", ".yml")
    if any((path / name).is_file() for name in YAML_NAMES):
        return True
    return (path / "images").is_dir() and (path / "labels").is_dir()


def yolo_splits(path: Path) -> tuple[str, ...]:
    """Those that the YAML file names, or that are folders of images."""
    values = _values(path)
    if values is not None:
        return tuple(split for split in SPLITS if values.get(split))
    return tuple(split for split in SPLITS if (path / "images" / split).is_dir())


def read_yolo(
    path: Path,
    *,
    split: str | None = None,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The labelled pictures, each a video of one frame.

    A line is `class x y width height`, the middle and the size as shares of the picture, or
    `class x1 y1 x2 y2 x3 y3 ...`, a polygon, which becomes a mask with its box. A picture without
    a text file holds no object.

    Args:
        path: data.yaml, its folder, or a folder with images/, labels/ and classes.txt.
        split: "train", "val" or "test"; None for all pictures.
        faults: What to do about what does not fit; None raises.
        progress: Called with (pictures done, pictures in all).

    Raises:
        TrovidError: If a file is missing or a line does not fit.
    """
    faults, values = faults or Faults(), _values(path)
    root = path if path.is_dir() else path.parent
    classes = _class_names(root, values)
    pictures = _pictures(root, values, split)
    stills = Stills()
    for done, picture in enumerate(pictures, 1):
        _add(stills, picture, root, len(classes), faults)
        if progress:
            progress(done, len(pictures))
    return stills.dataset(classes, name="YOLO")


def _values(path: Path) -> dict[str, Any] | None:
    file = path
    if path.is_dir():
        found = [path / name for name in YAML_NAMES if (path / name).is_file()]
        if not found:
            return None
        file = found[0]
    values = read_values(read_text(file), str(file))
    if not isinstance(values, dict) or "names" not in values:
        raise TrovidError(f"{file}: must hold `names` (the classes) and `train`, `val` (pictures)")
    return values


def _class_names(root: Path, values: dict[str, Any] | None) -> list[str]:
    if values is None:
        for file in (root / "classes.txt", root / "labels" / "classes.txt"):
            if file.is_file():
                return [x.strip() for x in read_text(file).splitlines() if x.strip()]
        raise TrovidError(f"{root}: names no classes: add data.yaml with `names`, or classes.txt")
    names = values["names"]
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        given = shortened(names)
        raise TrovidError(f"{root}: `names` must be the classes, numbered from 0, but is {given}")
    for number, name in enumerate(names):
        if isinstance(name, list | dict) or name is None:
            raise TrovidError(f"{root}: `names` must be texts, but {number} is {shortened(name)}")
    return [str(name) for name in names]


def _pictures(root: Path, values: dict[str, Any] | None, split: str | None) -> list[Path]:
    if values is None:
        folder = root / "images"
        wanted = [folder / split] if split else [folder, *(folder / s for s in SPLITS)]
        return [p for place in wanted if place.is_dir() for p in _in(place)]
    base = Path(str(values.get("path") or "."))
    tries = [base] if base.is_absolute() else [root / base, root, root.parent / base]
    pictures: list[Path] = []
    for name in (split,) if split else SPLITS:
        entries = values.get(name) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            # Roboflow writes ../train/images for what lies in train/images
            words = (str(entry), str(entry).removeprefix("../"))
            places = [top / word for top in tries for word in words]
            place = next((p for p in places if p.exists()), None)
            if place is None:
                given = shortened(entry)
                raise TrovidError(f"{root}: `{name}` names {given}, which is not there")
            pictures += _in(place) if place.is_dir() else _listed(place)
    return pictures


def _in(folder: Path) -> list[Path]:
    try:
        return images_in(folder)
    except TrovidError:
        return []


def _listed(file: Path) -> list[Path]:
    lines = read_text(file).splitlines()
    return [file.parent / line.strip() for line in lines if line.strip()]


def _label_file(picture: Path, root: Path) -> Path:
    """`labels` in the place of the last `images` of the path, or beside the picture."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            return Path(*parts[:place], "labels", *parts[place + 1 :]).with_suffix(".txt")
    return picture.with_suffix(".txt")


def _add(stills: Stills, picture: Path, root: Path, classes: int, faults: Faults) -> None:
    try:
        height, width = read_size(picture)
    except TrovidError as error:
        name = "unreadable-frame" if picture.exists() else "missing-frame"
        faults.add(name, str(error))
        return
    file = _label_file(picture, root)
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        faults.add("unreadable-labels", f"{file}: cannot be read ({error})")
        lines = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            _add_object(stills, line, f"{file}:{number}", (height, width), classes, faults)
    try:
        name = picture.relative_to(root).as_posix()
    except ValueError:
        name = picture.name
    stills.add(picture, name, height=height, width=width)


def _add_object(
    stills: Stills, line: str, place: str, size: tuple[int, int], classes: int, faults: Faults
) -> None:
    words = line.split()
    try:
        label, values = float(words[0]), [float(word) for word in words[1:]]
        fits = len(values) in (4, 5) or (len(values) >= 6 and len(values) % 2 == 0)
        if not fits or not label.is_integer() or not all(map(is_number, values)):
            raise ValueError
    except ValueError:
        text = f"must be `class x y width height` or a polygon, but is {line!r:.60}"
        faults.add("unreadable-labels", text, place=place)
        return
    if not 0 <= label < classes:
        text = f"class {int(label)} must lie in 0..{classes - 1}, as the classes are numbered"
        faults.add("unknown-class", text, place=place)
        return
    shares = values[:4] if len(values) == 5 else values
    if max(map(abs, shares)) > NEARLY:
        text = f"{line!r:.60} must hold shares of the picture, not pixels"
        faults.add("box-in-pixels", text, place=place)
        return
    height, width = size
    mask = b""
    if len(values) in (4, 5):
        x, y, w, h = values[:4]
        corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    else:
        xs, ys = values[::2], values[1::2]
        corners = (min(xs), min(ys), max(xs), max(ys))
        points = [v * side for v, side in zip(values, (width, height) * len(xs), strict=True)]
        mask = Masks.from_coco([[points]], size).counts[0]
    if not faults.collect and not (corners[2] > corners[0] and corners[3] > corners[1]):
        faults.add("box-degenerate", "the box has no width or no height", place=place)
    x1, y1, x2, y2 = (v * side for v, side in zip(corners, (width, height) * 2, strict=True))
    stills.rows.add(stills.number, 0, int(label), (x1, y1, x2, y2), mask=mask)
