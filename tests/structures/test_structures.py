"""Detections: validated, filtered, to and from what others speak."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trovid.structures import Detections, Masks, VideoDetections

NAMES = ("cup", "star", "sun")
PIXELS = torch.zeros(3, 30, 40, dtype=torch.bool)
for _row, _side in enumerate((20, 9, 4)):
    PIXELS[_row, :_side, :_side] = True
MASKS = Masks.from_dense(PIXELS)


def detections(**changes) -> Detections:
    fields = {
        "boxes": torch.tensor([[0.0, 0, 10, 20], [5, 5, 9, 9], [1, 2, 3, 4]]),
        "scores": torch.tensor([0.9, 0.5, 0.25]),
        "labels": torch.tensor([2, 0, 1]),
        "class_names": NAMES,
        "frame_index": 7,
        "time": 0.28,
        "image_size": (30, 40),
        "track_ids": torch.tensor([4, 5, 6]),
        "masks": MASKS,
    }
    return Detections(**{**fields, **changes})


def same(a: Detections, b: Detections) -> None:
    for name in ("boxes", "scores", "labels", "track_ids"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))
    assert a.masks == b.masks
    assert (a.class_names, a.frame_index, a.time) == (b.class_names, b.frame_index, b.time)


@pytest.mark.parametrize(
    ("index", "labels"),
    [
        (1, [0]),
        (-1, [1]),
        (slice(0, 2), [2, 0]),
        ([2, 0], [1, 2]),
        ([True, False, True], [2, 1]),
        (np.array([False, True, False]), [0]),
        (torch.tensor([0.9, 0.5, 0.25]) > 0.4, [2, 0]),
        ([], []),
    ],
)
def test_chosen_by_index_and_mask(index, labels):
    chosen = detections()[index]
    assert chosen.labels.tolist() == labels
    assert len(chosen.boxes) == len(chosen.track_ids) == len(chosen.masks) == len(labels)
    sides = dict(zip([2, 0, 1], (20, 9, 4), strict=True))
    assert chosen.masks.areas.tolist() == [sides[label] ** 2 for label in labels]
    assert chosen.frame_index == 7


def test_an_index_beyond_the_end():
    with pytest.raises(IndexError, match="index 3 of 3"):
        detections()[3]
    assert [d.labels.tolist() for d in detections()] == [[2], [0], [1]]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"boxes": torch.zeros(3, 5)}, ValueError, r"must have shape \[N, 4\], but got \[3, 5\]"),
        ({"boxes": [[0, 0, 1, 1]]}, TypeError, "`boxes` must be a Tensor, but got list"),
        ({"scores": torch.zeros(2)}, ValueError, r"one entry a box \(3\), but has 2"),
        ({"scores": torch.zeros(3, dtype=torch.long)}, ValueError, "must be floating-point"),
        ({"labels": torch.tensor([0, 1, 3])}, ValueError, r"0\.\.2, but reach from 0 to 3"),
        ({"track_ids": torch.zeros(3)}, ValueError, "`track_ids` must be integers"),
        ({"masks": torch.zeros(3, 30, 40)}, TypeError, "`masks` must be Masks"),
        ({"masks": MASKS[:2]}, ValueError, r"`masks` must have one entry a box \(3\), but has 2"),
        (
            {"masks": MASKS.resized((9, 9))},
            ValueError,
            r"frame's size \(30, 40\), but are of \(9, 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        detections(**changes)


def test_as_coco_results():
    assert detections().to_coco()[0] == {
        **{"image_id": 7, "category_id": 3, "bbox": [0, 0, 10, 20], "score": 0.9, "track_id": 4},
        "segmentation": MASKS.to_coco()[0],
    }
    assert [row["image_id"] for row in detections(masks=None).to_coco(image_id=30)] == [30] * 3


def test_in_a_frame_of_another_size():
    half = detections().scaled((15, 20))
    assert half.boxes[0].tolist() == [0, 0, 5, 10]
    assert half.masks.size == (15, 20)
    assert half.masks.areas.tolist() == [100, 16, 4]
    assert detections(masks=None).scaled((15, 20)).masks is None
    same(half.cpu(), half)


def test_supervision_and_back():
    supervision = pytest.importorskip("supervision")
    theirs = supervision.Detections(**detections().to_supervision())
    assert len(theirs) == 3
    assert theirs["class_name"].tolist() == ["sun", "cup", "star"]
    same(Detections.from_supervision(theirs, NAMES, frame_index=7, time=0.28), detections())


def test_masks_of_supervision_tell_the_frame_s_size():
    theirs = SimpleNamespace(
        xyxy=detections().boxes.numpy(), class_id=np.array([2, 0, 1]), mask=PIXELS.numpy()
    )
    found = Detections.from_supervision(theirs, NAMES)
    assert found.image_size == (30, 40)
    assert found.scaled((15, 20)).masks.size == (15, 20)
    theirs.mask = None
    assert Detections.from_supervision(theirs, NAMES).image_size == (0, 0)
    assert Detections.from_supervision(theirs, NAMES, image_size=(3, 4)).image_size == (3, 4)


def test_pandas():
    pytest.importorskip("pandas")
    table = detections().to_pandas()
    assert table["class"].tolist() == ["sun", "cup", "star"]
    assert table[["frame", "x2", "track"]].iloc[0].tolist() == [7, 10.0, 4]
    assert len(detections()[[]].to_pandas()) == 0


def test_one_of_them_by_an_index_of_any_kind():
    found = detections()
    for index in (1, torch.tensor(1), np.int64(1), np.array(1)):
        assert found[index].scores.tolist() == [0.5]
    assert found[found.scores.argmax()].names == ["sun"]


def test_whole_numbers_are_scaled_too():
    boxes = torch.tensor([[0, 0, 10, 20], [5, 5, 9, 9], [1, 2, 3, 4]])
    found = detections(boxes=boxes, masks=None, image_size=(30, 40)).scaled((15, 20))
    assert torch.equal(found.boxes, boxes / 2)
    with pytest.raises(ValueError, match="`image_size` must be known to scale boxes"):
        detections(masks=None, image_size=(0, 0)).scaled((15, 20))


def test_class_names_in_a_list_and_rows_that_need_a_gradient():
    found = detections(class_names=[*NAMES], boxes=detections().boxes.bfloat16().requires_grad_())
    assert found.class_names == NAMES
    assert found.to_supervision()["xyxy"].tolist() == detections().boxes.tolist()
    assert found.to_pandas()["x2"].tolist() == [10, 9, 3]


def test_columns_of_rows_in_bfloat16():
    found = detections(boxes=detections().boxes.bfloat16(), scores=detections().scores.bfloat16())
    columns = VideoDetections.from_frames([found])
    assert columns.boxes.tolist() == detections().boxes.tolist()
    assert columns.scores.tolist() == pytest.approx([0.9, 0.5, 0.25], abs=2e-3)
