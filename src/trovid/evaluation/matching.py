"""What an average precision needs to know of a model's detections: which are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECALL_POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """Detections of one class that are right or wrong, best score first; ignored ones are gone.

    Attributes:
        right: Array[N] of bool.
        rows: Array[N], each detection's place in the pool.
        weights: Array[N], how much each counts where it is wrong; None: 1.
        objects: Array[N], the object that each right one has found, as its place in the pool, of
            the others something else; None where the protocol does not keep it.
        num_objects: Objects to find.
    """

    right: NDArray[np.bool_]
    rows: NDArray[np.int32]
    num_objects: int
    weights: NDArray[np.float64] | None = None
    objects: NDArray[np.int32] | None = None

    def curve(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Right detections from the first to each one of them, and the precision there.

        Between two right detections precision falls and recall stands still.
        """
        points = np.flatnonzero(self.right)
        right = np.arange(1, len(points) + 1)
        if self.weights is None:
            return right, right / (points + 1)
        counted = np.where(self.right, 1.0, self.weights)
        return right, right / np.cumsum(counted)[points]

    def average_precision(self, *, at_points: bool) -> float:
        """The area under the curve made falling; NaN without an object to find.

        Args:
            at_points: Whether its mean at COCO's 101 recalls is taken instead.
        """
        if not self.num_objects:
            return float("nan")
        right, precision = self.curve()
        ceiling = np.maximum.accumulate(precision[::-1])[::-1]
        if not at_points:
            return float(ceiling.sum() / self.num_objects)
        reached = np.searchsorted(right / self.num_objects, RECALL_POINTS, side="left")
        return float(ceiling[reached[reached < len(ceiling)]].sum() / len(RECALL_POINTS))

    @property
    def recall(self) -> float:
        """The part of the objects that were found; NaN without an object to find."""
        return int(self.right.sum()) / self.num_objects if self.num_objects else float("nan")


def mean(values: NDArray[np.float64] | Sequence[float]) -> float:
    """The mean of the figures that exist; NaN where none does."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
