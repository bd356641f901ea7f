"""Seq-NMS: suppression along whole sequences of boxes instead of frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from trovid.detectors.candidates import Candidates
from trovid.detectors.contract import Support
from trovid.inference.session import Target
from trovid.structures import Detections, DetectOptions
from trovid.tracking import Tracker
from trovid.video.opening import VideoReader

if TYPE_CHECKING:
    from trovid.inference.predictor import Predictor

LINK_IOU, SUPPRESSION_IOU = 0.5, 0.3
CANDIDATE_SCORE, MOST_CANDIDATES = 0.01, 300
"""Lowest score and greatest number, a frame, of the boxes that sequences are made of."""


def seq_nms(
    frames: Sequence[Detections],
    *,
    link_iou: float = LINK_IOU,
    suppression_iou: float = SUPPRESSION_IOU,
    rescore: Literal["mean", "max"] = "mean",
) -> list[Detections]:
    """Lets the sure boxes of a video lift the unsure ones of the same object.

    Han et al., "Seq-NMS for Video Object Detection", 2016. For each class: boxes of neighbouring
    frames are linked where they overlap; the sequence of linked boxes with the greatest sum of
    scores is chosen, all its boxes get the mean (or best) score of the sequence, and the boxes that
    overlap them in their frames go; this is repeated until no box is left. A sequence of one box
    is ordinary suppression. Both thresholds are those of the paper.

    Args:
        frames: Candidates of the frames of one video in order of time, best before any suppression
            within frames (after it, too little is left to be linked).
        link_iou: Overlap from one frame to the next that a link needs at least.
        suppression_iou: Overlap with a chosen box from which another box of its class and frame
            goes.
        rescore: "mean" or "max" of the sequence's scores.

    Returns:
        For each frame the boxes that are left, with their new scores, best first.

    Raises:
        ValueError: If a threshold does not lie in 0..1, or `rescore` is neither.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
        >>> found = [
        ...     Detections(box, torch.tensor([score]), torch.tensor([0]), ("cat",), frame_index=t)
        ...     for t, score in enumerate([0.9, 0.3])
        ... ]
        >>> [f"{float(frame.scores[0]):.1f}" for frame in seq_nms(found)]
        ['0.6', '0.6']
    """
    for name, value in (("link_iou", link_iou), ("suppression_iou", suppression_iou)):
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must lie in 0..1, but is {value}")
    if rescore not in ("mean", "max"):
        raise ValueError(f"`rescore` must be 'mean' or 'max', but is {rescore!r}")
    scores = [frame.scores.detach().cpu().double().numpy().copy() for frame in frames]
    kept = [np.zeros(len(frame), dtype=bool) for frame in frames]
    labels = [frame.labels.cpu().numpy() for frame in frames]
    for label in np.unique(np.concatenate(labels)) if frames else ():
        places = [np.flatnonzero(frame_labels == label) for frame_labels in labels]
        boxes = [frame.boxes.cpu()[place] for frame, place in zip(frames, places, strict=True)]
        values = [frame_scores[place] for frame_scores, place in zip(scores, places, strict=True)]
        chain = _Chains(boxes, values, link_iou, suppression_iou)
        while (sequence := chain.best()) is not None:
            first, members = sequence
            chosen = [values[first + i][box] for i, box in enumerate(members)]
            score = np.mean(chosen) if rescore == "mean" else np.max(chosen)
            for frame, box in enumerate(members, first):
                place = places[frame][box]
                scores[frame][place], kept[frame][place] = score, True
            chain.remove(first, members)
    return [
        _sorted(frame, torch.from_numpy(score), torch.from_numpy(keep))
        for frame, score, keep in zip(frames, scores, kept, strict=True)
    ]


def sequence_targets(
    predictor: Predictor,
    reader: VideoReader,
    options: DetectOptions,
    *,
    frames: Sequence[int] | None = None,
    support: Support | None = None,
    encoded: Support | None = None,
    tracker: Tracker | None = None,
) -> Generator[Target]:
    """Goes through a video twice: for the candidates of its target frames, then for the pictures.

    Args:
        predictor: The model.
        reader: The video.
        options: Resolved; `score` and `max_detections` choose among what is left.
        frames: See `Predictor.detect`.
        support: See `Predictor.session`.
        encoded: See `Predictor.run`.
        tracker: See `Target`.

    Yields:
        Each target frame with what was found in it.
    """
    looks = predictor.run(
        reader,
        frames=frames,
        options=candidate_options(options),
        support=support,
        encoded=encoded,
    )
    found = select_along((candidates for _, candidates in looks), options)
    chosen = {detections.frame_index: detections for detections in found}
    for frame in reader:
        if frame.index in chosen:
            yield Target(frame, found=chosen.pop(frame.index), tracker=tracker)
        if not chosen:
            return


def candidate_options(options: DetectOptions) -> DetectOptions:
    """How the frames are looked at whose candidates Seq-NMS takes."""
    alone = {"track": None, "continue_score": None}
    return replace(options, seq_nms=False, selection="candidates", **alone)


def select_along(candidates: Iterable[Candidates], options: DetectOptions) -> list[Detections]:
    """What Seq-NMS leaves of the candidates of a video; arguments as of `sequence_targets`."""
    assert options.score is not None
    choice = replace(
        options,
        score=min(options.score, CANDIDATE_SCORE),
        nms=1.0,
        class_agnostic_nms=False,
        max_detections=MOST_CANDIDATES,
    )
    left = seq_nms([frame.select(choice) for frame in candidates])
    return [found[found.scores > options.score][: options.max_detections] for found in left]


def _sorted(frame: Detections, scores: torch.Tensor, keep: torch.Tensor) -> Detections:
    order = torch.where(keep, scores, -torch.inf).argsort(descending=True, stable=True)
    order = order[: int(keep.sum())].to(frame.scores.device)
    return replace(frame[order], scores=scores.to(frame.scores)[order])


@dataclass
class _Chains:
    """The boxes of one class that are left, and the best sequence that ends in each of them.

    Attributes:
        boxes: For each frame Tensor[N_t, 4].
        scores: For each frame Array[N_t].
        link_iou: See `seq_nms`.
        suppression_iou: See `seq_nms`.
    """

    boxes: list[torch.Tensor]
    scores: list[NDArray[np.float64]]
    link_iou: float
    suppression_iou: float

    def __post_init__(self) -> None:
        self.left = [np.ones(len(frame_scores), dtype=bool) for frame_scores in self.scores]
        self.links = [
            (box_iou(before, after) >= self.link_iou).numpy()
            for before, after in zip(self.boxes[:-1], self.boxes[1:], strict=True)
        ]
        self.sums = [np.full(len(frame_scores), -np.inf) for frame_scores in self.scores]
        self.before = [np.full(len(frame_scores), -1) for frame_scores in self.scores]
        self.highest = np.full(len(self.scores), -np.inf)
        self._update(0, len(self.scores))

    def best(self) -> tuple[int, list[int]] | None:
        """First frame and boxes of the sequence with the greatest sum; None if no box is left."""
        frame = int(self.highest.argmax())
        if self.highest[frame] == -np.inf:
            return None
        members = [int(self.sums[frame].argmax())]
        while (before := int(self.before[frame][members[0]])) >= 0:
            members.insert(0, before)
            frame -= 1
        return frame, members

    def remove(self, first: int, members: list[int]) -> None:
        """Take a sequence away, and in its frames what overlaps it."""
        for frame, box in enumerate(members, first):
            overlap = box_iou(self.boxes[frame][box : box + 1], self.boxes[frame])[0].numpy()
            self.left[frame] &= overlap < self.suppression_iou
            self.left[frame][box] = False
        self._update(first, first + len(members))

    def _update(self, first: int, last: int) -> None:
        """Sums anew from a frame to a later one, and beyond as far as anything changes."""
        for frame in range(first, len(self.scores)):
            old = self.sums[frame]
            new = np.where(self.left[frame], self.scores[frame], -np.inf)
            before = np.full(len(new), -1)
            if frame and len(new) and len(self.sums[frame - 1]):
                reach = np.where(self.links[frame - 1], self.sums[frame - 1][:, None], -np.inf)
                best = reach.argmax(0)
                gain = reach[best, np.arange(len(new))]
                continued = (gain > 0) & self.left[frame]
                before[continued] = best[continued]
                new[continued] += gain[continued]
            same = np.array_equal(new, old) and np.array_equal(before, self.before[frame])
            self.sums[frame], self.before[frame] = new, before
            self.highest[frame] = new.max(initial=-np.inf)
            if frame >= last and same:
                return
