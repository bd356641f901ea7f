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
