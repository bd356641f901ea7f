import numpy as np
import pytest

from tests.evaluation.oracle import figures, pycocotools_precision
from trovid.evaluation import coco_ap, evaluate, match_clips, pool_frames
from trovid.evaluation.bootstrap import average_precision


def _own(pool, active=None) -> tuple[float, float, float]:
    once = np.ones((1, len(pool.clip_names)), dtype=np.int32)
    aps = [
        average_precision(match_clips(pool, active=active, iou=iou), once)[0]
        for iou in np.linspace(0.5, 0.95, 10)
    ]
    return aps[0], aps[5], float(np.mean(aps))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("grouped", [False, True], ids=["all", "group"])
@pytest.mark.parametrize("ignored", [0.0, 0.3], ids=["", "crowds and ignored"])
def test_equals_pycocotools(random_case, seed, grouped, ignored):
    predictions, labels = random_case(seed, ignored=ignored)
    pool = pool_frames(predictions, labels)
    active = np.random.default_rng(seed).random(len(pool.objects)) < 0.5 if grouped else None
    precision = pycocotools_precision(pool, active)
    expected = figures(precision)
    result = coco_ap(pool, active=active)
    overall = result.overall
    assert (overall.ap50, overall.ap75, overall.ap) == pytest.approx(expected, abs=1e-12)
    assert _own(pool, active) == pytest.approx(expected, abs=1e-12)
    for index, each in enumerate(result.per_class.values()):
        assert (each.ap50, each.ap75, each.ap) == pytest.approx(
            figures(precision[:, :, index : index + 1]), abs=1e-12
        )
    assert 0.05 < expected[2] < expected[0] < 0.95


def test_a_crowd_swallows_what_lies_within_and_an_ignored_object_one_detection(
    make_labels, make_frame
):
    """As pycocotools' own rule for `iscrowd`, untouched by the oracle's ignoring."""
    alone, crowd, ignored = [0, 0, 40, 40], [100, 0, 200, 100], [0, 100, 40, 140]
    objects = [
        {"box": alone, "label": 0},
        {"box": crowd, "label": 0, "crowd": 1},
        {"box": ignored, "label": 0, "ignore": 1},
    ]
    within = [([100, 0, 130, 30], 0, 0.9), ([150, 50, 180, 80], 0, 0.8)]
    for found, expected in (
        ([*within, (alone, 0, 0.5)], 1.0),
        ([(ignored, 0, 0.9), (alone, 0, 0.5)], 1.0),
        ([(ignored, 0, 0.9), (ignored, 0, 0.8), (alone, 0, 0.5)], 0.5),
        ([([0, 100, 20, 120], 0, 0.9), (alone, 0, 0.5)], 0.5),
        ([([60, 0, 120, 40], 0, 0.9), (alone, 0, 0.5)], 0.5),
    ):
        pool = pool_frames({"a": [make_frame(found)]}, make_labels({"a": [objects]}))
        result = coco_ap(pool)
        assert result.overall.ap50 == pytest.approx(expected)
        assert _own(pool)[0] == pytest.approx(expected)
        assert figures(pycocotools_precision(pool))[0] == pytest.approx(expected)
        assert result.overall.num_objects == result.per_class["cat"].num_objects == 1
        assert (pool.counts["objects"], pool.counts["ignored_objects"]) == (1, 2)


def test_evaluations_of_one_pool_do_not_disturb_each_other(random_case):
    pool = pool_frames(*random_case(3))
    before = coco_ap(pool)
    assert coco_ap(pool, active=np.arange(len(pool.objects)) % 2 == 0) != before
    assert coco_ap(pool) == before


def test_active_objects_are_one_entry_each(random_case):
    pool = pool_frames(*random_case(4))
    with pytest.raises(ValueError, match="one entry an object"):
        coco_ap(pool, active=np.ones(3, dtype=bool))


@pytest.mark.parametrize("ignored_first", [True, False])
def test_only_the_best_100_of_a_frame_and_class_count(make_labels, make_frame, ignored_first):
    labels = make_labels({"a": [[{"box": [0, 0, 50, 50], "label": 0}]]})
    junk = [([100, 100, 120, 120], 0, 0.9)] * 100
    hit = [([0, 0, 50, 50], 0, 0.5)]
    found = hit + junk if ignored_first else junk + hit
    pool = pool_frames({"a": [make_frame(found)]}, labels)
    assert coco_ap(pool).overall.ap50 == 0.0
    assert _own(pool)[0] == 0.0
    pool = pool_frames({"a": [make_frame(hit + junk[1:])]}, labels)
    assert coco_ap(pool).overall.ap50 == pytest.approx(0.01)
    assert _own(pool)[0] == pytest.approx(0.01)


def test_of_equal_overlaps_the_last_object_is_taken(make_labels, make_frame):
    objects = [{"box": [0, 0, 40, 40], "label": 0}, {"box": [20, 0, 60, 40], "label": 0}]
    found = [([10, 0, 50, 40], 0, 0.9), ([20, 0, 60, 40], 0, 0.8)]
    pool = pool_frames({"a": [make_frame(found)]}, make_labels({"a": [objects]}))
    assert figures(pycocotools_precision(pool))[0] == pytest.approx(51 / 101)
    assert coco_ap(pool).overall.ap50 == pytest.approx(51 / 101)
    assert _own(pool)[0] == pytest.approx(51 / 101)


def test_no_detection_and_no_object(make_labels, make_frame):
    box = [10, 10, 50, 50]
    labels = make_labels({"a": [[{"box": box, "label": 0}], []]})
    report = evaluate({"a": [make_frame([])]}, labels)
    assert report.overall.ap50 == 0.0
    assert np.isnan(report.per_class["dog"].ap50)
    report = evaluate({"a": [make_frame([(box, 0, 0.5)], 1)]}, labels)
    assert np.isnan(report.overall.ap50)
    assert report.overall.num_objects == 0
