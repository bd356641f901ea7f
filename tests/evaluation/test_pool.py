import json

import numpy as np
import pytest

from trovid.datasets.coco_vid import read_coco_vid
from trovid.errors import TrovidError
from trovid.evaluation import evaluate, pool_frames

BOX = [10.0, 10.0, 50.0, 50.0]


@pytest.fixture
def labels(make_labels):
    return make_labels({name: [[{"box": BOX, "label": 1}]] * 4 for name in ("a", "b")})


def test_only_predicted_frames_count(labels, make_frame):
    found = {"b": [make_frame([(BOX, 1, 0.9)], 2), make_frame([], 0)]}
    report = evaluate(found, labels)
    assert report.head["frames"] == 2
    assert report.head["labelled_frames"] == 8
    assert report.head["videos"] == 1
    assert report.overall.num_objects == 2
    assert report.overall.ap50 == pytest.approx(51 / 101)


def test_classes_are_matched_by_name(labels, make_frame):
    found = {"a": [make_frame([(BOX, 0, 0.9), (BOX, 1, 0.8)], class_names=("dog", "whale"))]}
    pool = pool_frames(found, labels)
    assert pool.labels.tolist() == [1]
    assert pool.counts["predicted_classes_left_out"] == ["whale"]
    assert evaluate(found, labels).overall.ap50 == pytest.approx(1.0)


def test_order_of_videos_and_frames_does_not_matter(random_case):
    predictions, labels = random_case(4)
    shuffled = {name: frames[::-1] for name, frames in reversed(predictions.items())}
    one, other = pool_frames(predictions, labels), pool_frames(shuffled, labels)
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.images, other.images)


def test_frames_that_nobody_labelled_are_left_out(write_labels, make_frame):
    path = write_labels({"a": [[{"box": BOX, "label": 1}], [], []]})
    raw = json.loads(path.read_text())
    del raw["images"][1]
    path.write_text(json.dumps(raw))
    found = {"a": [make_frame([(BOX, 1, 0.5)], 0), make_frame([(BOX, 1, 0.9)], 1)]}
    report = evaluate(found, read_coco_vid(path))
    assert report.overall.ap50 == pytest.approx(1.0)
    assert (report.head["frames"], report.head["unlabelled_frames_left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("stranger", "video 'c' is not in the labels, which hold a, b"),
        ("late", "frame 4 of video 'a' does not exist: the labels give it 4 frames"),
        ("twice", "frame 1 of video 'a' was predicted twice"),
        ("nan", "frame 1 of video 'a' is not finite"),
        ("classes", "none of the predicted classes"),
        ("nothing", "hold no frame"),
    ],
)
def test_what_does_not_fit_is_named(labels, make_frame, wrong, message):
    found = {
        "stranger": {"c": [make_frame([])]},
        "late": {"a": [make_frame([], 4)]},
        "twice": {"a": [make_frame([], 1), make_frame([], 1)]},
        "nan": {"a": [make_frame([], 0), make_frame([(BOX, 1, float("nan"))], 1)]},
        "classes": {"a": [make_frame([], class_names=("whale",))]},
        "nothing": {"a": []},
    }[wrong]
    with pytest.raises(TrovidError, match=message):
        pool_frames(found, labels)
