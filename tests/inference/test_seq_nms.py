"""Seq-NMS on chains made by hand and against an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms, box_iou

from trovid.inference.seq_nms import seq_nms
from trovid.structures import Detections

CLASSES = ("cat", "dog")


def frame(index: int, *rows: tuple[float, float, int]) -> Detections:
    """A frame of boxes 10 wide, each given by its x, score and label."""
    boxes = torch.tensor([[x, 0.0, x + 10.0, 10.0] for x, _, _ in rows]).reshape(-1, 4)
    scores = torch.tensor([score for _, score, _ in rows])
    labels = torch.tensor([label for _, _, label in rows], dtype=torch.long)
    return Detections(boxes, scores, labels, CLASSES, frame_index=index)


def shown(frames: list[Detections]) -> list[list[tuple[float, float, int]]]:
    return [
        [
            (round(float(box[0]), 3), round(float(score), 4), int(label))
            for box, score, label in zip(f.boxes, f.scores, f.labels, strict=True)
        ]
        for f in frames
    ]


def test_an_unsure_box_between_sure_ones_is_lifted():
    frames = [frame(0, (0, 0.9, 0)), frame(1, (1, 0.1, 0)), frame(2, (2, 0.8, 0))]
    assert shown(seq_nms(frames)) == [[(0, 0.6, 0)], [(1, 0.6, 0)], [(2, 0.6, 0)]]
    best = seq_nms(frames, rescore="max")
    assert shown(best) == [[(0, 0.9, 0)], [(1, 0.9, 0)], [(2, 0.9, 0)]]
    assert [f.frame_index for f in best] == [0, 1, 2]


def test_a_box_elsewhere_is_not_linked_and_keeps_its_score():
    frames = [frame(0, (0, 0.9, 0), (50, 0.4, 0)), frame(1, (1, 0.5, 0))]
    assert shown(seq_nms(frames)) == [[(0, 0.7, 0), (50, 0.4, 0)], [(1, 0.7, 0)]]


def test_classes_do_not_meet():
    frames = [frame(0, (0, 0.9, 0), (0, 0.8, 1)), frame(1, (0, 0.1, 1))]
    assert shown(seq_nms(frames)) == [[(0, 0.9, 0), (0, 0.45, 1)], [(0, 0.45, 1)]]


def test_the_sequence_wins_over_the_best_box_of_a_frame():
    """In frame 1 the box of the chain is the weaker one, yet it stays and the other goes."""
    frames = [
        frame(0, (0, 0.8, 0)),
        frame(1, (4, 0.9, 0), (1, 0.6, 0)),
        frame(2, (-2, 0.8, 0)),
    ]
    assert shown(seq_nms(frames))[1] == [(1, pytest.approx(2.2 / 3, abs=1e-4), 0)]


def test_a_gap_ends_a_sequence():
    frames = [frame(0, (0, 0.9, 0)), frame(1), frame(2, (0, 0.3, 0))]
    assert shown(seq_nms(frames)) == [[(0, 0.9, 0)], [], [(0, 0.3, 0)]]


def test_the_overlap_at_the_threshold_links_and_suppresses():
    third = 10 / 3  # shift of a third of the width: IoU = (2/3) / (4/3) = 0.5
    frames = [frame(0, (0, 0.9, 0)), frame(1, (third - 1e-4, 0.5, 0))]
    assert shown(seq_nms(frames))[1][0][1] == 0.7
    frames = [frame(0, (0, 0.9, 0)), frame(1, (third + 1e-2, 0.5, 0))]
    assert shown(seq_nms(frames))[1][0][1] == 0.5
    assert len(seq_nms([frame(0, (0, 0.9, 0), (5, 0.8, 0))])[0]) == 1  # IoU 1/3
    assert len(seq_nms([frame(0, (0, 0.9, 0), (6, 0.8, 0))])[0]) == 2  # IoU 1/4


def test_one_frame_is_ordinary_suppression():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(60, 2, generator=generator)], 1)
    scores, labels = torch.rand(60, generator=generator), torch.arange(60) % 2
    (found,) = seq_nms([Detections(boxes, scores, labels, CLASSES)])
    keep = batched_nms(boxes, scores, labels, 0.3)
    assert torch.equal(found.boxes, boxes[keep])
    assert torch.equal(found.scores, scores[keep])


def exhaustive(frames: list[Detections], link: float, suppression: float):
    """Every chain by enumeration, the best one taken, and again; one class."""
    left = [set(range(len(f))) for f in frames]
    result = [{} for _ in frames]
    while any(left):
        best = (-1.0, 0, ())
        for first, last in itertools.combinations_with_replacement(range(len(frames)), 2):
            for chain in itertools.product(*(sorted(left[t]) for t in range(first, last + 1))):
                pairs = itertools.pairwise(enumerate(chain, first))
                linked = all(
                    box_iou(frames[s].boxes[a : a + 1], frames[t].boxes[b : b + 1]) >= link
                    for (s, a), (t, b) in pairs
                )
                total = sum(float(frames[t].scores[b]) for t, b in enumerate(chain, first))
                if linked and total > best[0]:
                    best = (total, first, chain)
        total, first, chain = best
        for t, b in enumerate(chain, first):
            result[t][b] = total / len(chain)
            overlap = box_iou(frames[t].boxes[b : b + 1], frames[t].boxes)[0]
            left[t] -= {i for i in left[t] if i == b or overlap[i] >= suppression}
    return result


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    frames = [
        frame(
            t, *((rng.uniform(0, 25), rng.uniform(0.05, 1), 0) for _ in range(rng.integers(0, 5)))
        )
        for t in range(5)
    ]
    expected = exhaustive(frames, 0.5, 0.3)
    for ours, original, wanted in zip(seq_nms(frames), frames, expected, strict=True):
        assert len(ours) == len(wanted)
        rows = {float(original.boxes[b, 0]): score for b, score in wanted.items()}
        for box, score in zip(ours.boxes, ours.scores, strict=True):
            assert float(score) == pytest.approx(rows[float(box[0])], abs=1e-6)
        assert ours.scores.tolist() == sorted(ours.scores.tolist(), reverse=True)


def test_nothing_and_wrong_values():
    assert seq_nms([]) == []
    assert [len(f) for f in seq_nms([frame(0), frame(1)])] == [0, 0]
    with pytest.raises(ValueError, match="`link_iou` must lie in"):
        seq_nms([], link_iou=1.5)
    with pytest.raises(ValueError, match="`rescore` must be"):
        seq_nms([], rescore="median")
