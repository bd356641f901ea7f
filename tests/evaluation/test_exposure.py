"""What stays visible of constructed masks, by figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trovid.evaluation import Exposure, frame_exposure


def scene(*rectangles):
    masks = np.zeros((len(rectangles), 20, 50), dtype=bool)
    for mask, (top, bottom, left, right) in zip(masks, rectangles, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_two_objects_one_of_which_is_seen():
    masks = scene((0, 10, 0, 20), (10, 20, 30, 50))
    (covered,) = scene((0, 10, 1, 24))
    found = frame_exposure(masks, covered)
    assert found == Exposure(
        object_frames=2,
        visible=1,  # the first shows 10 of 200 pixels, which is not more than 5 per cent
        visible_pixels=10 + 200,
        object_pixels=400,
        outside_pixels=40,
        frame_pixels=1000,
    )
    assert found + found == Exposure(4, 2, 420, 800, 80, 2000)


def test_just_above_the_share():
    (covered,) = scene((0, 10, 0, 18))
    covered[9, 17] = False
    assert frame_exposure(scene((0, 10, 0, 19)), covered).visible == 1  # 11 of 190
    covered[:, 17:19] = True
    covered[0, 0] = False
    assert frame_exposure(scene((0, 10, 0, 19)), covered).visible == 0


def test_what_covers_another_object_is_not_outside():
    masks = scene((0, 10, 0, 10), (0, 10, 10, 20))
    (covered,) = scene((0, 10, 0, 20))
    assert frame_exposure(masks, covered).outside_pixels == 0


def test_frames_without_objects_and_wrong_shapes():
    nothing = np.zeros((20, 50), dtype=bool)
    assert frame_exposure(scene(), ~nothing) == Exposure(0, 0, 0, 0, 1000, 1000)
    assert frame_exposure(nothing[None], nothing).object_frames == 0
    with pytest.raises(ValueError, match=r"`masks` must have shape \[N, 20, 50\]"):
        frame_exposure(nothing, nothing)
