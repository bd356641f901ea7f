"""Clips for figures of identity, and what of each object can be seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.datasets.synthvid.test_labels import checksum
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import make_clip, write_split
from trovid.datasets.synthvid.clip import clip_labels
from trovid.datasets.synthvid.script import drawing_order
from trovid.datasets.synthvid.twins import HIDDEN, hidden
from trovid.errors import TrovidError

CHECKSUMS = {
    ("train", 0): "908232a97fff5802",
    ("test", 0): "dd033bd06bea5ffd",
    ("test", 600): "bca590a5c386a431",
}


@pytest.fixture(scope="module")
def clips():
    return [clip_labels("test", index, setting="twins") for index in range(12)]


@pytest.mark.parametrize(("split", "index"), CHECKSUMS)
def test_labels_are_the_same_for_ever(split, index):
    annotations = clip_labels(split, index, setting="twins")[1]
    assert checksum(annotations) == CHECKSUMS[split, index]


def test_two_objects_of_a_class_hide_each_other_and_are_seen_again(clips):
    swapped = turned = 0
    for actors, labels in clips:
        assert len(actors) in (2, 3)
        assert actors[0].label == actors[1].label
        assert len(actors) < 3 or actors[2].label != actors[0].label
        assert all(pose is not None for actor in actors[:2] for pose in actor.poses)
        assert hidden(labels) >= HIDDEN
        first, second = ([pose.centre for pose in actor.poses] for actor in actors[:2])
        apart = np.array(first) - np.array(second)
        along = (apart @ apart[np.linalg.norm(apart, axis=1).argmax()]) > 0
        swapped += 4 <= along.sum() <= 20
        turned += along.sum() in (0, 24)
    assert swapped > 2
    assert turned > 2


def test_a_clip_shows_what_can_be_seen():
    clip = make_clip("test", 3, setting="twins")
    actors, annotations = clip_labels("test", 3, setting="twins")
    parts = dict(zip([(a.frame_index, a.instance) for a in annotations], clip.visible, strict=True))
    covered = 0
    for annotation in annotations:
        frame, instance = annotation.frame_index, annotation.instance
        seen = parts[frame, instance]
        assert seen.shape == annotation.mask.shape
        assert not (seen & ~annotation.mask).any()
        order = drawing_order(actors, frame)
        clear = actors[instance].stretch(frame).kind != "occlusion"
        if order[-1] == instance and clear:
            assert np.array_equal(seen, annotation.mask)
        if clear:
            assert 2 * seen.sum() >= annotation.mask.sum()
        covered += seen.sum() < annotation.mask.sum()
    assert covered >= 3


def test_a_bar_covers_its_object_and_what_lies_below():
    shares = {"occlusion": [], "none": []}
    for index in range(4):
        clip = make_clip("val", index, height=96, width=96)
        for annotation, seen in zip(clip.annotations, clip.visible, strict=True):
            if annotation.deterioration in shares:
                share = seen.sum() / annotation.mask.sum()
                shares[annotation.deterioration].append(share)
    assert len(shares["occlusion"]) > 5
    assert max(shares["occlusion"]) < 0.75
    assert np.mean(shares["none"]) > 0.9


def test_written_and_read_back(tmp_path):
    path = write_split(tmp_path, split="test", videos=1, first=3, size=96, setting="twins")
    assert json.loads(path.read_text())["info"]["setting"] == "twins"
    clip = make_clip("test", 3, height=96, width=96, setting="twins")
    labels = read_coco_vid(path)
    (name,) = (video.name for video in labels.videos)
    whole, visible = (
        [mask for frame in dataset.ground_truth(name, masks=True) for mask in frame.masks.dense()]
        for dataset in (labels, labels.with_visible_masks())
    )
    for annotation, seen, a, b in zip(clip.annotations, clip.visible, whole, visible, strict=True):
        x, y, w, h = annotation.box
        assert np.array_equal(a[y : y + h, x : x + w].numpy(), annotation.mask)
        assert np.array_equal(b[y : y + h, x : x + w].numpy(), seen)
    document = json.loads(path.read_text())
    del document["annotations"][0]["visible_segmentation"]
    path.write_text(json.dumps(document))
    with pytest.raises(TrovidError, match="do not tell what of each object can be seen"):
        read_coco_vid(path).with_visible_masks()


def test_an_unknown_setting(tmp_path):
    with pytest.raises(ValueError, match="`setting` must be one of classes, twins, unseen, but"):
        write_split(tmp_path / "out", setting="x")
    assert not (tmp_path / "out").exists()
