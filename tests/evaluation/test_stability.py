"""Flicker, gaps and class changes, counted by hand."""

import math

import pytest

from tests.evaluation.arrays import make_pool
from trovid.evaluation.details import matches_at_half
from trovid.evaluation.stability import Gap, stability

BOX, OTHER, AWAY = [10.0, 10, 50, 50], [100.0, 100, 140, 140], [60.0, 60, 80, 80]


def measured(objects, detections):
    pool = make_pool(objects, detections, ("cat", "dog"))
    return stability(pool, matches_at_half(pool))


def track(frames: int, box=BOX, instance=1):
    return [[(box, 0, instance, {})] for _ in range(frames)]


def test_flicker_gap_and_class_changes():
    """Found at 0, 1, 4, 6; at 3 and 5 a dog is seen where the cat is."""
    shown = {0: 0, 1: 0, 3: 1, 4: 0, 5: 1, 6: 0}
    found = [[(BOX, shown[t], 0.9)] if t in shown else [] for t in range(8)]
    found[7] = [(AWAY, 0, 0.1)]
    for frame in found[:7]:
        frame += [(OTHER, 1, 0.8)]
    objects = [[*frame, (OTHER, 1, 2, {})] for frame in track(7)] + track(1)
    report = measured([objects], [found])
    assert report.score == pytest.approx(0.8)
    assert (report.num_tracks, report.num_steps) == (2, 7 + 6)
    assert report.appears == pytest.approx(100 * 2 / 13)
    assert report.vanishes == pytest.approx(100 * 3 / 13)
    assert report.class_changes == pytest.approx(100 * 3 / 10)
    assert report.recall == pytest.approx(11 / 15)
    assert report.worst_gap == Gap(2, "0", 1, 2)


def test_an_object_that_leaves_and_comes_back_has_not_vanished():
    objects = [*track(2), [], [], *track(2)]
    found = [[(BOX, 0, 0.9)], [(BOX, 0, 0.9)], [], [], [(BOX, 0, 0.9)], [(BOX, 0, 0.9)]]
    report = measured([objects], [found])
    assert (report.num_steps, report.appears, report.vanishes, report.worst_gap) == (2, 0, 0, None)


def test_tracks_of_two_videos_do_not_touch():
    found = [[(BOX, 0, 0.9)]]
    report = measured([track(2), track(2)], [[*found, []], [[], *found]])
    assert (report.num_tracks, report.num_steps) == (2, 2)
    assert (report.appears, report.vanishes) == (50, 50)


def test_the_score_is_the_lowest_that_is_precise_enough():
    """Equal scores stand or fall together."""
    found = [[(BOX, 0, 0.9)] for _ in range(4)] + [[(AWAY, 0, 0.5), (BOX, 0, 0.5)]]
    assert measured([track(5)], [found]).score == 0.5
    found[4] += [(AWAY, 0, 0.5)]
    assert measured([track(5)], [found]).score == 0.9


def test_where_nothing_is_precise_enough():
    report = measured([track(3)], [[[(AWAY, 0, 0.9)]] * 3])
    assert report.score is None
    assert report.num_steps == 2
    assert math.isnan(report.appears)
    assert measured([track(3)], [[[]] * 3]).score is None


def test_without_instances_there_is_nothing_to_follow():
    single = [[(BOX, 0, number, {})] for number in range(3)]
    assert measured([single], [[[]] * 3]) is None
