"""The search by maps rounded to 16 bits: the cells that float32 chooses, and its cosines."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.ops.compare import Problem, assert_close
from tests.ops.instruction_sets import instruction_set, use
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.packed import inverse_norms

FULL = "portable"
TOP_K = 4


@pytest.fixture(params=["avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2"])
def rounded(request) -> Generator[str]:
    """The instruction sets that multiply pairs: bfloat16's in the first, else whole numbers."""
    with instruction_set(request.param):
        yield request.param


def select(isa: str, positions: Tensor, rows: Tensor, top_k: int = TOP_K) -> tuple[Tensor, Tensor]:
    assert use(isa)
    found = native.select(positions, rows, inverse_norms(rows), top_k)
    assert found is not None
    return found


def random_maps(seed: int = 0, channels: int = 96) -> tuple[Tensor, Tensor]:
    """Positions [500, C] and rows [3, 333, C] whose cosines lie apart."""
    generator = torch.Generator().manual_seed(seed)
    positions = torch.randn(500, channels, generator=generator).relu()
    return positions, torch.randn(3, 333, channels, generator=generator).relu()


def assert_chosen(found: tuple[Tensor, Tensor], positions: Tensor, rows: Tensor) -> None:
    """What float64 chooses, but where a choice hangs on less than 1e-6."""
    scores, indices = found
    cosines = F.normalize(positions.double(), dim=-1) @ F.normalize(rows.double(), dim=-1).mT
    best = cosines.topk(scores.shape[-1] + 1, dim=-1)
    torch.testing.assert_close(scores.double(), best.values[..., :-1], atol=1e-6, rtol=0)
    clear = (best.values.diff(dim=-1) < -1e-6).all(dim=-1)
    assert clear.float().mean() > 0.95
    assert torch.equal(indices[clear].long(), best.indices[clear][..., :-1])


@pytest.mark.parametrize("channels", [33, 96, 200])
@pytest.mark.parametrize("top_k", [1, 4, 9])
def test_the_choice_is_that_of_the_equations(rounded, channels, top_k):
    positions, rows = random_maps(channels=channels)
    found = select(rounded, positions, rows, top_k)
    assert not torch.equal(found[0], select(FULL, positions, rows, top_k)[0])
    assert_chosen(found, positions, rows)


def test_where_all_cells_are_alike_float32_decides(rounded):
    positions, rows = random_maps()
    rows = rows[:, :1] + 1e-3 * rows
    scores, indices = select(rounded, positions, rows)
    full_scores, full_indices = select(FULL, positions, rows)
    torch.testing.assert_close(scores, full_scores, atol=2e-7, rtol=0)
    assert (indices == full_indices).float().mean() > 0.7


def test_some_positions_with_many_cells_alike(rounded):
    positions, rows = random_maps()
    alike = rows[:, :1] + 2e-3 * torch.rand(3, 40, 96, generator=torch.Generator().manual_seed(1))
    rows[:, 50:90] = alike
    positions[::25] = rows[0, 0]
    found = select(rounded, positions, rows)
    assert not torch.equal(found[0], select(FULL, positions, rows)[0])
    assert (found[1][0, 0] < 90).all()
    assert_chosen(found, positions, rows)


def test_of_equal_cells_the_first_and_of_no_direction_the_first_cells(rounded):
    positions, rows = random_maps()
    rows[:, 200] = rows[:, 7]
    rows[:, 100] = 0
    positions[:20] = rows[0, 7] * torch.linspace(0.5, 2, 20)[:, None]
    positions[20] = 0
    scores, indices = select(rounded, positions, rows)
    assert (indices[0, :20, :2] == torch.tensor([7, 200])).all()
    assert torch.equal(scores[0, :20, 0], scores[0, :20, 1])
    assert (indices[:, 20] == torch.arange(TOP_K)).all()
    assert (scores[:, 20] == 0).all()


def test_any_number_of_threads_gives_the_same_bits(rounded):
    positions, rows = random_maps()
    positions[::50] = rows[1, 3] + 1e-3 * positions[::50]
    found = []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        found.append(select(rounded, positions, rows))
    for scores, indices in found[1:]:
        assert torch.equal(scores, found[0][0])
        assert torch.equal(indices, found[0][1])


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(3,), rois=(60,), channels=48, size=(20, 30)),
        Problem(frames=(4,), rois=(50,), channels=64, size=(20, 30), relu=False),
        Problem(frames=(3, 4), rois=(40, 60), channels=35, heads=5, size=(20, 25)),
    ],
    ids=str,
)
def test_the_operator(rounded, problem):
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    outputs = []
    for isa in (rounded, FULL):
        assert use(isa)
        outputs.append(problem.run(tensors, "native"))
    assert not torch.equal(*outputs)
    mask = ~problem.ties(tensors).unsqueeze(1)
    expected = problem.run(tensors, "reference")
    assert_close(outputs[0] * mask, expected * mask, 1e-5)
