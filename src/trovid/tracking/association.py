"""Which box of a frame continues which of the frame before: association by overlap."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trovid.tracking.matching import overlaps_of


class BoxLinker:
    """Numbers boxes frame after frame: the assignment of greatest total IoU to living tracks.

    Args:
        iou: Lowest overlap of a link.
        patience: Frames that a track may miss before it ends.
    """

    def __init__(self, *, iou: float = 0.5, patience: int = 2) -> None:
        self._iou = iou
        self._patience = patience
        self._time = -1
        self._started = 0
        self._living: dict[int, tuple[int, Tensor, int]] = {}

    def link(self, boxes: Tensor, labels: Tensor | None = None) -> Tensor:
        """The next frame.

        Args:
            boxes: Tensor[N, 4].
            labels: Tensor[N]; boxes of different labels are not linked. None: whatever the label.

        Returns:
            Tensor[N] of track numbers from 0.
        """
        self._time += 1
        self._living = {
            track: state
            for track, state in self._living.items()
            if self._time - state[0] <= self._patience + 1
        }
        kinds = [0] * len(boxes) if labels is None else labels.tolist()
        tracks = self._continued(boxes, kinds)
        for index, track in enumerate(tracks):
            if track < 0:
                tracks[index] = self._started
                self._started += 1
            self._living[tracks[index]] = (self._time, boxes[index], kinds[index])
        return torch.tensor(tracks, dtype=torch.int64)

    def _continued(self, current: Tensor, kinds: list[int]) -> list[int]:
        """For each current box the living track that it continues, -1 for none."""
        tracks = [-1] * len(current)
        if not self._living or not len(current):
            return tracks
        overlap = overlaps_of(torch.stack([box for _, box, _ in self._living.values()]), current)
        before = torch.tensor([kind for _, _, kind in self._living.values()])
        same = before[:, None] == torch.tensor(kinds)
        overlap = torch.where((overlap >= self._iou) & same, overlap, 0)
        names = list(self._living)
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(overlap.numpy(), maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if overlap[row, column] > 0:
                tracks[column] = names[row]
        return tracks


def link_boxes(boxes: Sequence[Tensor], *, iou: float = 0.5, patience: int = 2) -> list[Tensor]:
    """Link boxes of one frame to those of the next, whatever their class.

    Args:
        boxes: Tensor[N_t, 4] of each frame, in order of time.
        iou: Lowest overlap of a link.
        patience: Frames that a track may miss before it ends.

    Returns:
        For each frame Tensor[N_t] of track numbers from 0.

    Example:
        >>> first = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
        >>> link_boxes([first, first.flip(0) + 1.0])
        [tensor([0, 1]), tensor([1, 0])]
    """
    linker = BoxLinker(iou=iou, patience=patience)
    return [linker.link(current) for current in boxes]
