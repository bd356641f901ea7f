"""What every clip keeps to, and that the labels never change."""

import hashlib
import json
import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from trovid.datasets.synthvid import KINDS, class_names
from trovid.datasets.synthvid.clip import COUNTS, SIDE, SPLITS, STRENGTH, clip_labels
from trovid.datasets.synthvid.script import FAMILIES, SIZES, drawing_order, intersection_over_union

CHECKSUMS = {
    ("train", 0): "23cd9d4c410b4069",
    ("train", 799): "d4b3d1849549d7e4",
    ("val", 0): "b6042e91aa9299ff",
    ("val", 99): "139dc6612afbc521",
    ("test", 0): "2ca60434d9acbaaf",
    ("test", 1): "3f8d3703ff8aa1d7",
    ("test", 99): "cac886948e890908",
    ("test", 199): "36c4988a9e6ba1f2",
}
CLIPS = 40


@pytest.fixture(scope="module")
def clips():
    return {split: [clip_labels(split, index) for index in range(CLIPS)] for split in SPLITS}


def every(clips):
    return [entry for entries in clips.values() for entry in entries]


def checksum(annotations):
    """Of all that a label says except the strength, which LEVELS and STRENGTH set."""
    plain = []
    for a in annotations:
        mask = hashlib.sha256(np.packbits(a.mask).tobytes()).hexdigest()
        place = [a.frame_index, a.instance, a.label, a.box, mask]
        plain.append([*place, a.deterioration, a.motion_iou])
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("split", "index"), CHECKSUMS)
def test_labels_are_the_same_for_ever(split, index):
    """A difference means another benchmark: then VERSION must change too."""
    assert checksum(clip_labels(split, index)[1]) == CHECKSUMS[split, index]


@pytest.mark.parametrize("split", SPLITS)
def test_the_strength_of_a_split_is_its_own_by_default(split):
    default, same, double = (
        [a.strength for a in clip_labels(split, 0, strength=strength)[1]]
        for strength in (None, STRENGTH[split], 2 * STRENGTH[split])
    )
    assert default == same
    assert double == pytest.approx([2 * s for s in default], abs=0.02)


def test_every_class_is_in_one_family():
    assert sorted(name for family in FAMILIES for name in family) == sorted(class_names())


def test_labels_do_not_depend_on_what_was_made_before():
    first = checksum(clip_labels("val", 5)[1])
    clip_labels("val", 6)
    assert checksum(clip_labels("val", 5)[1]) == first


def test_splits_and_seeds_share_no_clip():
    sums = [checksum(clip_labels(split, index)[1]) for split in SPLITS for index in range(12)]
    sums += [checksum(clip_labels("test", index, seed=1)[1]) for index in range(12)]
    assert len(set(sums)) == len(sums)


def test_number_of_objects_and_their_classes(clips):
    for split, entries in clips.items():
        seen = Counter(len(actors) for actors, _ in entries)
        assert set(seen) == set(COUNTS[split])
        for actors, _ in entries:
            names = {class_names()[actor.label] for actor in actors}
            assert len(names) == len(actors)
            assert any(names <= set(family) for family in FAMILIES)
    labels = {actor.label for actors, _ in every(clips) for actor in actors}
    assert labels == set(range(len(class_names())))


def test_every_object_is_clear_in_a_third_of_the_frames(clips):
    for actors, annotations in every(clips):
        clear = Counter(a.instance for a in annotations if a.deterioration == "none")
        assert all(clear[instance] >= 8 for instance in range(len(actors)))


def test_about_half_of_the_object_frames_are_deteriorated_in_equal_parts(clips):
    counts = Counter(a.deterioration for _, annotations in every(clips) for a in annotations)
    total = sum(counts.values())
    assert 0.44 < 1 - counts["none"] / total < 0.56
    assert all(0.06 < counts[kind] / total < 0.14 for kind in KINDS)


def test_sizes_lie_in_the_stated_range(clips):
    low, high = (SIDE * side for side in SIZES)
    sizes = [p.size for actors, _ in every(clips) for a in actors for p in a.poses if p]
    assert low <= min(sizes) < low + 3
    assert high - 3 < max(sizes) <= high


def test_boxes_fit_their_masks_inside_the_picture(clips):
    for _, annotations in every(clips):
        for a in annotations:
            x, y, w, h = a.box
            assert min(x, y) >= 0
            assert max(x + w, y + h) <= SIDE
            assert a.mask.shape == (h, w)
            edges = (a.mask[0], a.mask[-1], a.mask[:, 0], a.mask[:, -1])
            assert all(edge.any() for edge in edges)


