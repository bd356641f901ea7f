"""Maps whose values are all bfloat16's: products of pairs, as exact as those of float32."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch

from tests.ops.compare import Problem, assert_close
from tests.ops.instruction_sets import instruction_set, use
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.packed import inverse_norms

LOW, FULL = "avx512_bf16", "avx512"


@pytest.fixture(autouse=True)
def pairs() -> Generator[None]:
    """Skips where the processor has no such products."""
    with instruction_set(LOW):
        yield


def rounded(problem: Problem) -> dict[str, torch.Tensor]:
    """The problem's tensors, maps with values of bfloat16."""
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    maps = [name for name in tensors if name.startswith(("features", "support"))]
    return {**tensors, **{name: tensors[name].bfloat16().float() for name in maps}}


def of_both(problem: Problem, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    results = []
    for isa in (LOW, FULL):
        assert use(isa)
        results.append(problem.run(tensors, "native"))
    return results


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(3,), rois=(30,), channels=48),
        Problem(frames=(2, 0, 1), rois=(60, 3, 90), channels=55, heads=5, grid=(3, 5)),
        Problem(frames=(2,), rois=(40,), channels=80, heads=0, top_k=9, relu=False),
        Problem(frames=(1,), rois=(30,), size=(9, 8), channels=64),
    ],
    ids=str,
)
def test_pairs_give_what_the_equations_give(problem):
    tensors = rounded(problem)
    mask = ~problem.ties(tensors).unsqueeze(1)
    assert mask.float().mean() > 0.9
    by_pairs, by_floats = of_both(problem, tensors)
    assert not torch.equal(by_pairs, by_floats)
    expected = problem.run(tensors, "reference")
    assert_close(by_pairs * mask, expected * mask, 1e-5)


@pytest.mark.parametrize("where", ["features", "support0"])
def test_one_other_value_leaves_all_to_float32(where):
    problem = Problem(frames=(2,), rois=(30,), channels=48)
    tensors = rounded(problem)
    place = tensors[where].view(-1)
    place[0 if where == "features" else -1] += 1e-3
    by_pairs, by_floats = of_both(problem, tensors)
    if where == "support0":
        assert torch.equal(by_pairs, by_floats)
    mask = ~problem.ties(tensors).unsqueeze(1)
    assert_close(by_pairs * mask, by_floats * mask, 1e-5)


@pytest.mark.parametrize("channels", [1, 7, 64])
def test_choice_ties_and_zeros(channels):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-9, 10, (2, 150, channels), generator=generator).float()
    rows[:, 140] = rows[:, 3]
    rows[:, 20] = 0
    positions = torch.randint(-9, 10, (70, channels), generator=generator).float()
    positions[5] = 0
    found = native.select(positions, rows, inverse_norms(rows), 4)
    assert found is not None
    scores, indices = found
    lengths = rows.double().norm(dim=-1).clamp(min=1e-12)
    cosines = positions.double() @ (rows.double() / lengths[..., None]).transpose(1, 2)
    cosines /= positions.double().norm(dim=-1, keepdim=True).clamp(min=1e-12)
    # Equal cosines choose the lowest index.
    order = cosines.round(decimals=6).argsort(dim=-1, descending=True, stable=True)[..., :4]
    wanted = cosines.gather(-1, order)
    torch.testing.assert_close(scores.double(), wanted, atol=1e-6, rtol=0)
    assert (indices[:, 5] == torch.arange(4)).all()
    if channels > 1:
        assert (indices[0] == order[0]).float().mean() > 0.9
        assert not (indices == 140).any() or (indices == 3).any()
