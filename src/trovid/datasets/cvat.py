"""CVAT for video 1.1: an XML file with tracks, beside its video."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from xml.etree import ElementTree

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.keyframes import KeyFrame, track_boxes
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import MOST_MEASURE, is_number, whole_number
from trovid.datasets.video_places import find_video, measured
from trovid.datasets.xml_files import number, read_xml, root_tag, whole
from trovid.errors import TrovidError, nearest
from trovid.structures import Video

Progress = Callable[[int, int], None]


def is_cvat(path: Path) -> bool:
    """Whether it is a file of CVAT's with tracks, or a folder with such files."""
    files = _files(path)
    return bool(files) and root_tag(files[0]) == "annotations"


def cvat_splits(path: Path) -> tuple[str, ...]:
    """None: CVAT's files say nothing of splits."""
    return ()


def read_cvat(
    path: Path, *, faults: Faults | None = None, progress: Progress | None = None
) -> Dataset:
    """The tracks of one or more videos.

    Between two boxes of a track, which CVAT's key frames are, each side moves evenly, as in CVAT;
    a box that is `outside` is not there, and the last one stays to the end of the task. The frames
    of the task (`start_frame`, every n-th by `frame_filter`) are labelled, and shapes name them by
    their numbers in the video. Polygons are taken by the box around them.

    Args:
        path: annotations.xml, or a folder of such files; the video of each (`source`) is looked for
            beside it.
        faults: What to do about what does not fit; None raises.
        progress: Called with (files done, files in all).

    Raises:
        TrovidError: If a file is no XML of this kind, or its video is not there.
    """
    faults = faults or Faults()
    files = _files(path)
    roots = [(file, root) for file in files if (root := read_xml(file, faults)) is not None]
    names = _classes(roots)
    labels = {name: label for label, name in enumerate(names)}
    rows = ObjectRows()
    entries: list[VideoEntry] = []
    for done, (file, root) in enumerate(roots, 1):
        try:
            entry, task = _entry(file, root, taken={e.video.name for e in entries})
        except (TrovidError, ValueError) as error:
            faults.add(_fault(error), str(error), place=str(file))
            continue
        for track in root.iterfind("track"):
            _add(rows, len(entries), track, labels, entry.video, task, faults, file)
        entries.append(entry)
        if progress:
            progress(done, len(roots))
    return Dataset(names, entries, rows.objects(), info={"name": "CVAT"}, box_layout="xyxy")


def _fault(error: Exception) -> str:
    return "missing-video" if "is not there" in str(error) else "unreadable-labels"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".xml" else []
    return sorted(path.glob("*.xml")) or sorted(path.glob("*/annotations.xml"))


def _classes(roots: list[tuple[Path, ElementTree.Element]]) -> list[str]:
    """The labels of the tasks, in their order; where the files do not say, those of the tracks."""
    stated = [
        name.text or "" for _, root in roots for name in root.iterfind("meta//labels/label/name")
    ]
    used = {track.get("label", "") for _, root in roots for track in root.iterfind("track")}
    return list(dict.fromkeys(stated or sorted(used)))


def _entry(file: Path, root: ElementTree.Element, *, taken: set[str]) -> tuple[VideoEntry, range]:
    """The video, and the frames of the task."""
    source = root.findtext("meta//source") or root.findtext("meta//task/name") or file.parent.name
    place = find_video(file.parent, source)
    if place is None:
        raise TrovidError(f"its video {source!r} is not there: put it beside the file")
    name = place.name if place.name not in taken else f"{file.parent.name}/{place.name}"
    video, files = measured(place, name)
    size = root.findtext("meta//size")
    count = whole(root, "meta//size", lowest=1) if size else video.num_frames
    start = root.findtext("meta//start_frame")
    first = whole(root, "meta//start_frame") if start else 0
    step = _step(root.findtext("meta//frame_filter") or "")
    labelled = range(first, min(video.num_frames, first + count * step), step)
    entry = VideoEntry(video, str(place), labelled, files)
    return entry, range(first, first + count * step, step)


def _step(frame_filter: str) -> int:
    """Every how many frames of the video the task has one (`step=5`)."""
    found = re.search(r"step\s*=\s*(\S+)", frame_filter)
    return whole_number(found[1], 1, MOST_MEASURE, "frame_filter's step") if found else 1


def _add(
    rows: ObjectRows,
    video: int,
    track: ElementTree.Element,
    labels: dict[str, int],
    measures: Video,
    task: range,
    faults: Faults,
    file: Path,
) -> None:
    where = f"{file}: track {track.get('id', 'without id'):.40}"
    name = track.get("label", "")
    if name not in labels:
        text = f"{name!r} is no class{nearest(name, labels)}"
        faults.add("unknown-class", text, place=where)
        return
    try:
        keys = sorted((_key(shape) for shape in track), key=lambda key: key.frame)
        identity = whole(track, "@id")
    except ValueError as error:
        faults.add("unreadable-labels", str(error), place=where)
        return
    for before, after in pairwise(keys):
        if before.frame == after.frame:
            faults.add("repeated-id", f"frame {after.frame} comes twice", place=where)
    keys = list({key.frame: key for key in keys}.values())
    for key in keys:
        x1, y1, x2, y2 = key.box
        if key.shown and not faults.collect and not (x2 > x1 and y2 > y1):
            text = f"frame {key.frame}: the box has no width or no height"
            faults.add("box-degenerate", text, place=where)
    misplaced = (text for key in keys if (text := _misplaced(key, measures, task)))
    for text in islice(misplaced, 1):
        faults.add("frame-outside", text, place=where)
    for frame, box in track_boxes(keys, min(task.stop, measures.num_frames)):
        if frame >= measures.num_frames:
            break
        if frame in task:
            rows.add(video, frame, labels[name], box, instance_id=identity)


def _misplaced(key: KeyFrame, measures: Video, task: range) -> str:
    """What is wrong with a key frame's number; one that ends a track may follow the last frame."""
    if key.frame >= measures.num_frames + (0 if key.shown else task.step):
        return f"frame {key.frame} lies behind the video's end"
    if key.shown and key.frame not in task:
        step = f" by {task.step}" if task.step > 1 else ""
        return (
            f"frame {key.frame} is none of the task's {task.start}..{task[-1]}{step}; shapes must "
            "have the frame numbers of the video"
        )
    return ""


def _key(shape: ElementTree.Element) -> KeyFrame:
    outside = shape.get("outside") == "1"
    points = shape.get("points")
    if points is None:
        x1, y1, x2, y2 = (number(shape, f"@{side}") for side in ("xtl", "ytl", "xbr", "ybr"))
    else:
        try:
            pairs = [tuple(map(float, point.split(","))) for point in points.split(";")]
            xs, ys = zip(*pairs, strict=True)
        except ValueError:
            raise ValueError(f"points must be x,y;x,y;..., but are {points!r:.40}") from None
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
        if not all(map(is_number, (x1, y1, x2, y2))):
            raise ValueError("points must be finite")
    frame = whole(shape, "@frame", highest=MOST_MEASURE)
    return KeyFrame(frame, (x1, y1, x2, y2), shown=not outside, goes_on=not outside)
