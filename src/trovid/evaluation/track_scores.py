"""A control: class scores averaged along IoU tracks, an offline post-processing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_iou, nms

from trovid.models.postprocess import ScoredBoxes


def average_along_tracks(
    frames: Sequence[ScoredBoxes],
    *,
    iou: float = 0.5,
    patience: int = 2,
    suppression: float = 0.5,
    objectness: float = 0.05,
) -> list[ScoredBoxes]:
    """Give every box the mean class scores of its track. It sees the whole clip at once.

    Args:
        frames: All boxes of the evaluated frames of one clip, in order of time.
        iou: Overlap from one evaluated frame to the next that a track needs.
        patience: Evaluated frames that a track may miss.
        suppression: IoU above which, whatever the class, the less sure of two boxes of a frame
            goes: one box an object.
        objectness: Lowest sum of class scores of a box.

    Returns:
        The boxes that are left, one a place (Tensor[N, 1, 4]), with their tracks' scores.
    """
    single = [_one_box_a_place(frame, suppression, objectness) for frame in frames]
    tracks = link_boxes([frame.boxes[:, 0] for frame in single], iou=iou, patience=patience)
    if not any(len(own) for own in tracks):
        return single
    all_tracks = torch.cat(tracks)
    all_scores = torch.cat([frame.class_scores for frame in single])
    sums = all_scores.new_zeros(int(all_tracks.max()) + 1, all_scores.shape[1])
    sums = sums.index_add(0, all_tracks, all_scores)
    means = sums / torch.bincount(all_tracks)[:, None]
    return [ScoredBoxes(frame.boxes, means[own]) for frame, own in zip(single, tracks, strict=True)]


def link_boxes(boxes: Sequence[Tensor], *, iou: float = 0.5, patience: int = 2) -> list[Tensor]:
    """Link boxes of one frame to those of the next, whatever their class.

    In each frame the assignment of greatest total IoU to the last boxes of living tracks.

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
    living: dict[int, tuple[int, Tensor]] = {}
    started = 0
    result = []
    for time, current in enumerate(boxes):
        living = {
            track: (seen, box)
            for track, (seen, box) in living.items()
            if time - seen <= patience + 1
        }
        tracks = _continued(living, current, iou)
        for index, track in enumerate(tracks):
            if track < 0:
                tracks[index] = started
                started += 1
            living[tracks[index]] = (time, current[index])
        result.append(torch.tensor(tracks, dtype=torch.int64))
    return result


def _continued(living: dict[int, tuple[int, Tensor]], current: Tensor, iou: float) -> list[int]:
    """For each current box the living track that it continues, -1 for none."""
    tracks = [-1] * len(current)
    if not living or not len(current):
        return tracks
    overlap = box_iou(torch.stack([box for _, box in living.values()]), current)
    overlap = torch.where(overlap >= iou, overlap, 0)
    names = list(living)
    rows, columns = linear_sum_assignment(overlap.numpy(), maximize=True)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if overlap[row, column] > 0:
            tracks[column] = names[row]
    return tracks


def _one_box_a_place(frame: ScoredBoxes, suppression: float, objectness: float) -> ScoredBoxes:
    """The surest box of each place by the sum of its class scores."""
    boxes, scores = frame.boxes, frame.class_scores
    if boxes.shape[1] > 1:
        best = scores.argmax(1)
        boxes = boxes[torch.arange(len(boxes)), best][:, None]
    sure = scores.sum(1) >= objectness
    boxes, scores = boxes[sure], scores[sure]
    keep = nms(boxes[:, 0], scores.sum(1), suppression)
    return ScoredBoxes(boxes[keep], scores[keep])
