"""Pascal VOC: a folder of pictures and one XML file each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults
from trovid.datasets.json_files import read_text
from trovid.datasets.ranges import MOST_MEASURE
from trovid.datasets.stills import Stills
from trovid.datasets.xml_files import number, read_xml, root_tag, whole
from trovid.errors import nearest, shortened
from trovid.video.images import SUFFIXES

log = logging.getLogger("trovid")
SPLITS = ("train", "val", "test")
Progress = Callable[[int, int], None]


def is_voc(path: Path) -> bool:
    """Whether a folder holds Annotations/*.xml and JPEGImages, or XML files beside pictures."""
    if not path.is_dir():
        return False
    first = next(iter(_annotations(path).glob("*.xml")), None)
    return first is not None and root_tag(first) == "annotation"


def voc_splits(path: Path) -> tuple[str, ...]:
    """Those with a list in ImageSets/Main."""
    return tuple(s for s in SPLITS if (path / "ImageSets/Main" / f"{s}.txt").is_file())


def read_voc(
    path: Path,
    *,
    split: str | None = None,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The labelled pictures, each a video of one frame.

    Pixels are counted from 1 to the last one, so a box begins at xmin - 1, ymin - 1. What is
    `difficult` need not be found. An XML file is of the picture that is called like it; where there
    is none, of that in `filename`.

    Args:
        path: The folder (VOCdevkit/VOC2012).
        split: A list in ImageSets/Main; None for every XML file.
        faults: What to do about what does not fit; None raises.
        progress: Called with (pictures done, pictures in all).

    Raises:
        TrovidError: If a file is missing, or no XML of this kind.
    """
    faults, folder = faults or Faults(), _annotations(path)
    if split is None:
        files = sorted(folder.glob("*.xml"))
    else:
        listed = read_text(path / "ImageSets/Main" / f"{split}.txt")
        files = [folder / f"{line.split()[0]}.xml" for line in listed.splitlines() if line.strip()]
    parsed: list[tuple[Path, ElementTree.Element]] = []
    for file in files:
        root = read_xml(file, faults)
        if root is not None:
            parsed.append((file, root))
    found = sorted(set().union(*(_classes(root) for _, root in parsed)))
    if split is not None and len(files) < len(list(folder.glob("*.xml"))):
        found = _every_class(folder)
    stills = Stills()
    stale: list[str] = []
    for done, (file, root) in enumerate(parsed, 1):
        picture = _picture(path, file, root)
        if (stated := _stated(root)) and picture.stem not in (stated, Path(stated).stem):
            stale.append(f"{file.name} says {shortened(stated)}, {picture.name} is taken")
        labels = {name: label for label, name in enumerate(found)}
        _add(stills, picture, file, root, labels, faults)
        if progress:
            progress(done, len(parsed))
    if stale:
        more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        log.warning("%s: `filename` is not that of the XML: %s%s", folder, stale[0], more)
    return stills.dataset(found, name="Pascal VOC")


def _annotations(path: Path) -> Path:
    return path / "Annotations" if (path / "Annotations").is_dir() else path


def _classes(root: ElementTree.Element) -> set[str]:
    stated = ((name.text or "").strip() for name in root.iterfind("object/name"))
    return {name for name in stated if name}


def _every_class(folder: Path) -> list[str]:
    """The classes of all splits, so that they are the same in each."""
    names = set()
    for file in folder.glob("*.xml"):
        root = read_xml(file, Faults(collect=True))
        if root is not None:
            names |= _classes(root)
    return sorted(names)


def _add(
    stills: Stills,
    picture: Path,
    file: Path,
    root: ElementTree.Element,
    labels: dict[str, int],
    faults: Faults,
) -> None:
    try:
        width, height = (
            whole(root, f"size/{side}", lowest=1, highest=MOST_MEASURE)
            for side in ("width", "height")
        )
    except ValueError as error:
        faults.add("unreadable-labels", str(error), place=str(file))
        return
    for position, thing in enumerate(root.iterfind("object")):
        try:
            x1, y1, x2, y2 = (
                number(thing, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError as error:
            faults.add("unreadable-labels", f"object {position}: {error}", place=str(file))
            continue
        name = (thing.findtext("name") or "").strip()
        if name not in labels:
            text = f"object {position}: {name!r} is no class{nearest(name, labels)}"
            faults.add("unknown-class", text, place=str(file))
            continue
        if not faults.collect and (x2 < x1 or y2 < y1):
            faults.add(
                "box-degenerate", f"object {position} has no width or height", place=str(file)
            )
        difficult = (thing.findtext("difficult") or "0").strip() == "1"
        box = (x1 - 1, y1 - 1, x2, y2)
        stills.rows.add(stills.number, 0, labels[name], box, ignore=difficult)
    stills.add(picture, picture.name, height=height, width=width)


def _stated(root: ElementTree.Element) -> str:
    return Path((root.findtext("filename") or "").strip().replace("\\", "/")).name


def _picture(path: Path, file: Path, root: ElementTree.Element) -> Path:
    """The picture of an XML file: of its own name, or of the one that it states."""
    stated = _stated(root)
    folders = (path / "JPEGImages", path / "images", file.parent, path)
    stem_names = [f"{file.stem}{suffix}" for suffix in sorted(SUFFIXES)]
    names = [stated, *stem_names] if Path(stated).stem == file.stem else [*stem_names, stated]
    for name in filter(None, names):
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    return folders[0] / (stated or f"{file.stem}.jpg")
