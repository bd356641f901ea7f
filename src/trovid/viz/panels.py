"""How a frame of the annotated video is put together: alone, beside its source, in a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame
from trovid.viz.canvas import USUAL_LABELS, LabelStyle
from trovid.viz.drawing import draw, grid
from trovid.viz.identities import IdentityOverlay

SOURCE_TITLE, LABELLED_TITLE = "source", "ground truth"


@dataclass(frozen=True)
class Panels:
    """The panels that a frame is shown in; one alone has no title.

    Attributes:
        title: What this run's panel is called.
        truth: Ground truth of each frame, drawn thin; None where there is none.
        source: Whether the frame itself comes first, with the ground truth alone.
        beside: Detections of other runs by their title; each maps indices of frames.
        overlay: Draws this run's detections in the colours of their identities; None: by class.
        style: How labels are written, but for those of the overlay.
    """

    title: str = "detections"
    truth: Sequence[GroundTruth] | None = None
    source: bool = False
    beside: Mapping[str, Mapping[int, Detections]] | None = None
    overlay: IdentityOverlay | None = None
    style: LabelStyle = USUAL_LABELS

    def picture(self, frame: Frame, detections: Detections) -> np.ndarray:
        """The frame with everything drawn: uint8 [H', W', 3].

        Up to three panels stand in a row, more in a grid of about as many rows as columns.
        """
        truth = self._truth(frame.index)
        drawn = partial(draw, style=self.style) if self.overlay is None else self.overlay.draw
        panel = drawn(frame, detections, ground_truth=truth)
        titles, pictures = [], []
        if self.source:
            titles.append(SOURCE_TITLE if self.truth is None else LABELLED_TITLE)
            nothing = detections[[]]
            pictures.append(draw(frame, nothing, ground_truth=truth, style=self.style))
        for title, found in (self.beside or {}).items():
            titles.append(title)
            other = found.get(frame.index, detections[[]])
            pictures.append(draw(frame, other, ground_truth=truth, style=self.style))
        if not pictures:
            return panel
        count = len(pictures) + 1
        columns = count if count <= 3 else math.ceil(math.sqrt(count))
        return grid([*pictures, panel], [*titles, self.title], columns=columns)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of `picture` for frames of a size."""
        count = 1 + self.source + len(self.beside or {})
        if count == 1:
            return height, width
        blank = np.zeros((height, width, 3), np.uint8)
        columns = count if count <= 3 else math.ceil(math.sqrt(count))
        shape = grid([blank] * count, [""] * count, columns=columns).shape
        return shape[0], shape[1]

    def _truth(self, index: int) -> GroundTruth | None:
        if self.truth is None or index >= len(self.truth):
            return None
        return self.truth[index]
