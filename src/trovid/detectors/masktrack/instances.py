"""Detections whose masks are still maps on their boxes, and what becomes of these in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trovid.structures import Detections, Masks

SMALLEST_SIDE = 1e-6
"""Of a box, so that a map can be laid on it."""


@dataclass(frozen=True, eq=False)
class Instances:
    """What a detector with a mask head says of a frame.

    Attributes:
        detections: With boxes in pixels of the image, as all detectors give them.
        probabilities: Tensor[N, m, m], on the grid of m x m cells of each box.
        threshold: From which probability a pixel belongs to the object.
    """

    detections: Detections
    probabilities: Tensor
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.detections)

    def scaled(self, image_size: tuple[int, int]) -> Detections:
        """The detections with their masks in the pixels of a frame of another (height, width)."""
        return self._with_masks(self.detections.scaled(image_size))

    def _with_masks(self, found: Detections) -> Detections:
        found = found.cpu()
        masks = pasted(self.probabilities.cpu(), found.boxes, found.image_size, self.threshold)
        return Detections(
            **{
                name: getattr(found, name) for name in found.__dataclass_fields__ if name != "masks"
            },
            masks=masks,
        )


def pasted(
    probabilities: Tensor, boxes: Tensor, image_size: tuple[int, int], threshold: float = 0.5
) -> Masks:
    """Maps on boxes as masks of a frame, interpolated between the centres of their cells.

    One mask after the other is made, and of each only the part around its box.

    Args:
        probabilities: Tensor[N, m, m].
        boxes: Tensor[N, 4] in pixels of the frame.
        image_size: Height and width of the frame.
        threshold: From which probability a pixel belongs to the object.

    Example:
        >>> box = torch.tensor([[1.0, 1.0, 4.0, 3.0]])
        >>> pasted(torch.ones(1, 2, 2), box, (4, 6))[0].dense().int().tolist()
        [[[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]]
    """
    height, width = image_size
    first = (boxes[:, :2].floor() - 1).long().clamp(min=0)
    last = (boxes[:, 2:].ceil() + 1).long().minimum(torch.tensor([width, height]))
    corners = first.tolist()
    places = zip(probabilities, boxes, corners, last.tolist(), strict=True)
    windows = (_laid(box_map, box, start, end) >= threshold for box_map, box, start, end in places)
    return Masks.from_windows(windows, corners, image_size)


def _laid(box_map: Tensor, box: Tensor, start: Sequence[int], end: Sequence[int]) -> Tensor:
    """A map on the pixels from start to end (x, y) of the frame; it lies as masks are coded."""
    rows = _weights(start[1], end[1], box[1], box[3], box_map.shape[0])
    columns = _weights(start[0], end[0], box[0], box[2], box_map.shape[1])
    return (columns @ (rows @ box_map).t()).t()


def _weights(first: int, last: int, start: Tensor, end: Tensor, cells: int) -> Tensor:
    """How much each cell counts for the pixels first..last - 1 of an axis; nothing lies outside."""
    pixels = torch.arange(first, max(first, last), dtype=torch.float32) + 0.5
    places = (pixels - start) / (end - start).clamp(min=SMALLEST_SIDE) * cells - 0.5
    return (1 - (places[:, None] - torch.arange(cells)).abs()).clamp(min=0)
