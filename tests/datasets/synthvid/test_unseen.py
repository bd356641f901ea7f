"""Clips in conditions that training has not."""

from __future__ import annotations

import numpy as np

from trovid.datasets.synthvid import make_clip
from trovid.datasets.synthvid.background import draw_background, draw_unseen_background
from trovid.datasets.synthvid.clip import clip_labels
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.script import SIZES, UNSEEN_SIZES


def test_objects_have_sizes_that_no_object_of_the_benchmark_has():
    sizes = [
        pose.size / 256
        for index in range(6)
        for actor in clip_labels("test", index, setting="unseen")[0]
        for pose in actor.poses
        if pose is not None
    ]
    assert min(sizes) >= UNSEEN_SIZES[0][0]
    assert max(sizes) <= UNSEEN_SIZES[1][1]
    assert not any(SIZES[0] <= size <= SIZES[1] for size in sizes)


def test_the_background_is_another_and_the_rest_as_ever():
    small = {"height": 64, "width": 96}
    unseen, again = (make_clip("test", 3, setting="unseen", **small) for _ in range(2))
    usual = make_clip("test", 3, **small)
    assert np.array_equal(unseen.frames, again.frames)
    assert not np.array_equal(unseen.frames[0], usual.frames[0])


def test_the_background_has_flat_areas_between_hard_edges():
    def flat(draw):
        scenes = [draw(Rng(1, index), 64, 64) for index in range(4)]
        steps = np.concatenate([np.abs(np.diff(s, axis=1)).max(2).ravel() for s in scenes])
        return (steps == 0).mean()

    assert flat(draw_unseen_background) > 0.4
    assert flat(draw_background) < 0.1
