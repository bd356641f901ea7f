"""Faults of labels that show without the videos: boxes, instance ids, classes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset
from trovid.datasets.findings import SHOWN_PLACES, Finding
from trovid.datasets.true_tracks import videos_without_identities

Mask = NDArray[np.bool_]
PIXEL = 2.0
LARGEST = 1.5
MOST, SOME = 0.95, 0.1
FEW = 3
GAP = 3
"""Frames at most between two boxes of an id that are held against each other."""


def label_findings(
    dataset: Dataset, split: str = "", *, swapped: Collection[str] = ()
) -> list[Finding]:
    """Everything that the labels of a split alone tell.

    Args:
        dataset: The labels.
        split: Named in the findings.
        swapped: Videos whose width and height are known to be exchanged, so that boxes are held
            against their frames and not against what the labels say.
    """
    return [
        *_objects(dataset, split),
        *_boxes(dataset, split, swapped),
        *_instances(dataset, split),
        *_identities(dataset, split),
        *_classes(dataset, split),
    ]


def _objects(dataset: Dataset, split: str) -> list[Finding]:
    found = []
    if not dataset.objects.counted.any() and split != "test":
        text = "no object is labelled in any video: nothing can be learned or measured"
        found.append(Finding("no-objects", text, split))
    empty = [v.name for v in dataset.videos if not len(dataset.labelled_frames(v.name))]
    if empty and len(empty) < len(dataset.videos):
        text = f"no frame of {empty[0]} is labelled, so it is not used"
        places = tuple(empty[:SHOWN_PLACES])
        found.append(Finding("unlabelled-video", text + _more(empty), split, places, len(empty)))
    return found


def _more(found: list[str]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


class _Places:
    """Turns a choice of objects into a finding that says where they are."""

    def __init__(self, dataset: Dataset, split: str) -> None:
        self.dataset, self.split = dataset, split

    def finding(self, name: str, chosen: Mask, text: str) -> list[Finding]:
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return []
        places = dict.fromkeys(self._place(row) for row in rows[:1000])
        shown = f"{self._place(rows[0])}: {self._box(rows[0])}: {text}"
        many = f" ({len(rows)} boxes)" if len(rows) > 1 else ""
        return [Finding(name, shown + many, self.split, tuple(places)[:SHOWN_PLACES], len(rows))]

    def _place(self, row: int) -> str:
        objects = self.dataset.objects
        return f"{self.dataset.videos[objects.videos[row]].name} frame {objects.frames[row]}"

    def _box(self, row: int) -> str:
        objects = self.dataset.objects
        x1, y1, x2, y2 = objects.boxes[row].tolist()
        sides = (
            [x1, y1, x2 - x1, y2 - y1] if self.dataset.box_layout == "xywh" else [x1, y1, x2, y2]
        )
        numbers = ", ".join(f"{side:.6g}" for side in sides)
        return f"{self.dataset.class_names[objects.labels[row]]} [{numbers}]"


def _boxes(dataset: Dataset, split: str, swapped: Collection[str]) -> list[Finding]:
    objects = dataset.objects
    x1, y1, x2, y2 = objects.boxes.T
    sizes = [
        (v.height, v.width) if v.name in swapped else (v.width, v.height) for v in dataset.videos
    ]
    measures = np.array(sizes).reshape(-1, 2)
    width, height = measures[objects.videos].astype(float).T
    w, h = x2 - x1, y2 - y1
    places = _Places(dataset, split)
    per_video = _ByVideo(objects.videos, len(dataset.videos))

    degenerate = (w <= 0) | (h <= 0)
    # A box of a pixel in the corner is no box: these are shares of the frame. Shares written as
    # corners and read as x, y, width, height may reach 2.
    limit = 1.01 if dataset.box_layout == "xyxy" else 2.01
    normalised = (np.maximum(x2, y2) <= limit) & (np.minimum(x1, y1) >= -0.01) & (width > 8)
    good = ~degenerate & ~normalised
    if dataset.box_layout == "xywh":
        misread = good & (w > x1) & (h > y1) & (w <= width + PIXEL) & (h <= height + PIXEL)
        sign = good & ((x2 > width + PIXEL) | (y2 > height + PIXEL))
        wrong, name = per_video.all_so(misread, sign, among=good), "box-xyxy"
        text = "read as x, y, width, height; write the width and height, not the other corner"
    else:
        fits = (x1 + x2 <= width + PIXEL) & (y1 + y2 <= height + PIXEL) & (x2 > 0) & (y2 > 0)
        wrong = per_video.all_so(fits, degenerate & ~normalised, among=~normalised)
        name = "box-xywh"
        text = "read as x1, y1, x2, y2; write the other corner, not the width and height"
    good &= ~wrong
    large = good & ((w > LARGEST * width) | (h > LARGEST * height))
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    inside = (middle_x >= 0) & (middle_x <= width) & (middle_y >= 0) & (middle_y <= height)
    outside = good & ~large & ~inside
    if dataset.info.get("amodal"):
        outside &= (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height)
    over = np.maximum.reduce([-x1, -y1, x2 - width, y2 - height])
    beyond = good & ~large & ~outside & (over > PIXEL)
    tiny = good & ~outside & ((w < PIXEL) | (h < PIXEL))
    say: Callable[[str, Mask, str], list[Finding]] = places.finding
    return [
        *say(
            "box-normalised",
            normalised,
            "multiply by the frame's width and height to get pixels",
        ),
        *say(name, wrong, text),
        *say(
            "box-degenerate",
            degenerate & ~normalised & ~wrong,
            "has no width or no height; correct or remove it",
        ),
        *say("box-too-large", large, "is much larger than its frame; correct it"),
        *say("box-outside", outside, "lies outside its frame; correct it or the video's size"),
        *say(
            "box-beyond-frame",
            beyond,
            "reaches over the edge of its frame; training cuts it there, evaluation does not",
        ),
        *say("box-tiny", tiny, "is too small to be found"),
    ]


class _ByVideo:
    """Shares of objects by video."""

    def __init__(self, videos: NDArray[np.int32], count: int) -> None:
        self.videos, self.count = videos, count

    def _counts(self, chosen: Mask) -> NDArray[np.int64]:
        return np.bincount(self.videos[chosen], minlength=self.count)

    def all_so(self, fits: Mask, sign: Mask, *, among: Mask) -> Mask:
        """The objects of the videos in which nearly all fit and some of them show the sign.

        A video with a few objects alone is judged by all videos together.
        """
        total, fitting, signs = map(self._counts, (among, fits & among, sign & among))
        whole = _nearly_all(total.sum(), fitting.sum(), signs.sum())
        by_video = _nearly_all(total, fitting, signs) & (total >= FEW)
        found = by_video | (whole & (fitting == total))
        return found[self.videos] & among


def _nearly_all(total: Any, fitting: Any, signs: Any) -> Any:
    return (fitting >= MOST * total) & (signs >= np.maximum(1, SOME * total))


def _instances(dataset: Dataset, split: str) -> list[Finding]:
    objects, places = dataset.objects, _Places(dataset, split)
    count = len(objects)
    order = np.lexsort((objects.frames, objects.instance_ids, objects.videos))
    videos, ids, frames, labels = (
        column[order]
        for column in (objects.videos, objects.instance_ids, objects.frames, objects.labels)
    )
    boxes = objects.boxes[order]
    same = (videos[1:] == videos[:-1]) & (ids[1:] == ids[:-1])
    twice = same & (frames[1:] == frames[:-1])
    near = same & ~twice & (frames[1:] - frames[:-1] <= GAP)

    def chosen(pairs: Mask) -> Mask:
        mask = np.zeros(count, dtype=bool)
        mask[order[1:][pairs]] = True
        return mask

    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0)
    way = np.linalg.norm(middles[1:] - middles[:-1], axis=1)
    jump = near & (way > 3 * np.maximum(sides[1:], sides[:-1]) * (frames[1:] - frames[:-1]))
    other = same & (labels[1:] != labels[:-1])
    return [
        *places.finding(
            "repeated-id",
            chosen(twice),
            "its id is that of another object of the frame; give each object one of its own",
        ),
        *places.finding(
            "jumping-id", chosen(jump), "the object of this id was elsewhere just before"
        ),
        *places.finding(
            "id-of-two-classes", chosen(other), "the object of this id has another class elsewhere"
        ),
        *places.finding("repeated-box", _repeated(dataset), "is labelled twice in this frame"),
    ]


def _identities(dataset: Dataset, split: str) -> list[Finding]:
    lacking = videos_without_identities(dataset)
    if not lacking:
        return []
    text = (
        f"{lacking[0]}: no object is in two frames, so identities can be neither trained nor "
        f"measured{_more(lacking)}"
    )
    return [Finding("no-ids", text, split, tuple(lacking[:SHOWN_PLACES]), len(lacking))]


def _repeated(dataset: Dataset) -> Mask:
    objects = dataset.objects
    columns = (*objects.boxes.T[::-1], objects.labels, objects.frames, objects.videos)
    order = np.lexsort(columns)
    same = np.logical_and.reduce([c[order][1:] == c[order][:-1] for c in columns])
    mask = np.zeros(len(objects), dtype=bool)
    mask[order[1:][same]] = True
    return mask


def _classes(dataset: Dataset, split: str) -> list[Finding]:
    counts = np.bincount(dataset.objects.labels, minlength=len(dataset.class_names))
    unused = [n for n, count in zip(dataset.class_names, counts, strict=True) if not count]
    if not unused or len(unused) == len(dataset.class_names) or split not in ("", "train"):
        return []
    text = f"no object is labelled {unused[0]}: the class cannot be learned{_more(unused)}"
    return [Finding("unused-class", text, split, tuple(unused[:SHOWN_PLACES]), len(unused))]
