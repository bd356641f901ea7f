"""The search coarse to fine: large squares of cells, then quarters of the best, down to cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trovid.ops.temporal_roi_align.direct.products import (
    block_bytes,
    chosen_products,
    row_products,
)
from trovid.ops.temporal_roi_align.direct.top_k import top_k_of_rows
from trovid.ops.temporal_roi_align.packed import inverse_norms


def by_squares(
    units: Tensor, unit_rows: Tensor, top_k: int, search: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """The K most similar cells among those of the most similar squares of one support map.

    A square is represented by the sum of its cells' directions; at the right and the lower border
    squares are smaller.

    Args:
        units: Tensor[M, C], of length 1 or 0.
        unit_rows: Tensor[P, C], the same.
        top_k: K.
        search: Width of the map, side of the largest squares, squares that are kept at every level.

    Returns:
        scores Tensor[M, K], best first, and indices Tensor[M, K].
    """
    width, side, kept = search
    levels, quarters, sums = [unit_rows], [], unit_rows
    while side > 1:
        quarters.append(quarters_of_squares(len(sums), width, units.device))
        found = F.embedding(quarters[-1].clamp(min=0), sums)
        sums = found.masked_fill_((quarters[-1] < 0).unsqueeze(2), 0.0).sum(dim=1)
        levels.append(sums * inverse_norms(sums).unsqueeze(1))
        width, side = (width + 1) // 2, side // 2
    parts = []
    step = max(64, 4 * block_bytes(units.device) // (4 * len(sums) + 64 * kept))
    for some in units.split(step):
        scores, chosen = top_k_of_rows(row_products(some, levels[-1]), kept)
        for level in range(len(quarters) - 1, -1, -1):
            wanted = kept if level else top_k
            candidates = quarters[level][chosen].flatten(1)
            candidates = candidates.sort(dim=1).values  # equal scores: the lowest index
            products = chosen_products(some, levels[level], candidates.clamp(min=0))
            products.masked_fill_(candidates < 0, -torch.inf)
            scores, places = top_k_of_rows(products, wanted)
            chosen = candidates.gather(1, places)
        parts.append((scores, chosen))
    scores, indices = zip(*parts, strict=True)
    return torch.cat(scores), torch.cat(indices)


def quarters_of_squares(cells: int, width: int, device: torch.device) -> Tensor:
    """Tensor[squares, 4]: the cells of each square of 2x2, row by row; -1 where it has fewer."""
    height = cells // width
    numbers = torch.arange(cells, device=device).view(height, width)
    numbers = F.pad(numbers, (0, width % 2, 0, height % 2), value=-1)
    return numbers.unfold(0, 2, 2).unfold(1, 2, 2).flatten(0, 1).flatten(1)
