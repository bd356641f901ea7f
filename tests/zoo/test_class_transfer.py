"""Weights of heads for other classes: masks, beside the boxes of the doctest."""

from __future__ import annotations

import torch

from trovid.zoo.class_transfer import transfer_classes

KEY = "mask_head.mask_logits.weight"


def transferred(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return transfer_classes({KEY: old}, {KEY: new}, ["cat", "dog", "cow"], ["dog", "emu"])[KEY]


def test_masks_of_classes_with_the_same_name_are_kept():
    old, new = torch.arange(3.0).view(3, 1, 1, 1), torch.full((2, 1, 1, 1), 9.0)
    assert transferred(old, new).flatten().tolist() == [1, 9]


def test_a_mask_for_all_classes_stays_what_it_is():
    one = torch.ones(1, 1, 1, 1)
    assert transferred(one, torch.zeros(1, 1, 1, 1)).equal(one)


def test_a_layer_of_another_width_is_left_as_it_is():
    key = "box_head.class_logits.weight"
    old, new = torch.ones(3, 8), torch.zeros(3, 4)
    assert transfer_classes({key: old}, {key: new}, ["cat", "dog"], ["dog", "emu"])[key] is old
    wide = torch.ones(3, 8, 1, 1)
    assert transferred(wide, torch.zeros(2, 4, 1, 1)) is wide
