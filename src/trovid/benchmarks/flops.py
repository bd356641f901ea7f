"""How much arithmetic the operator is, as the equations say it and as it can be factored."""

from __future__ import annotations

from trovid.benchmarks.inputs import OperatorSize

CELLS_A_POSITION = 6.6
"""Distinct map cells that a position of a 7x7 RoI reads at sampling ratio 2, on average (counted
on the benchmark's boxes at the paper's size)."""


def equation_flops(size: OperatorSize) -> float:
    """Products of the equations as written, 2 FLOPs a multiplication and addition.

    Every position with every cell of every support map; the embedding of all T+1 sets; logits,
    the weighted sums over K points and over T+1 sets. RoIAlign, norms and softmax are left out.
    """
    positions, cells = size.positions, size.height * size.width
    similarity = 2 * size.frames * positions * cells * size.channels
    chosen = 2 * size.frames * positions * size.top_k * size.channels
    if size.form == "average":
        return similarity + chosen
    embedding = 2 * (size.frames + 1) * positions * size.channels * 9 * size.embedding_inputs
    attention = 4 * (size.frames + 1) * positions * size.channels
    return similarity + chosen + embedding + attention


def factored_flops(size: OperatorSize) -> float:
    """The least that is known to give the same numbers.

    RoIAlign is linear, so the similarities are combinations of a map-to-map product: every target
    cell (or every position, where these are fewer) with every support cell, then a few rows a
    position. The embedding is moved to the target's side: once for X_t, once back, and then an
    inner product over the 3x3 neighbourhood for each support frame.
    """
    positions, cells = size.positions, size.height * size.width
    if positions <= cells:
        similarity = 2 * size.frames * positions * cells * size.channels
    else:
        map_to_map = 2 * size.frames * cells * cells * size.channels
        similarity = map_to_map + 2 * size.frames * positions * cells * CELLS_A_POSITION
    chosen = 2 * size.frames * positions * size.top_k * size.channels
    if size.form == "average":
        return similarity + chosen
    embedding = 2 * 2 * positions * size.channels * 9 * size.embedding_inputs
    logits = 2 * size.frames * positions * 9 * size.channels
    weighted = 2 * (size.frames + 1) * positions * size.channels
    return similarity + chosen + embedding + logits + weighted
