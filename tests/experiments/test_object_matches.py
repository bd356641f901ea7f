"""One object a sequence, any class of its group, a background that is ignored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.evaluation import bootstrap
from trovid.experiments.davis_sequences import CHOOSING, CLASSES, FOLDS, REPORTING, of_classes
from trovid.experiments.everyday import ap50
from trovid.experiments.object_matches import Scene, match_objects
from trovid.structures import Detections, Video

NAMES = ("person", "motorbike", "car", "dog")
OBJECT = (10.0, 10.0, 30.0, 30.0)
ELSEWHERE = (60.0, 10.0, 80.0, 30.0)
SCENES = {
    "rider": Scene(classes=("motorbike", "person"), ignored=("car",)),
    "dog": Scene(classes=("dog",), fold="rider"),
}


def truth(**frames: list[int]) -> Dataset:
    """Five frames a sequence; the object is in those that are named."""
    rows, entries = ObjectRows(), []
    for number, (name, present) in enumerate(frames.items()):
        entries.append(VideoEntry(Video(name, 5, 50, 100), name, range(5)))
        for frame in present:
            rows.add(number, frame, 0, OBJECT, instance_id=1)
    return Dataset(["object"], entries, rows.objects())


def frame(index: int, *found: tuple[str, float, tuple[float, ...]]) -> Detections:
    return Detections(
        torch.tensor([box for *_, box in found]).view(-1, 4),
        torch.tensor([score for _, score, _ in found]),
        torch.tensor([NAMES.index(name) for name, *_ in found], dtype=torch.int64),
        NAMES,
        index,
        image_size=(50, 100),
    )


def test_any_class_of_the_group_finds_it_once_and_the_background_is_ignored():
    dataset = truth(rider=[0, 1, 2], dog=[0])
    found = {
        "rider": [
            frame(0, ("person", 0.9, OBJECT), ("motorbike", 0.8, OBJECT), ("car", 0.95, OBJECT)),
            frame(1, ("motorbike", 0.7, OBJECT), ("dog", 0.6, OBJECT)),
            frame(2, ("person", 0.5, ELSEWHERE)),
            frame(3, ("person", 0.4, OBJECT)),
        ],
        "dog": [frame(0, ("car", 0.3, ELSEWHERE), ("dog", 0.2, OBJECT))],
    }
    matches = match_objects(found, dataset, SCENES)
    assert matches.scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    expected = [True, False, True, False, False, False, False, True]
    assert matches.right.tolist() == expected
    assert matches.sequence.tolist() == [0] * 6 + [1] * 2
    assert list(zip(matches.object_sequence, matches.object_frame, strict=True)) == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
    ]
    assert matches.precise_score(0.6) == pytest.approx(0.7)
    assert matches.recall_at(0.6) == 0.5
    assert matches.recall_at(1.0) == 0.25
    assert matches.found_at(0.65) == 0.5
    ceiling = {0.25: 1.0, 0.5: 2 / 3, 0.75: 3 / 8}
    points = [
        next((p for r, p in ceiling.items() if recall <= r), 0.0)
        for recall in np.linspace(0, 1, 101)
    ]
    assert ap50(matches) == pytest.approx(np.mean(points))
    assert matches.folds == ("rider",)
    assert matches.clip_matches().num_objects.tolist() == [[4]]


def test_frames_that_do_not_count_are_left_out():
    dataset = truth(rider=[0, 1, 2], dog=[])
    found = {"rider": [frame(i, ("person", 0.5 + i / 10, OBJECT)) for i in range(5)], "dog": []}
    matches = match_objects(found, dataset, SCENES, frames={"rider": {1, 4}, "dog": ()})
    assert matches.right.tolist() == [False, True]
    assert matches.object_frame.tolist() == [1]
    nothing = match_objects({"rider": [frame(0)]}, dataset, SCENES)
    assert ap50(nothing) == 0
    assert nothing.precise_score(0.5) is None


def test_steadiness_along_a_track():
    dataset = truth(rider=[0, 1, 2, 3, 4], dog=[0, 1])
    found = {
        "rider": [
            frame(0, ("person", 0.9, OBJECT)),
            frame(1, ("motorbike", 0.9, OBJECT)),
            frame(2, ("person", 0.3, OBJECT)),
            frame(3),
            frame(4, ("motorbike", 0.8, OBJECT)),
        ],
        "dog": [frame(0), frame(1, ("dog", 0.9, OBJECT))],
    }
    steady = match_objects(found, dataset, SCENES).steadiness(0.5)
    assert (steady.recall, steady.misses) == (pytest.approx(4 / 7), pytest.approx(3 / 7))
    assert (steady.longest_gap, steady.gap_sequence) == (2, "rider")
    assert steady.class_changes == 100.0
    lost = match_objects(found, dataset, SCENES).steadiness(None)
    assert (lost.recall, lost.longest_gap, lost.class_changes) == (0, 5, 0)


def test_a_better_model_gains_over_sequences():
    dataset = truth(rider=[0, 1, 2], dog=[0, 1, 2])
    scenes = {name: Scene(classes=scene.classes) for name, scene in SCENES.items()}
    good = {
        n: [frame(i, (c, 0.9, OBJECT)) for i in range(3)]
        for n, c in (("rider", "person"), ("dog", "dog"))
    }
    bad = {name: [frame(i) for i in range(3)] for name in good}
    models = {
        name: [match_objects(found, dataset, scenes).clip_matches()]
        for name, found in (("good", good), ("bad", bad))
    }
    gain = bootstrap(models, resamples=20).gain("good", "bad")
    assert (gain.low, gain.value, gain.high) == pytest.approx((1, 1, 1))


def test_the_map_of_sequences():
    assert len(CHOOSING) == 14
    assert len(REPORTING) == 28
    assert not set(CHOOSING) & set(REPORTING)
    assert set(CLASSES) <= set(CHOOSING) | set(REPORTING)
    assert len(of_classes(list(CHOOSING))) == 13
    assert {name for name in CHOOSING if name not in CLASSES} == {"camel"}
    unknown = {"bear", "elephant", "goat", "rhino", "soccerball"}
    assert {name for name in REPORTING if name not in CLASSES} == unknown
    assert set(FOLDS) | set(FOLDS.values()) <= set(CLASSES)


def test_several_objects_of_a_frame_are_found_one_by_one():
    rows = ObjectRows()
    for index in range(2):
        for box in (OBJECT, ELSEWHERE):
            rows.add(0, index, 0, box)
    entries = [VideoEntry(Video("dog", 2, 50, 100), "dog", range(2))]
    dataset = Dataset(["object"], entries, rows.objects())
    found = {
        "dog": [
            frame(0, ("dog", 0.9, ELSEWHERE), ("dog", 0.8, ELSEWHERE), ("dog", 0.7, OBJECT)),
            frame(1, ("dog", 0.6, OBJECT)),
        ]
    }
    matches = match_objects(found, dataset, {"dog": Scene(classes=("dog",))})
    assert matches.right.tolist() == [True, False, True, True]
    assert matches.found.tolist() == [1, -1, 0, 2]
    steady = matches.steadiness(0.1)
    assert (steady.misses, steady.longest_gap) == (0.25, 1)
