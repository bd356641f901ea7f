"""The triton backend's search in prefixes, interpreted; `test_triton` runs this.

Maps are small, and what only large ones are worth is lowered.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.ops.compare import Problem, assert_close
from trovid.ops.temporal_roi_align.packed import inverse_norms
from trovid.ops.temporal_roi_align.prefixes import Prefixes
from trovid.ops.temporal_roi_align.triton import select as selection
from trovid.ops.temporal_roi_align.triton import survivors, top_k

CHANNELS = 40


@pytest.fixture(autouse=True)
def sizes(monkeypatch):
    """Few large programs, which the interpreter takes in less time."""
    monkeypatch.setattr(selection, "FEWEST_CELLS", 100)
    monkeypatch.setattr(selection, "FEWEST_CHANNELS", 16)
    monkeypatch.setattr(selection, "TRIED", 8)
    monkeypatch.setattr(survivors, "COMPARED", 2048)
    monkeypatch.setattr(survivors, "POSITIONS", 64)
    monkeypatch.setattr(top_k, "POSITIONS", 64)


def maps(rank: int = 5, noise: float = 0.03, frames: int = 1) -> tuple[Tensor, Tensor]:
    """Positions [50, C] and rows [frames, 170, C] near a subspace."""
    generator = torch.Generator().manual_seed(rank)
    mix = torch.randn(rank, CHANNELS, generator=generator)
    vectors = torch.randn(50 + frames * 170, rank, generator=generator) @ mix
    vectors += noise * torch.randn(vectors.shape, generator=generator)
    return vectors[:50], vectors[50:].view(frames, 170, CHANNELS)


def made_from(rows: Tensor) -> Prefixes:
    return Prefixes(F.normalize(rows.flatten(0, 1), dim=1))


def found_by(prefixes: Prefixes, positions: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    units = positions * inverse_norms(positions).unsqueeze(1)
    keys = selection.by_prefixes(prefixes, units, rows, inverse_norms(rows), k)
    return top_k.decode(keys, k)


def proven_by(prefixes: Prefixes, positions: Tensor, rows: Tensor, k: int = 4) -> Tensor:
    units = positions * inverse_norms(positions).unsqueeze(1)
    seen = selection.seen_in(prefixes, units)
    return selection.by_survivors(prefixes, units, seen, rows[0], inverse_norms(rows)[0], k)[1]


def assert_chosen(found: tuple[Tensor, Tensor], positions: Tensor, rows: Tensor) -> Tensor:
    """The choice of float64, but where it hangs on less than 1e-6; returns where it does not."""
    scores, cells = found
    unit = F.normalize(positions.double(), dim=-1)
    cosines = unit @ F.normalize(rows.double(), dim=-1).mT
    best = cosines.topk(scores.shape[-1] + 1, dim=-1)
    torch.testing.assert_close(scores.double(), best.values[..., :-1], atol=1e-6, rtol=0)
    of_chosen = cosines.gather(-1, cells.long())
    torch.testing.assert_close(of_chosen, best.values[..., :-1], atol=1e-6, rtol=0)
    assert (cells.sort(dim=-1).values.diff(dim=-1) > 0).all()
    clear = (best.values.diff(dim=-1) < -1e-6).all(dim=-1)
    assert torch.equal(cells[clear].long(), best.indices[clear][..., :-1])
    return clear


@pytest.mark.parametrize("k", [1, 3, 16])
def test_the_choice_is_that_of_the_equations(k):
    positions, rows = maps(frames=2)
    norms = inverse_norms(rows)
    units = F.normalize(positions, dim=1)
    prefixes = selection.prefixes_for(units, rows, norms, k)
    assert prefixes is not None
    assert proven_by(prefixes, positions, rows, k).float().mean() > 0.9
    assert assert_chosen(found_by(prefixes, positions, rows, k), positions, rows).all()


def test_where_prefixes_are_not_tried():
    positions, rows = maps()
    units, norms = F.normalize(positions, dim=1), inverse_norms(rows)
    assert selection.prefixes_for(units[:31], rows, norms, 4) is None
    assert selection.prefixes_for(units, rows[:, :99], norms[:, :99], 4) is None
    assert selection.prefixes_for(units, torch.full_like(rows, torch.nan), norms, 4) is None
    assert selection.prefixes_for(units, rows, torch.full_like(norms, torch.nan), 4) is None
    positions, rows = maps(CHANNELS, noise=1.0)
    units, norms = F.normalize(positions, dim=1), inverse_norms(rows)
    assert selection.prefixes_for(units, rows, norms, 4) is None


@pytest.mark.parametrize("of", ["others", "zeros", "one cell", "random numbers"])
def test_whatever_the_basis_is_the_same_points(of):
    """All that survives it is compared by the same sums; what it does not prove by others."""
    positions, rows = maps(noise=0.1)
    prefixes = made_from(
        {
            "others": maps(6)[1],
            "zeros": torch.zeros_like(rows),
            "one cell": rows[:, :1],
            "random numbers": maps(CHANNELS, noise=1.0)[1],
        }[of]
    )
    assert prefixes.usable
    assert_chosen(found_by(prefixes, positions, rows, 4), positions, rows)


def test_a_basis_that_is_none_is_not_used():
    assert not Prefixes(torch.full((20, CHANNELS), torch.nan)).usable


def test_equal_cells_choose_the_first():
    positions, rows = maps()
    rows[0, 100:110] = rows[0, 3]
    rows[0, 1] = rows[0, 3]
    positions[:9] = rows[0, 3] * torch.linspace(0.5, 2, 9).unsqueeze(1)
    prefixes = made_from(rows)
    assert proven_by(prefixes, positions, rows)[:9].all()
    scores, cells = found_by(prefixes, positions, rows, 4)
    assert (cells[0, :9] == torch.tensor([1, 3, 100, 101])).all()
    assert (scores[0, :9] == scores[0, :9, :1]).all()
    assert_chosen((scores[:, 9:], cells[:, 9:]), positions[9:], rows)


def test_nearly_equal_cells():
    positions, rows = maps(rank=20)
    generator = torch.Generator().manual_seed(2)
    rows[0, :30] = rows[0, :1] + 1e-5 * torch.randn(30, CHANNELS, generator=generator)
    positions[:] = rows[0, 0] + 0.01 * positions
    prefixes = made_from(rows)
    assert proven_by(prefixes, positions, rows).float().mean() > 0.9
    assert_chosen(found_by(prefixes, positions, rows, 4), positions, rows)


def test_more_survivors_than_are_listed():
    positions, rows = maps(rank=20)
    generator = torch.Generator().manual_seed(3)
    rows[:] = rows[:, :1] + 1e-4 * torch.randn(rows.shape, generator=generator)
    prefixes = made_from(rows)
    assert not proven_by(prefixes, positions, rows).any()
    assert_chosen(found_by(prefixes, positions, rows, 4), positions, rows)


@pytest.mark.parametrize("what", ["zero cells", "constant"])
def test_cells_and_positions_without_direction(what):
    positions, rows = maps()
    positions[3] = 0
    if what == "constant":
        rows[:] = 0.3
    else:
        rows[0, 10:20] = 0
    scores, cells = found_by(made_from(rows), positions, rows, 4)
    assert (cells[0, 3] == torch.arange(4)).all()
    assert (scores[0, 3] == 0).all()
    others = torch.arange(50) != 3
    assert_chosen((scores[:, others], cells[:, others]), positions[others], rows)
    if what == "constant":
        assert (cells == torch.arange(4)).all()


def test_one_direction_beside_which_all_is_small():
    positions, rows = maps(CHANNELS, noise=1.0)
    direction = torch.randn(CHANNELS, generator=torch.Generator().manual_seed(5))
    positions, rows = positions * 1e-3 + direction, rows * 1e-3 + direction
    assert_chosen(found_by(made_from(rows), positions, rows, 4), positions, rows)


def test_norms_of_any_size():
    generator = torch.Generator().manual_seed(4)
    positions, rows = maps()
    positions *= 10 ** torch.empty(50, 1).uniform_(-9, 15, generator=generator)
    rows *= 10 ** torch.empty(1, 170, 1).uniform_(-9, 15, generator=generator)
    prefixes = made_from(rows)
    assert proven_by(prefixes, positions, rows).float().mean() > 0.9
    assert_chosen(found_by(prefixes, positions, rows, 4), positions, rows)


def test_small_blocks_and_what_memory_held_change_no_bit(monkeypatch):
    positions, rows = maps(frames=2)
    positions[7:9] = 0  # which are not proven
    wanted = found_by(made_from(rows), positions, rows, 3)
    monkeypatch.setattr(selection, "PRODUCT_BYTES", 4 * 50 * 60)
    monkeypatch.setattr(survivors, "CELLS", 32)
    monkeypatch.setattr(survivors, "COMPARED", 256)
    monkeypatch.setattr(top_k, "CELLS", 64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    found = found_by(made_from(rows), positions, rows, 3)
    torch.use_deterministic_algorithms(False)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def searches(monkeypatch) -> list[int]:
    """How many vectors each search in prefixes was for."""
    counts = []

    def counting(prefixes, units, *searched):
        counts.append(len(units))
        return by_prefixes(prefixes, units, *searched)

    by_prefixes = selection.by_prefixes
    monkeypatch.setattr(selection, "by_prefixes", counting)
    monkeypatch.setattr(selection, "_combining_pays", lambda *_: False)
    return counts


LARGE = {"channels": 40, "size": (12, 14), "grid": (4, 3), "rank": 4, "heads": 2}


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(1, 0, 2, 1), rois=(4, 1, 3, 1), relu=False, top_k=3, **LARGE),
        pytest.param(
            Problem(frames=(2,), rois=(5,), embedding="dense", top_k=16, **LARGE),
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_outputs_and_gradients_equal_the_equations(problem, searches):
    problem.check("triton")
    many = [12 * rois for rois in problem.rois if 12 * rois >= 32]
    assert searches == 2 * many


def test_random_maps_are_searched_in_all_channels(searches):
    problem = Problem(frames=(1,), rois=(3,), **{**LARGE, "rank": 0, "heads": 0})
    tensors = problem.tensors()
    with torch.no_grad():
        outputs = [problem.run(tensors, name) for name in ("triton", "reference")]
    assert_close(*outputs, 1e-5)
    assert searches == []


def test_positions_whose_cells_cancel(searches):
    problem = Problem(frames=(1,), rois=(4,), relu=False, **{**LARGE, "heads": 0})
    tensors = problem.tensors()
    with torch.no_grad():
        left = tensors["features"][..., :8]
        noise = torch.randn(left.shape, generator=torch.Generator().manual_seed(1))
        left[..., 1::2] = -left[..., ::2]
        left += 1e-5 * noise
        outputs = [problem.run(tensors, name) for name in ("triton", "reference")]
    assert_close(*outputs, 1e-5)
    assert searches == [48]
