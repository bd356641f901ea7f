"""The labelled objects of a frame, and what does not fit."""

import pytest
import torch

from trovid.structures import GroundTruth, Masks

BOXES = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]])
FIELDS = {
    "boxes": BOXES,
    "labels": torch.tensor([0, 1]),
    "instance_ids": torch.tensor([4, 5]),
    "class_names": ("cat", "dog"),
}


def test_what_counts_is_neither_a_crowd_nor_ignored():
    assert GroundTruth(**FIELDS).counted.tolist() == [True, True]
    crowd, ignore = torch.tensor([True, False]), torch.tensor([True, False])
    assert GroundTruth(**FIELDS, crowd=crowd).counted.tolist() == [False, True]
    assert GroundTruth(**FIELDS, crowd=crowd, ignore=~ignore).counted.tolist() == [False, False]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": torch.tensor([0])}, r"`labels` must have one entry a box \(2\), but has 1"),
        ({"labels": torch.tensor([0, 2])}, r"`labels` must lie in 0\.\.1"),
        ({"crowd": torch.tensor([True])}, "`crowd` must have one entry a box"),
        ({"ignore": torch.tensor([True])}, "`ignore` must have one entry a box"),
        ({"attributes": {"kind": ("blur",)}}, r"`attributes\['kind'\]` must have one entry"),
        ({"masks": Masks((4, 4))}, r"`masks` must have one entry a box \(2\), but has 0"),
        ({"boxes": BOXES[0]}, r"`boxes` must have shape \[N, 4\], but got \[4\]"),
    ],
)
def test_what_does_not_fit_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        GroundTruth(**{**FIELDS, **wrong})
