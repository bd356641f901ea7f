"""Identities by overlap and by embeddings: crossing, occlusion, permutation, doubtful classes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from trovid.recipes import TrackingRecipe
from trovid.runs.sinks.json import rounded
from trovid.structures import Detections
from trovid.tracking import (
    EmbeddingTracker,
    IoUTracker,
    PublishedTracker,
    make_tracker,
    resume,
)

NAMES = ("cat", "dog")
RED, BLUE = [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]


def frame(index: int, *objects: tuple[float, list[float], float], label: int = 0) -> Detections:
    """Objects 20 pixels wide: their left edge, embedding and score."""
    lefts, embeddings, scores = zip(*objects, strict=True) if objects else ((), (), ())
    boxes = torch.tensor([[left, 0.0, left + 20, 20.0] for left in lefts]).reshape(-1, 4)
    return Detections(
        boxes=boxes,
        scores=torch.tensor(scores),
        labels=torch.full((len(boxes),), label),
        class_names=NAMES,
        frame_index=index,
        image_size=(40, 200),
        embeddings=torch.tensor(embeddings).reshape(-1, 3),
    )


def ids(tracker, *frames: Detections) -> list[list[int]]:
    return [tracker.update(detections).track_ids.tolist() for detections in frames]


def crossing(steps: int = 21) -> list[Detections]:
    """A red and a blue object of one class run through each other; the surer one comes first."""
    frames = []
    for t in range(steps):
        objects = [(8.0 * t, RED, 0.9), (8.0 * (steps - 1 - t), BLUE, 0.8)]
        frames.append(frame(t, *(objects if t % 2 else objects[::-1])))
    return frames


@pytest.mark.parametrize("learned", [True, False])
def test_crossing_objects_keep_their_identities(learned):
    tracker = EmbeddingTracker(learned=learned)
    by_colour = []
    for detections in crossing():
        colours = detections.embeddings.argmax(1)
        tracked = tracker.update(detections)
        by_colour.append(tracked.track_ids[colours.argsort()].tolist())
    assert all(found == by_colour[0] for found in by_colour)


def test_overlap_alone_is_fooled_where_embeddings_are_not():
    """What the embeddings are good for: by overlap, crossing objects may exchange identities."""
    frames = [
        frame(0, (0.0, RED, 0.9), (30.0, BLUE, 0.8)),
        frame(1, (30.0, RED, 0.9), (0.0, BLUE, 0.8)),
    ]
    assert ids(IoUTracker(), *frames) == [[0, 1], [1, 0]]
    assert ids(EmbeddingTracker(), *frames) == [[0, 1], [0, 1]]


@pytest.mark.parametrize("kind", ["iou", "embedding"])
@pytest.mark.parametrize("hidden", [(), (4, 5, 6)])
def test_look_alikes_that_pass_each_other_are_known_by_where_they_were_going(kind, hidden):
    """Where they meet either box overlaps both last ones; one may be hidden meanwhile."""
    right, left = (lambda t: 9.0 * t + 1), (lambda t: 9.0 * (10 - t))
    tracker = make_tracker(kind, TrackingRecipe(), learned=True)
    for t in range(11):
        objects = [(right(t), RED, 0.9)] + ([] if t in hidden else [(left(t), RED, 0.8)])
        found = tracker.update(frame(t, *objects))
        assert found.track_ids.tolist() == [0, 1][: len(objects)], t


@pytest.mark.parametrize("kind", ["iou", "embedding"])
def test_an_object_that_stops_or_turns_is_the_same(kind):
    path = [0.0, 6.0, 12.0, 18.0, 24.0, 24.0, 24.0, 18.0, 12.0, 6.0]
    tracker = make_tracker(kind, TrackingRecipe(), learned=True)
    frames = [frame(t, (x, RED, 0.9)) for t, x in enumerate(path)]
    assert ids(tracker, *frames) == [[0]] * len(path)


def test_an_object_that_was_hidden_is_known_again_until_it_is_forgotten():
    settings = TrackingRecipe(patience=3)
    for gap, expected in ((2, 0), (3, 1)):
        tracker = EmbeddingTracker(settings)
        hidden = [frame(1 + t) for t in range(gap)]
        found = ids(tracker, frame(0, (0.0, RED, 0.9)), *hidden, frame(9, (100.0, RED, 0.9)))
        assert found[-1] == [expected]


def test_another_class_is_another_object_only_as_published():
    object_ = (0.0, [2.0, 0.0, 0.0], 0.9)  # the class counts more than so much likeness
    frames = [frame(0, object_), frame(1, object_, label=1), frame(2, object_)]
    published = PublishedTracker(TrackingRecipe(repeated=True))
    assert ids(published, *frames) == [[0], [1], [0]]
    assert ids(EmbeddingTracker(), *frames) == [[0], [0], [0]]


def test_the_class_is_the_one_of_the_greatest_sum():
    """A frame in doubt does not change it; many surer ones do."""
    cat, dog = (0.0, RED, 0.6), (0.0, RED, 0.8)
    tracker = EmbeddingTracker(TrackingRecipe(patience=3))
    frames = [frame(0, cat), frame(1, cat), *(frame(t, dog, label=1) for t in range(2, 6))]
    found = [tracker.update(detections) for detections in frames]
    assert [detections.track_ids.tolist() for detections in found] == [[0]] * 6
    # sums: 0.6, 1.2; then dogs against the cats of the last three frames: 0.8 < 1.2, 1.6 > 1.2
    assert [detections.names for detections in found] == [["cat"]] * 3 + [["dog"]] * 3
    assert [detections.scores.tolist() for detections in found] == [
        [score] for score in own_scores(frames)
    ]


def own_scores(frames: list[Detections]) -> list[float]:
    return [float(detections.scores) for detections in frames]


def test_classes_on_one_object_are_one_candidate():
    """Both count for its class; the surer box stays, and what is elsewhere is another object."""
    doubtful = frame(0, (0.0, RED, 0.4), (0.5, RED, 0.5), (100.0, BLUE, 0.3))
    doubtful.labels[:] = torch.tensor([0, 1, 0])
    tracker = EmbeddingTracker()
    found = tracker.update(doubtful)
    assert found.boxes[:, 0].tolist() == [0.5, 100.0]
    assert found.track_ids.tolist() == [0, 1]
    assert found.names == ["dog", "cat"]
    # 0.4 + 0.3 against 0.5: the sum decides
    assert tracker.update(frame(1, (1.0, RED, 0.3))).names == ["cat"]
    apart = EmbeddingTracker(TrackingRecipe(same=1.0)).update(doubtful)
    assert len(apart) == 3
    assert len(set(apart.track_ids.tolist())) == 3


def test_by_overlap_a_doubtful_frame_changes_neither_identity_nor_class():
    cat, near = (0.0, RED, 0.9), (1.0, RED, 0.6)  # IoU 0.9
    tracker = IoUTracker()
    frames = [frame(0, cat), frame(1, near, label=1), frame(2, cat)]
    found = [tracker.update(detections) for detections in frames]
    assert [detections.track_ids.tolist() for detections in found] == [[0]] * 3
    assert [detections.names for detections in found] == [["cat"]] * 3
    # another class that overlaps less is another object, and so are both where `same` is 1
    apart = frame(3, (5.0, RED, 0.6), label=1)  # IoU 0.6
    assert tracker.update(apart).track_ids.tolist() == [1]
    assert ids(IoUTracker(same=1.0), *frames) == [[0], [1], [0]]


def test_boxes_of_two_classes_that_share_little_are_two_objects():
    rider, horse = (0.0, RED, 0.9), (4.0, BLUE, 0.8)  # IoU 0.67
    both = frame(0, rider, horse)
    both.labels[1] = 1
    tracker = EmbeddingTracker()
    for _ in range(3):
        found = tracker.update(both)
        assert found.track_ids.tolist() == [0, 1]
        assert found.names == ["cat", "dog"]


def test_one_identity_twice_in_a_frame_only_as_published():
    """Two boxes on one object: once it is its identity, and twice in the published code."""
    first, second = frame(0, (0.0, RED, 0.9)), frame(1, (1.0, RED, 0.5), (0.0, RED, 0.9))
    assert ids(EmbeddingTracker(), first, second) == [[0], [1, 0]]
    published = PublishedTracker(TrackingRecipe(repeated=True))
    # rows are gone through by falling score: the weaker one loses its detection
    assert ids(published, first, second) == [[0], [0]]
    surer = frame(1, (3.0, RED, 0.9), (0.0, RED, 0.85))
    published = PublishedTracker(TrackingRecipe(repeated=True))
    assert ids(published, first, surer) == [[0], [0, 0]]


def test_the_order_of_the_rows_decides_nothing():
    torch.manual_seed(0)
    frames = []
    for t in range(4):
        objects = [(25.0 * i + t, torch.randn(3).tolist(), 0.9 - 0.1 * i) for i in range(4)]
        frames.append(frame(t, *objects))
    straight = ids(EmbeddingTracker(), *frames)
    for order in itertools.islice(itertools.permutations(range(4)), 0, 24, 5):
        tracker = EmbeddingTracker()
        for detections, wanted in zip(frames, straight, strict=True):
            found = tracker.update(detections[list(order)])
            assert found.track_ids.tolist() == [wanted[i] for i in order]


def test_frames_without_detections():
    tracker = EmbeddingTracker()
    assert ids(tracker, frame(0), frame(1, (0.0, RED, 0.9)), frame(2)) == [[], [0], []]
    bare = frame(3, (0.0, RED, 0.9))
    with pytest.raises(ValueError, match="must have `embeddings`"):
        tracker.update(Detections(bare.boxes, bare.scores, bare.labels, NAMES))


def test_another_class_elsewhere_is_another_object():
    """Also while one is out of sight, whose identity would be free."""
    tracker = EmbeddingTracker()
    for t in range(10):
        tracker.update(frame(t, (0.0, RED, 0.9)))
    dog = tracker.update(frame(10, (150.0, [0.2, 4.0, 0.0], 0.9), label=1))
    assert (dog.track_ids.tolist(), dog.names) == ([1], ["dog"])


@pytest.mark.parametrize("kind", ["iou", "embedding"])
def test_unsure_detections_continue_identities_and_begin_none(kind):
    tracker = make_tracker(kind, None, learned=True, score=0.5)
    assert ids(tracker, frame(0, (0.0, RED, 0.9), (60.0, BLUE, 0.8))) == [[0, 1]]
    covered = frame(1, (63.0, BLUE, 0.3), (2.0, RED, 0.9), (120.0, [0.0, 0.0, 4.0], 0.4))
    found = tracker.update(covered)
    assert (found.track_ids.tolist(), found.names) == ([0, 1], ["cat", "cat"])
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    # where it was seen last is where it was unsure
    assert ids(tracker, frame(2, (4.0, RED, 0.9), (72.0, BLUE, 0.3))) == [[0, 1]]
    assert ids(tracker, frame(3, (6.0, RED, 0.9), (78.0, BLUE, 0.9))) == [[0, 1]]


@pytest.mark.parametrize("kind", ["iou", "embedding"])
@pytest.mark.parametrize(("left", "label"), [(2.0, 0), (20.0, 0), (80.0, 0), (62.0, 1)], ids=str)
def test_an_unsure_detection_that_lies_elsewhere_or_is_another_class_goes(kind, left, label):
    """Or that is a second box on what a surer one continues."""
    tracker = make_tracker(kind, None, learned=True, score=0.5)
    tracker.update(frame(0, (0.0, RED, 0.9), (60.0, BLUE, 0.8)))
    second = frame(1, (1.0, RED, 0.9), (left, BLUE, 0.3))
    second.labels[1] = label
    assert ids(tracker, second) == [[0]]


def test_unsure_detections_change_nothing_of_the_surer_ones_of_their_frame():
    frames = crossing(9)
    plain, two = IoUTracker(), IoUTracker(score=0.5)
    for detections in frames[:-1]:
        plain.update(detections)
        two.update(detections)
    doubt = frame(8, (64.0, RED, 0.9), (96.0, BLUE, 0.8), (64.5, RED, 0.4), (150.0, RED, 0.2))
    doubt.labels[2] = 1
    wanted, found = plain.update(doubt[:2]), two.update(doubt)
    for name in ("boxes", "scores", "labels", "track_ids"):
        assert getattr(found, name).equal(getattr(wanted, name))


@pytest.mark.parametrize("kind", ["iou", "embedding"])
@pytest.mark.parametrize("score", [float("-inf"), 0.6])
@pytest.mark.parametrize("settings", [{}, {"same": 1.0}, {"repeated": True}])
def test_a_resumed_tracker_goes_on_as_if_nothing_had_been(kind, settings, score):
    """From what was written, which is rounded and knows no identities where nothing was found."""
    settings = TrackingRecipe(patience=4, **settings)

    def new():
        return make_tracker(kind, settings, learned=True, score=score)

    frames = crossing(15)
    for detections in (frames[2], frames[7], frames[8]):
        detections.scores[0] = 0.5
    frames[5], frames[6] = frame(5), frame(6, (150.0, [0.0, 0.0, 4.0], 0.9), label=1)
    frames[3].labels[0] = frames[8].labels[0] = frames[9].labels[1] = 1
    frames[10] = frame(10, (80.0, RED, 0.500004), (80.0, RED, 0.500001), (80.5, BLUE, 0.8))
    frames[10].labels[1] = 1
    whole = new()
    straight = [whole.update(detections) for detections in frames]
    for stop in (1, 6, 7, 9, 11):
        resumed = new()
        earlier = [
            replace(
                rounded(detections), track_ids=detections.track_ids if len(detections) else None
            )
            for detections in straight[:stop]
        ]
        resume(resumed, earlier, [frames[detections.frame_index] for detections in earlier[-4:]])
        for detections, wanted in zip(frames[stop:], straight[stop:], strict=True):
            again = resumed.update(detections)
            assert again.track_ids.tolist() == wanted.track_ids.tolist()
            assert again.labels.tolist() == wanted.labels.tolist()


@pytest.mark.parametrize("kind", ["iou", "embedding"])
def test_a_resumed_tracker_takes_frames_that_are_found_otherwise(kind):
    """On another device an object at the lowest score may be missing, or another one be there."""
    tracker = make_tracker(kind, None, learned=True)
    first = tracker.update(frame(0, (0.0, RED, 0.9), (60.0, BLUE, 0.8)))
    resumed = make_tracker(kind, None, learned=True)
    resume(resumed, [first], [frame(0)])
    assert resumed.update(frame(1, (0.0, RED, 0.9))).track_ids.tolist() == [2]
    resumed = make_tracker(kind, None, learned=True)
    resume(resumed, [first], [frame(0, (120.0, [0.0, 0.0, 4.0], 0.5), (60.0, BLUE, 0.8))])
    assert resumed.update(frame(1, (60.0, BLUE, 0.9))).track_ids.tolist() == [1]


@pytest.mark.parametrize("learned", [True, False, "iou", "published"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64])
def test_boxes_without_area_and_of_any_numbers(learned, dtype):
    def tracker():
        if learned == "iou":
            return IoUTracker()
        if learned == "published":
            return PublishedTracker(TrackingRecipe())
        return EmbeddingTracker(learned=learned)

    def found(index):
        boxes = torch.tensor([[10, 5, 10, 9], [20, 5, 40, 30]], dtype=dtype)
        detections = frame(index, (0.0, RED, 0.9), (30.0, BLUE, 0.8))
        return replace(detections, boxes=boxes, labels=detections.labels.to(torch.uint8))

    first, again = tracker(), tracker()
    seen = [first.update(found(index)) for index in range(3)]
    assert (
        len({int(detections.track_ids[detections.boxes[:, 0] == 20]) for detections in seen}) == 1
    )
    resume(again, seen, map(found, range(3)))
    row = seen[0].boxes[:, 0] == 20
    assert again.update(found(3)).track_ids[row].tolist() == seen[0].track_ids[row].tolist()
