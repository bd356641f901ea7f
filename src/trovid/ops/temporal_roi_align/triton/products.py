"""Products of rows that a half-precision format holds exactly, on tensor cores."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS, COLUMNS, DEPTH = 128, 128, 32
"""Block of one program."""


def exact_products(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right.T` in float32: Tensor[L, P] of Tensor[L, C] and Tensor[P, C], both half.

    The product of two bfloat16 or two float16 values is exact in float32, and the sums are taken
    in float32: the same as a float32 product up to the order of its sums.
    """
    (rows, depth), columns = left.shape, len(right)
    result = torch.empty(rows, columns, dtype=torch.float32, device=left.device)
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(columns, COLUMNS))
    _products[grid](
        left, right, result, rows, columns, depth, ROWS, COLUMNS, DEPTH, num_warps=8, num_stages=3
    )
    return result


@triton.jit
def _products(
    left,
    right,
    result,
    left_rows,
    right_rows,
    depth,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    j = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row = i.to(tl.int64)[:, None]
    column = j.to(tl.int64)[None, :]
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, depth, DEPTH):
        c = start + tl.arange(0, DEPTH)
        a_mask = (i < left_rows)[:, None] & (c < depth)[None, :]
        b_mask = (c < depth)[:, None] & (j < right_rows)[None, :]
        a = tl.load(left + row * depth + c[None, :], mask=a_mask, other=0.0)
        b = tl.load(right + column * depth + c[:, None], mask=b_mask, other=0.0)
        total = tl.dot(a, b, total)
    inside = (i < left_rows)[:, None] & (j < right_rows)[None, :]
    tl.store(result + row * right_rows + column, total, mask=inside)
