"""CVAT for video 1.1: an XML file a video."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from trovid.datasets.contract import Dataset
from trovid.datasets.writing.places import counted_place, name_from, plain_names
from trovid.datasets.writing.tracks import tracks
from trovid.files import replacing


def write(path: Path, dataset: Dataset) -> None:
    """Writes VIDEO/annotations.xml into a folder, or one file where the path ends with .xml."""
    if path.suffix.lower() == ".xml" and len(dataset.videos) == 1:
        _write(path, dataset, dataset.videos[0].name)
        return
    for name, plain in plain_names(dataset).items():
        _write(path / plain / "annotations.xml", dataset, name)


def _write(path: Path, dataset: Dataset, name: str) -> None:
    video = dataset.video(name)
    root = ElementTree.Element("annotations")
    _text(root, "version", "1.1")
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    _text(task, "name", name)
    _text(task, "size", str(video.num_frames))
    _text(task, "mode", "interpolation")
    labels = ElementTree.SubElement(task, "labels")
    for label in dataset.class_names:
        _text(ElementTree.SubElement(labels, "label"), "name", label)
    size = ElementTree.SubElement(task, "original_size")
    _text(size, "width", str(video.width))
    _text(size, "height", str(video.height))
    _text(task, "source", name_from(path.parent, counted_place(dataset, name)))
    for number, track in enumerate(tracks(dataset, name)):
        element = ElementTree.SubElement(
            root, "track", id=str(number), label=track.label, source="file"
        )
        for place, (frame, box) in enumerate(zip(track.frames, track.boxes, strict=True)):
            _box(element, frame, box, outside=False)
            following = track.frames[place + 1] if place + 1 < len(track.frames) else None
            if following != frame + 1 and frame + 1 < video.num_frames:
                _box(element, frame + 1, box, outside=True)
    with replacing(path) as partial:
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def _box(track: ElementTree.Element, frame: int, box: list[float], *, outside: bool) -> None:
    sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{side:.2f}" for side in box), strict=True))
    flags = {"outside": str(int(outside)), "occluded": "0", "keyframe": "1"}
    ElementTree.SubElement(track, "box", {"frame": str(frame), **flags, **sides, "z_order": "0"})
