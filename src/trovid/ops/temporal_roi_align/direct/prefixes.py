"""The direct backend's exact search in a few directions."""

from __future__ import annotations

from torch import Tensor

from trovid.ops.temporal_roi_align.direct.products import (
    chosen_products,
    products_are_exact,
    row_products,
)
from trovid.ops.temporal_roi_align.direct.top_k import top_k_of_rows
from trovid.ops.temporal_roi_align.prefixes import FEWEST_CELLS, TRIED, Prefixes, most_compared, pay


def by_most_promising(
    prefixes: Prefixes, units: Tensor, unit_rows: Tensor, top_k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The K best rows of some vectors by their most promising rows, and for which it is proven.

    Args:
        prefixes: A basis.
        units: Tensor[M, C], of length 1 or 0.
        unit_rows: Tensor[P, C], the same.
        top_k: K.

    Returns:
        scores Tensor[M, K], indices Tensor[M, K], proven Tensor[M] of bool.
    """
    bounds = row_products(prefixes.of(units), prefixes.of(unit_rows))
    highest, candidates = bounds.topk(most_compared(top_k, len(unit_rows)), dim=1)
    # Of equal scores the lowest index is wanted, so candidates come in that order.
    order = candidates.sort(dim=1).values
    scores, places = top_k_of_rows(chosen_products(units, unit_rows, order), top_k)
    proven = highest[:, -1] + prefixes.margin < scores[:, -1]
    return scores, order.gather(1, places), proven


def prefixes_for(units: Tensor, unit_rows: Tensor, top_k: int) -> Prefixes | None:
    """What helps to search one map, or None where it would not.

    Args:
        units: Tensor[M, C].
        unit_rows: Tensor[P, C].
        top_k: K.
    """
    if len(unit_rows) < FEWEST_CELLS or units.shape[1] < 32 or len(units) < 4 * TRIED:
        return None
    if not products_are_exact(units):
        return None
    if not bool(units.sum().isfinite() & unit_rows.sum().isfinite()):
        return None
    made = Prefixes(unit_rows)
    if not made.usable:
        return None
    tried = units[:: max(1, len(units) // TRIED)]
    return made if pay(by_most_promising(made, tried, unit_rows, top_k)[2]) else None
