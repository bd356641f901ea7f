"""Whether two computations of the operator agree, apart from ties.

Where the K-th and the next similarity of a position are nearly equal, rounding decides which cell
is chosen, and both choices are right. Such positions are found in float64 from the inputs alone,
so that no computation can declare its own mistakes ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}
LARGEST_OWN_ERROR = 1e-4
"""Of the rival in float32 against itself in float64; one that is off by more allows nothing."""
LARGEST_SHARE_OF_TIES = 1e-3
TIES_ALWAYS_ALLOWED = 3
TIE_MARGIN = 1e-6
_CANDIDATE_MARGIN = 1e-5
_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Agreement:
    """How far one computation is from another.

    Attributes:
        errors: For the output and each gradient, max |a - b| / max |b|; infinite where a value is
            not finite or missing; NaN where only b, that is the rival, is not finite.
        tolerance: What each of them may be.
        ties: Positions (of T * R * h * w) at which the choice of cells is open.
        positions: T * R * h * w.
    """

    errors: dict[str, float]
    tolerance: float
    ties: int
    positions: int

    @property
    def passed(self) -> bool:
        """All errors within the tolerance, and ties too few to hide anything."""
        near = all(error <= self.tolerance for error in self.errors.values())
        few = self.ties <= max(TIES_ALWAYS_ALLOWED, LARGEST_SHARE_OF_TIES * self.positions)
        return near and few

    @property
    def largest(self) -> float:
        """The largest of the errors."""
        return max(self.errors.values())


def compare(
    actual: Mapping[str, Tensor | None],
    expected: Mapping[str, Tensor | None],
    ties: Tensor,
    tolerance: float,
) -> Agreement:
    """Holds results against each other; `output` is looked at where no tie reaches it.

    Args:
        actual: `output` Tensor[R, C, h, w] and gradients, by name.
        expected: The same of the rival; gradients of both were made harmless to ties by
            `without_ties`.
        ties: Tensor[T, R, h, w] of bool.
        tolerance: Of max |a - b| / max |b|.
    """
    errors = {}
    reached = neighbours(ties).unsqueeze(1)
    for name, wanted in expected.items():
        got = actual.get(name)
        if wanted is None or got is None:
            errors[name] = 0.0 if wanted is got else float("inf")
        elif name == "output":
            errors[name] = relative_error(
                got.masked_fill(reached, 0.0), wanted.masked_fill(reached, 0.0)
            )
        else:
            errors[name] = relative_error(got, wanted)
    return Agreement(errors, tolerance, int(ties.sum()), ties.numel())


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Largest |a - b| over largest |b|; infinite where shapes differ or a value is not finite.

    NaN where only b is not finite, which says nothing about a.
    """
    if actual.shape != expected.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    if not bool(actual.isfinite().all()):
        return float("inf")
    if not bool(expected.isfinite().all()):
        return float("nan")
    difference = (actual.double() - expected.double()).abs().max().item()
    largest = expected.double().abs().max().item()
    return difference / largest if largest else (0.0 if difference == 0 else float("inf"))


def neighbours(ties: Tensor) -> Tensor:
    """Positions Tensor[R, h, w] whose output a tie of Tensor[T, R, h, w] may change.

    Through the 3x3 embedding a tie reaches the positions next to it.
    """
    return F.max_pool2d(ties.any(dim=0).float().unsqueeze(1), 3, 1, 1).squeeze(1).bool()


def without_ties(grad_output: Tensor, ties: Tensor) -> Tensor:
    """The gradient of the output with zeros for whole RoIs that hold a tie in any frame."""
    held = ties.any(dim=0).flatten(1).any(dim=1)
    return grad_output.masked_fill(held.view(-1, 1, 1, 1), 0.0)


def near_ties(
    roi_features: Tensor, support: Tensor, top_k: int, margin: float = TIE_MARGIN
) -> Tensor:
    """Where the K-th and the next cosine, in float64, differ by less than `margin`.

    Candidates are sought in float32 with ten times the margin; their similarities are computed
    again in float64.

    Args:
        roi_features: Tensor[R, C, h, w], X_t.
        support: Tensor[T, C, H, W].
        top_k: K.
        margin: Of the cosine.

    Returns:
        Tensor[T, R, h, w] of bool.
    """
    positions = roi_features.permute(0, 2, 3, 1).flatten(0, 2)
    found = torch.zeros(len(support), len(positions), dtype=torch.bool, device=positions.device)
    cells = support.shape[2] * support.shape[3]
    if top_k < cells:
        unit = F.normalize(positions.float(), dim=1)
        for frame, support_map in enumerate(support):
            rows = support_map.flatten(1).t()
            unit_rows = F.normalize(rows.float(), dim=1)
            step = max(1, _BLOCK_BYTES // (4 * cells))
            for low in range(0, len(positions), step):
                gaps = _gaps(unit[low : low + step], unit_rows, top_k)
                near = (gaps < _CANDIDATE_MARGIN).nonzero().squeeze(1) + low
                if len(near):
                    exact = F.normalize(positions[near].double(), dim=1)
                    exact_rows = F.normalize(rows.double(), dim=1)
                    found[frame, near] = _gaps(exact, exact_rows, top_k) < margin
    shape = roi_features.shape
    return found.view(len(support), shape[0], shape[2], shape[3])


def _gaps(unit: Tensor, unit_rows: Tensor, top_k: int) -> Tensor:
    best = (unit @ unit_rows.t()).topk(top_k + 1, dim=1).values
    return best[:, -2] - best[:, -1]