def test_labelled_objects_are_half_inside_and_half_free(clips):
    rendered = 0
    for actors, annotations in clips["test"][:5]:
        labelled = {(a.frame_index, a.instance) for a in annotations}
        for frame in range(24):
            above = np.zeros((3 * SIDE, 3 * SIDE), dtype=bool)
            for instance in reversed(drawing_order(actors, frame)):
                whole = paint(actors[instance].poses[frame].silhouette)
                inside = whole[SIDE : 2 * SIDE, SIDE : 2 * SIDE].sum()
                free = (whole & ~above)[SIDE : 2 * SIDE, SIDE : 2 * SIDE].sum()
                above |= whole
                expected = 2 * inside >= whole.sum() and 2 * free >= inside
                assert ((frame, instance) in labelled) == expected
                rendered += not expected
    assert rendered > 3


def paint(polygons):
    """The silhouette by counting crossings, pixel by pixel, with a margin of one picture."""
    centres = np.arange(-SIDE, 2 * SIDE) * 256 + 128
    odd = np.zeros((3 * SIDE, 3 * SIDE), dtype=bool)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            rows = np.flatnonzero((centres >= min(y0, y1)) & (centres < max(y0, y1)))
            for row in rows:
                crossing = x0 + (centres[row] - y0) * (x1 - x0) / (y1 - y0)
                odd[row] ^= centres >= crossing
    return odd


def test_motion_iou_is_the_mean_over_ten_frames_on_both_sides(clips):
    for _, annotations in clips["val"][:8]:
        boxes = {(a.frame_index, a.instance): a.box for a in annotations}
        for a in annotations:
            near = [
                boxes[t, a.instance]
                for t in range(a.frame_index - 10, a.frame_index + 11)
                if t != a.frame_index and (t, a.instance) in boxes
            ]
            mean = sum(intersection_over_union(a.box, other) for other in near) / len(near)
            assert a.motion_iou == pytest.approx(mean, abs=6e-5)


def test_tracking_by_overlap_breaks(clips):
    """A greedy IoU track joins at most about half of the deteriorated boxes to a clear one."""
    lost, total = 0, 0
    for actors, annotations in clips["val"] + clips["test"]:
        for instance in range(len(actors)):
            tracks = []
            for a in (a for a in annotations if a.instance == instance):
                last = tracks[-1][-1] if tracks else None
                near = last and intersection_over_union(a.box, last.box) >= 0.3
                if near and a.frame_index - last.frame_index <= 4:
                    tracks[-1].append(a)
                else:
                    tracks.append([a])
            for track in tracks:
                clear = any(a.deterioration == "none" for a in track)
                bad = sum(a.deterioration != "none" for a in track)
                total += bad
                lost += 0 if clear else bad
    assert lost / total > 0.4


def test_objects_cross_leave_and_stand(clips):
    crossed = left = stood = 0
    for actors, _ in clips["val"] + clips["test"]:
        for number, actor in enumerate(actors):
            places = [pose.centre if pose else None for pose in actor.poses]
            outside = [p for p in places if p and not (0 <= p[0] <= SIDE and 0 <= p[1] <= SIDE)]
            left += bool(outside)
            stood += any(p and p == q for p, q in pairwise(places))
            for other in actors[:number]:
                near = [
                    math.dist(p.centre, q.centre) < 0.35 * min(p.size, q.size)
                    for p, q in zip(actor.poses, other.poses, strict=True)
                    if p and q
                ]
                crossed += any(near)
    objects = sum(len(actors) for actors, _ in clips["val"] + clips["test"])
    assert crossed / objects > 0.1
    assert left / objects > 0.1
    assert stood / objects > 0.2


def test_class_tells_neither_size_nor_deterioration(clips):
    """Means over a class differ from the whole no more than chance allows (4 deviations)."""
    objects = [
        (actor.label, next(p.size for p in actor.poses if p), s.kind != "none")
        for actors, _ in every(clips)
        for actor in actors
        for s in actor.stretches[:1]
    ]
    for column in (1, 2):
        values = np.array([float(entry[column]) for entry in objects])
        labels = np.array([entry[0] for entry in objects])
        for label in range(len(class_names())):
            group = values[labels == label]
            assert abs(group.mean() - values.mean()) < 4 * values.std() / len(group) ** 0.5
