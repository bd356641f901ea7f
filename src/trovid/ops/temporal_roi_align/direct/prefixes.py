"""The direct backend's exact search in a few directions (docs/operator.md, "Prefixes")."""

from __future__ import annotations

import torch
from torch import Tensor

from trovid.ops.temporal_roi_align.direct.products import chosen_products, row_products
from trovid.ops.temporal_roi_align.direct.top_k import top_k_of_rows

FEWEST_CELLS = 4096
"""Maps of fewer cells are searched in all channels."""

_CANDIDATES = 64
_SAMPLES = 1024
_STEPS = 3
_TRIED = 64
_LARGEST_DEFECT = 0.01


class Prefixes:
    """A basis for the support cells of a video, and how far rounding can put a bound off.

    Args:
        unit_rows: Tensor[S, C], cells of length 1 (or 0) to make the basis from.
    """

    def __init__(self, unit_rows: Tensor) -> None:
        channels = unit_rows.shape[1]
        count = max(1, channels // 8)
        sample = unit_rows[:: max(1, len(unit_rows) // _SAMPLES)]
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

    def search(self, units: Tensor, unit_rows: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
        """The K best rows of some vectors by their most promising rows, and for which it is proven.

        Args:
            units: Tensor[M, C], of length 1 or 0.
            unit_rows: Tensor[P, C], the same.
            top_k: K.

        Returns:
            scores Tensor[M, K], indices Tensor[M, K], proven Tensor[M] of bool.
        """
        bounds = row_products(self.of(units), self.of(unit_rows))
        highest, candidates = bounds.topk(min(len(unit_rows), max(_CANDIDATES, 8 * top_k)), dim=1)
        # Of equal scores the lowest index is wanted, so candidates come in that order.
        order = candidates.sort(dim=1).values
        scores, places = top_k_of_rows(chosen_products(units, unit_rows, order), top_k)
        proven = highest[:, -1] + self.margin < scores[:, -1]
        return scores, order.gather(1, places), proven

    def pay(self, units: Tensor, unit_rows: Tensor, top_k: int) -> bool:
        """Whether at least three of four of a sample of vectors are found without all channels."""
        tried = units[:: max(1, len(units) // _TRIED)]
        *_, proven = self.search(tried, unit_rows, top_k)
        return bool(proven.double().mean() > 0.75)


def prefixes_for(units: Tensor, unit_rows: Tensor, top_k: int) -> Prefixes | None:
    """What helps to search one map, or None where it would not.

    Args:
        units: Tensor[M, C].
        unit_rows: Tensor[P, C].
        top_k: K.
    """
    exact = torch.get_float32_matmul_precision() == "highest" or units.dtype == torch.float64
    if len(unit_rows) < FEWEST_CELLS or units.shape[1] < 32 or len(units) < 4 * _TRIED or not exact:
        return None
    if not bool(units.sum().isfinite() & unit_rows.sum().isfinite()):
        return None
    made = Prefixes(unit_rows)
    return made if made.usable and made.pay(units, unit_rows, top_k) else None
