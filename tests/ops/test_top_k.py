from __future__ import annotations

import pytest
import torch

from trovid.ops.temporal_roi_align.direct.top_k import top_k_of_rows

MANY_VALUES = 10**7


@pytest.mark.parametrize("distinct", [1, 3, 50, MANY_VALUES])
@pytest.mark.parametrize(
    ("rows", "length", "k"), [(500, 400, 4), (30, 221, 1), (7, 5, 5), (3, 64, 63), (0, 9, 2)]
)
def test_equal_entries_by_the_lowest_index(rows, length, k, distinct):
    generator = torch.Generator().manual_seed(distinct)
    scores = torch.randint(0, distinct, (rows, length), generator=generator).float()
    expected = scores.sort(dim=1, descending=True, stable=True)
    values, indices = top_k_of_rows(scores.clone(), k)
    assert torch.equal(values, expected.values[:, :k])
    assert torch.equal(indices, expected.indices[:, :k])


def test_signed_zeros_are_equal():
    _, indices = top_k_of_rows(torch.tensor([[-0.0, 0.0, -0.0, -1.0]]), 2)
    assert indices.tolist() == [[0, 1]]
