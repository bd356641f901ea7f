import numpy as np
import pytest

from trovid.evaluation import coco_ap, match_clips, object_groups, pool_frames
from trovid.evaluation.bootstrap import average_precision

LEFT, RIGHT, AWAY = [10, 10, 50, 50], [100, 10, 140, 50], [10, 120, 60, 180]


def _both(pool, name: str) -> tuple[float, float]:
    """AP50 of a group as it is reported and as it is resampled."""
    active = object_groups(pool)[name]
    once = np.ones((1, len(pool.clip_names)), dtype=np.int32)
    ap50 = average_precision(match_clips(pool, active=active), once)[0]
    return coco_ap(pool, active=active).overall.ap50, ap50


def _pool(make_labels, make_frame, found):
    objects = [
        {"box": LEFT, "label": 0, "deterioration": "none", "strength": 0.0},
        {"box": RIGHT, "label": 0, "deterioration": "darkness", "strength": 1.0},
    ]
    return pool_frames({"a": [make_frame(found)]}, make_labels({"a": [objects]}))


def test_a_detection_on_the_other_group_does_not_count(make_labels, make_frame):
    pool = _pool(make_labels, make_frame, [(RIGHT, 0, 0.9), (LEFT, 0, 0.5)])
    assert _both(pool, "clean") == pytest.approx((1.0, 1.0))
    assert _both(pool, "deteriorated") == pytest.approx((1.0, 1.0))


def test_a_second_detection_on_the_other_group_is_wrong(make_labels, make_frame):
    """Which tells "ignore" from `iscrowd`: a crowd would swallow both."""
    pool = _pool(make_labels, make_frame, [(RIGHT, 0, 0.9), (RIGHT, 0, 0.8), (LEFT, 0, 0.5)])
    assert _both(pool, "clean") == pytest.approx((0.5, 0.5))
    assert _both(pool, "deteriorated") == pytest.approx((1.0, 1.0))


def test_a_part_of_the_other_group_is_wrong(make_labels, make_frame):
    """IoU .25: a crowd's IoU (shared area by the detection's) would be 1."""
    part = [100, 10, 120, 30]
    pool = _pool(make_labels, make_frame, [(part, 0, 0.9), (LEFT, 0, 0.5)])
    assert _both(pool, "clean") == pytest.approx((0.5, 0.5))


def test_false_positives_anywhere_count_in_both_groups(make_labels, make_frame):
    found = [(AWAY, 0, 0.9), (LEFT, 0, 0.5), (RIGHT, 0, 0.4)]
    pool = _pool(make_labels, make_frame, found)
    assert _both(pool, "clean") == pytest.approx((0.5, 0.5))
    assert _both(pool, "deteriorated") == pytest.approx((0.5, 0.5))


def test_an_active_object_is_preferred_to_an_ignored_one_of_higher_iou(make_labels, make_frame):
    objects = [
        {"box": [10, 10, 50, 50], "label": 0, "deterioration": "none"},
        {"box": [14, 10, 54, 50], "label": 0, "deterioration": "noise"},
    ]
    labels = make_labels({"a": [objects]})
    pool = pool_frames({"a": [make_frame([([13, 10, 53, 50], 0, 0.9)])]}, labels)
    assert _both(pool, "clean") == pytest.approx((1.0, 1.0))
    assert _both(pool, "deteriorated") == pytest.approx((1.0, 1.0))


def test_groups_are_cut_where_the_protocol_says(make_labels, make_frame):
    speeds = [0.95, 0.9, 0.8, 0.7, 0.69]
    strengths = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]
    kinds = ["noise"] * 3 + ["darkness"] * 3
    objects = [{"box": LEFT, "label": 0, "motion_iou": m, "deterioration": "none"} for m in speeds]
    objects += [
        {"box": LEFT, "label": 0, "motion_iou": 1.0, "deterioration": k, "strength": s}
        for k, s in zip(kinds, strengths, strict=True)
    ]
    for object_ in objects:
        object_.setdefault("strength", 0.0)
    pool = pool_frames({"a": [make_frame([])]}, make_labels({"a": [objects]}))
    groups = {name: np.flatnonzero(active).tolist() for name, active in object_groups(pool).items()}
    assert groups == {
        "clean": [0, 1, 2, 3, 4],
        "deteriorated": [5, 6, 7, 8, 9, 10],
        "kind: darkness": [8, 9, 10],
        "kind: noise": [5, 6, 7],
        "strength: weak": [5, 8],
        "strength: middle": [6, 9],
        "strength: strong": [7, 10],
        "motion: slow": [0, 5, 6, 7, 8, 9, 10],
        "motion: medium": [1, 2, 3],
        "motion: fast": [4],
    }


def test_labels_that_tell_nothing_make_no_groups(make_labels, make_frame):
    labels = make_labels({"a": [[{"box": LEFT, "label": 0}]]})
    assert object_groups(pool_frames({"a": [make_frame([])]}, labels)) == {}
