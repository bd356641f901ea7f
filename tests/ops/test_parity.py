"""Outputs, most similar features and all gradients against the published code's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import shared
from tests.ops.compare import EVERY, assert_close, near_ties, neighbourhood
from trovid.ops import most_similar_roi_align, roi_align, temporal_roi_align

COMMITTED = Path(__file__).with_name("cases")
SHARED = shared.SHARED / "parity" / "operator"
NAMES = ["k1_n0", "k2_n4", "k4_n1", "k4_n4", "k4_n8"]
TOLERANCE = 1e-5
STRIDE = 16


def load(name: str) -> dict[str, torch.Tensor]:
    path = next((f / f"{name}.npz" for f in (COMMITTED, SHARED) if (f / f"{name}.npz").exists()), 0)
    if not path:
        pytest.skip(f"{name}.npz is not part of the repository, and {SHARED} is absent")
    with np.load(path) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("name", NAMES)
def test_published_code(name, backend):
    case = load(name)
    top_k, heads = (int(part[1:]) for part in name.split("_"))
    leaves = {key: case[key].requires_grad_() for key in ("features", "support")}
    attention = {}
    if heads:
        leaves |= {key: case[key].requires_grad_() for key in ("weight", "bias")}
        width = case["features"].shape[1] // heads
        attention = {
            "num_heads": heads,
            "weight": leaves["weight"],
            "bias": leaves["bias"],
            "logit_scale": width**-0.5,
        }
    pooling = (case["rois"], 7, 1 / STRIDE, 2, True)

    tied = near_ties(case["roi_feats"], case["support"].detach(), top_k)
    assert tied.float().mean() < 1e-3
    clear = ~tied.unsqueeze(2)
    clear_output = ~neighbourhood(tied).unsqueeze(1)

    assert_close(roi_align(case["features"], *pooling), case["roi_feats"], TOLERANCE, "RoIAlign")
    similar, _, _ = most_similar_roi_align(
        case["roi_feats"], case["support"], top_k=top_k, backend=backend
    )
    assert_close(similar * clear, case["most_similar"] * clear, TOLERANCE, "most similar")

    def run() -> torch.Tensor:
        maps = leaves["support"].unsqueeze(0)
        options = {**attention, "top_k": top_k, "backend": backend}
        return temporal_roi_align(leaves["features"], maps, *pooling, **options)

    output = run()
    with torch.no_grad():
        without_graph = run()
    expected = case["output"] * clear_output
    assert_close(output * clear_output, expected, TOLERANCE, "output")
    assert_close(without_graph * clear_output, expected, TOLERANCE, "output without a graph")

    output.backward(case["grad_output"])
    difference = (similar.detach() - case["most_similar"]).abs().amax(dim=2)
    chosen_otherwise = difference > TOLERANCE * case["most_similar"].abs().max()
    allowed = 0.01 if (chosen_otherwise & tied).any() else 0.0
    for key, leaf in leaves.items():
        name = f"gradient of {key}"
        assert_close(leaf.grad, case[f"grad_{key}"], TOLERANCE, name, allowed=allowed)
