"""The direct backend's search in a few directions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.programs import run_program
from trovid.ops.temporal_roi_align.direct import prefixes
from trovid.ops.temporal_roi_align.direct.selection import select
from trovid.ops.temporal_roi_align.packed import inverse_norms

FEW = 150
"""So few positions are compared in all channels."""


def maps(rank: int, noise: float, channels: int = 64) -> tuple[Tensor, Tensor]:
    """Positions [300, C] and rows [2, 4200, C] near a subspace."""
    generator = torch.Generator().manual_seed(rank)
    mix = torch.randn(rank, channels, generator=generator)
    vectors = torch.randn(300 + 8400, rank, generator=generator) @ mix
    vectors += noise * torch.randn(vectors.shape, generator=generator)
    return vectors[:300], vectors[300:].view(2, 4200, channels)


def searched(positions: Tensor, rows: Tensor, top_k: int, *, used: bool):
    """By prefixes and by all channels, as few positions are; `used`: whether prefixes pay."""
    units, unit_rows = F.normalize(positions, dim=1), F.normalize(rows[0], dim=1)
    assert (prefixes.prefixes_for(units, unit_rows, top_k) is not None) == used
    assert prefixes.prefixes_for(units[:FEW], unit_rows, top_k) is None
    norms = inverse_norms(rows)
    found = select(positions, rows, norms, [len(positions)], top_k)
    parts = [select(some, rows, norms, [len(some)], top_k) for some in positions.split(FEW)]
    return found, [torch.cat(part, dim=1) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("top_k", [1, 4, 6])
def test_the_same_points_as_by_all_channels(top_k, dtype):
    positions, rows = (t.to(dtype) for t in maps(8, 0.05))
    positions[20] = 0
    rows[0, 4000:4010] = rows[0, 3]
    positions[:9] = rows[0, 3]
    rows[1, 50:60] = 0
    (scores, indices), wanted = searched(positions, rows, top_k, used=True)
    torch.testing.assert_close(scores, wanted[0], atol=1e-6, rtol=0)
    clear = wanted[0].diff(dim=-1).abs() > 1e-6
    assert torch.equal(indices[..., 0][clear.all(-1)], wanted[1][..., 0][clear.all(-1)])
    assert (indices[0, 0] == torch.tensor([3, *range(4000, 4000 + top_k - 1)])).all()
    assert (indices[:, 20] % 4200 == torch.arange(top_k)).all()


def test_where_too_much_is_left_all_channels_are_compared():
    found, wanted = searched(*maps(64, 1.0), 4, used=False)
    torch.testing.assert_close(found[0], wanted[0], atol=1e-6, rtol=0)
    assert torch.equal(found[1], wanted[1])


def test_values_that_are_not_finite_are_left_to_all_channels():
    positions, rows = maps(8, 0.05)
    rows[0, 5, 3] = torch.inf
    units = F.normalize(positions, dim=1)
    assert prefixes.prefixes_for(units, rows[0], 4) is None


PRECISION = """
import sys
import torch
from tests.ops.test_prefixes import maps, searched
exec(sys.argv[1])
found, wanted = searched(*maps(8, 0.05), 4, used=sys.argv[2] == "True")
"""


@pytest.mark.parametrize(
    ("setting", "exact"),
    [
        ("torch.set_float32_matmul_precision('medium')", False),
        ("torch.backends.mkldnn.matmul.fp32_precision = 'bf16'", False),
        ("torch.backends.cuda.matmul.fp32_precision = 'tf32'", True),
    ],
)
def test_where_torch_may_round_products_all_channels_are_compared(setting, exact):
    if "fp32_precision" in setting and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has no such setting")
    done = run_program(PRECISION, [setting, str(exact)])
    assert done.returncode == 0, done.stderr
