"""Which boxes a loss is computed from: matched to objects by IoU, then sampled at random."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BELOW, BETWEEN = -1, -2
"""Matches of a box that overlaps no object enough, and of one that is neither."""


def match_boxes(
    overlaps: Tensor, *, foreground: float, background: float, lowest: float | None = None
) -> Tensor:
    """The object that each box belongs to (Ren et al., Faster R-CNN, 2015, Section 3.1.2).

    Args:
        overlaps: Tensor[N, A], IoU of N objects, at least one, and A boxes.
        foreground: IoU from which a box belongs to the object that it overlaps most.
        background: IoU below which it belongs to none.
        lowest: IoU from which the boxes that overlap an object most belong to what they overlap
            most even so; None for no such rule.

    Returns:
        Tensor[A]: the row of the object, BELOW or BETWEEN.
    """
    best, objects = overlaps.max(dim=0)
    matches = torch.where(best < background, BELOW, objects)
    matches = torch.where((best >= background) & (best < foreground), BETWEEN, matches)
    if lowest is not None:
        reached = overlaps[overlaps.amax(1) >= lowest]
        favourite = (reached == reached.amax(1, keepdim=True)).any(0)
        matches = torch.where(favourite, objects, matches)
    return matches


IGNORED_SHARE = 0.5
"""Part of a box that lies in an ignored region from which the box is no background."""


def in_ignored(boxes: Tensor, target: Mapping[str, Tensor]) -> Tensor | None:
    """Which boxes lie for a good part in a region that was not labelled object by object.

    Args:
        boxes: Tensor[A, 4].
        target: Of an image; `ignored`, if there, is Tensor[M, 4]: crowds and ignored objects.

    Returns:
        Tensor[A] of bool; None where nothing is ignored.
    """
    regions = target.get("ignored")
    if regions is None or not len(regions):
        return None
    first, last = boxes[:, None, :2], boxes[:, None, 2:]
    shared = torch.minimum(last, regions[:, 2:]) - torch.maximum(first, regions[:, :2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1e-9)
    return shared.clamp(min=0).prod(2).amax(1) >= IGNORED_SHARE * areas


def sample_boxes(
    labels: Tensor,
    count: int,
    positive_fraction: float,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Some of the positive and of the negative boxes of an image.

    Args:
        labels: Tensor[A]: 1 and more positive, 0 negative, below neither.
        count: Boxes in all.
        positive_fraction: Share of positive ones at most.
        generator: Source of chance, on the CPU; None for the device's own.

    Returns:
        Their rows in rising order, the positive ones and the negative ones.
    """
    positive, negative = (labels >= 1).nonzero().flatten(), (labels == 0).nonzero().flatten()
    wanted = min(int(count * positive_fraction), len(positive))
    others = min(count - wanted, len(negative))
    return _some(positive, wanted, generator), _some(negative, others, generator)


def _some(rows: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        order = torch.randperm(len(rows), device=rows.device)
    else:
        order = torch.randperm(len(rows), generator=generator).to(rows.device)
    return rows[order[:count]].sort().values


def own_chance(target: Mapping[str, Tensor], use: int) -> torch.Generator | None:
    """The source of chance of an image, if its target brings one (`seed`, an integer).

    Args:
        target: Of the image.
        use: Number of what it is for, so that two uses differ.
    """
    seed = target.get("seed")
    return None if seed is None else torch.Generator().manual_seed(2 * int(seed) + use)
