"""EPIC-KITCHENS: only annotated frames of a class count."""

import pytest

from tests.evaluation.arrays import make_pool
from trovid.evaluation import epic_figures

BOX, AWAY = [10.0, 10, 50, 50], [100.0, 100, 140, 140]


def means(objects, detections, classes=("cup", "pan")) -> list[float]:
    pool = make_pool(
        [[[(box, label, 0, {}) for box, label in frame] for frame in objects]],
        [detections],
        classes,
    )
    return [figures.mean for figures in epic_figures(pool).values()]


def test_a_frame_without_the_class_is_not_looked_at():
    """Only active objects are annotated: a detection elsewhere may well be right."""
    found = [[(BOX, 0, 0.5)], [(AWAY, 0, 0.9)]]
    assert means([[(BOX, 0)], [(BOX, 1)]], found) == pytest.approx([0.5, 0.5, 0.5])
    assert means([[(BOX, 0)], []], found) == pytest.approx([1.0, 1.0, 1.0])


def test_each_overlap_has_its_figure():
    shifted = [20.0, 10, 60, 50]  # IoU 31 / 51
    assert means([[(BOX, 0)]], [[(shifted, 0, 0.9)]]) == [1.0, 1.0, 0.0]


def test_the_second_on_an_object_is_wrong_though_another_is_free():
    near = [12.0, 10, 52, 50]
    found = [[(BOX, 0, 0.9), (near, 0, 0.8)]]
    free = [60.0, 10, 100, 50]
    assert means([[(BOX, 0), (free, 0)]], found) == pytest.approx([0.5, 0.5, 0.5])
    assert means([[(BOX, 0)]], [[(BOX, 0, 0.8), (near, 0, 0.9)]])[2] == pytest.approx(1.0)
