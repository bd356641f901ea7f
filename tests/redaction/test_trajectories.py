"""Gaps filled in constructed trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from trovid.redaction import fill_gaps, join_trajectories, trajectory

SIZE = (100, 200)


def moving(frames, *, speed=(2.0, 0.0), at=(50.0, 40.0), track=0, label=0, side=20.0):
    """An object whose upper left corner is at `at` in frame 0."""
    corners = [[at[0] + speed[0] * t, at[1] + speed[1] * t] for t in frames]
    boxes = [[x, y, x + side, y + side] for x, y in corners]
    return trajectory(track, label, frames, boxes)


def whole(track, longest, first=0, last=40):
    return fill_gaps(track, longest=longest, first=first, last=last, size=SIZE)


def test_a_gap_is_filled_along_the_way():
    filled = whole(moving([10, 11, 12, 16, 17]), 3, first=10, last=17)
    assert filled.frames.tolist() == list(range(10, 18))
    assert filled.filled.tolist() == [False] * 3 + [True] * 3 + [False] * 2
    assert filled.boxes[:, 0].tolist() == [50 + 2 * t for t in range(10, 18)]
    assert np.isnan(filled.scores[filled.filled]).all()
    assert filled.found.frames.tolist() == [10, 11, 12, 16, 17]
    assert filled.gaps() == [(13, 15)]
    assert filled.uncovered(13, 15) == 0


def test_the_middle_of_a_long_gap_stays_open():
    filled = whole(moving([10, 20]), 3, first=10, last=20)
    assert filled.frames.tolist() == [10, 11, 12, 13, 17, 18, 19, 20]
    assert filled.uncovered(11, 19) == 3
    assert whole(moving([10, 20]), 5, first=10, last=20).frames.tolist() == list(range(10, 21))


def test_before_and_after_it_is_held_and_moved_on():
    filled = whole(moving([10, 11, 12]), 4)
    assert filled.frames.tolist() == list(range(6, 17))
    before, after = filled.boxes[0], filled.boxes[-1]
    assert before.tolist() == [50 + 2 * 6, 40, 50 + 2 * 10 + 20, 60]
    assert after.tolist() == [50 + 2 * 12, 40, 50 + 2 * 16 + 20, 60]


def test_a_single_sighting_is_held():
    filled = whole(moving([10]), 2)
    assert filled.frames.tolist() == [8, 9, 10, 11, 12]
    assert (filled.boxes == filled.boxes[0]).all()


def test_nothing_is_filled_where_there_are_no_frames():
    filled = whole(moving([1, 38]), 5, first=0, last=39)
    assert filled.frames.tolist() == [0, 1, 2, 3, 4, 5, 6, 33, 34, 35, 36, 37, 38, 39]


def test_filled_boxes_end_at_the_border():
    filled = whole(moving([0, 1, 2], speed=(-25.0, 0.0)), 10, last=20)
    assert filled.boxes[:, 0].min() == 0
    assert filled.boxes[3:, 2].tolist() == [20.0] * 10  # where it was last stays covered


@pytest.mark.parametrize("longest", [0])
def test_nothing_is_filled_where_it_is_not_wanted(longest):
    track = moving([3, 9])
    assert whole(track, longest).frames.tolist() == [3, 9]


def test_a_lost_object_that_moved_on_is_the_same():
    """It was lost with 8 pixels a frame: after six frames no box overlaps the last one."""
    first = moving([0, 1, 2, 3], speed=(8.0, 0.0))
    again = moving([10, 11, 12], speed=(8.0, 0.0), track=5)
    other = moving([4, 5, 6], at=(10.0, 5.0), track=6)
    (joined, alone) = join_trajectories([again, other, first], longest=8)
    assert joined.frames.tolist() == [0, 1, 2, 3, 10, 11, 12]
    assert (joined.track_id, alone.track_id) == (0, 6)
    filled = whole(joined, 8, last=12)
    assert filled.boxes[:, 0] == pytest.approx([50 + 8 * t for t in range(13)])


@pytest.mark.parametrize(
    "again",
    [
        moving([10, 11], label=1, track=1),
        moving([10, 11], at=(50.0, 75.0), track=1),
        moving([13, 14], track=1),
        moving([2, 3], track=1),
    ],
    ids=["another class", "elsewhere", "too late", "beside it"],
)
def test_others_are_not_the_same(again):
    assert len(join_trajectories([moving([0, 1, 2, 3]), again], longest=8)) == 2


def test_each_object_goes_on_in_one_other():
    twins = [moving([0, 1], speed=(0, 0)), moving([0, 1], speed=(0, 0), at=(52, 40), track=1)]
    after = moving([4, 5], speed=(0, 0), track=2)
    joined = join_trajectories([*twins, after], longest=8)
    assert sorted(len(track.frames) for track in joined) == [2, 4]
    assert join_trajectories([], longest=8) == []
