"""A few directions that hold most of a video's support cells (docs/operator.md, "Prefixes")."""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST_CELLS = 4096
"""Maps of fewer cells are searched in all channels."""

TRIED = 64
"""So many positions, at least, are the sample that decides; four times as many are worth it."""

SAMPLES = 1024
"""So many cells, at least, a basis is made from."""

_STEPS = 3
_LARGEST_DEFECT = 0.01


class Prefixes:
    """A basis for the support cells of a video, and how far rounding can put a bound off.

    Args:
        unit_rows: Tensor[S, C], cells of length 1 (or 0) to make the basis from.
    """

    def __init__(self, unit_rows: Tensor) -> None:
        channels = unit_rows.shape[1]
        count = max(1, channels // 8)
        sample = unit_rows[:: max(1, len(unit_rows) // SAMPLES)]
        moment = sample.t() @ sample
        columns = sample[:: max(1, len(sample) // count)][:count].t()
        for _ in range(_STEPS):
            columns = torch.linalg.qr(moment @ columns).Q
        self.basis = columns.t().contiguous()
        wide = self.basis.double()
        unit = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
        self.defect = float((wide @ wide.t() - unit).abs().sum(dim=1).max())
        half_ulp = torch.finfo(unit_rows.dtype).eps / 2
        self.norm_error = (channels + 16) * half_ulp
        self.prefix_error = 1.01 * len(wide) ** 0.5 * self.norm_error
        products = 4 * (len(wide) + 1) * half_ulp
        self.margin = 2.05 * self.prefix_error + 1.01 * self.defect + products
        self.margin = 1.02 * (self.margin + 2 * self.norm_error)

    @property
    def usable(self) -> bool:
        """Whether the basis is nearly orthonormal."""
        return self.defect < _LARGEST_DEFECT

    def of(self, unit_vectors: Tensor) -> Tensor:
        """Tensor[M, m + 1]: prefixes of vectors of length 1 (or 0), and what they leave."""
        prefixes = unit_vectors @ self.basis.t()
        sure = (prefixes.norm(dim=1) - 1.02 * self.prefix_error).clamp(min=0).square()
        share = 1 - 1.01 * self.defect - 4 * self.norm_error
        square = (1 + 4 * self.norm_error - sure * share).clamp(min=0)
        has_direction = (unit_vectors != 0).any(dim=1)
        left = torch.where(has_direction, 1.0001 * square.sqrt(), 0.0)
        return torch.cat([prefixes, left.unsqueeze(1)], dim=1)


def most_compared(top_k: int, cells: int) -> int:
    """How many of a map's cells a position may compare in all channels before it takes all."""
    return min(cells, max(64, 8 * top_k))


def pay(proven: Tensor) -> bool:
    """Whether at least three of four of a sample of vectors were found without all channels."""
    return bool(proven.double().mean() > 0.75)
