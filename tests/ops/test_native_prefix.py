"""The search in prefixes: whatever the basis is, the cells that all channels choose."""

from __future__ import annotations

from collections.abc import Generator
from ctypes import c_int64
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.ops.compare import Problem, assert_close
from tests.ops.instruction_sets import instruction_set
from tests.ops.test_native_rounded import assert_chosen, random_maps
from trovid.ops import PackedSupport, pack_support, temporal_roi_align
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.cpp import library
from trovid.ops.temporal_roi_align.packed import inverse_norms

BY_COST, NEVER = -1, 0


def search_in(directions: int) -> None:
    library.load().trovid_use_prefixes(c_int64(directions))


@pytest.fixture(
    params=["avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "portable"], autouse=True
)
def isa(request) -> Generator[str]:
    with instruction_set(request.param):
        yield request.param
        search_in(BY_COST)


def select(directions: int, positions: Tensor, rows: Tensor, top_k: int = 4):
    search_in(directions)
    found = native.select(positions, rows, inverse_norms(rows), top_k)
    assert found is not None
    return found


def low_rank(rank: int, channels: int = 96, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Positions [300, C] and rows [3, 333, C] in a subspace, and some noise."""
    generator = torch.Generator().manual_seed(rank)
    mix = torch.randn(rank, channels, generator=generator)
    vectors = torch.randn(300 + 3 * 333, rank, generator=generator) @ mix
    vectors += noise * torch.randn(vectors.shape, generator=generator)
    return vectors[:300].contiguous(), vectors[300:].view(3, 333, channels).contiguous()


@pytest.mark.parametrize("top_k", [1, 2, 3, 4, 5, 6])
def test_the_choice_is_that_of_the_equations(top_k):
    positions, rows = low_rank(40, noise=0.5)
    for directions in (3, 12, 24):
        assert_chosen(select(directions, positions, rows, top_k), positions, rows)


@pytest.mark.parametrize("channels", [1, 7, 33])
def test_few_channels(channels):
    positions, rows = random_maps(channels=channels)
    positions, rows = positions + 0.01, rows + 0.01
    wanted = select(NEVER, positions, rows)
    found = select(8, positions, rows)
    torch.testing.assert_close(found[0], wanted[0], atol=5e-7, rtol=0)


@pytest.mark.parametrize("case", ["random", "all", "noise"])
def test_every_basis_gives_the_same_bits(case):
    """Prefixes that hold nothing much, everything, and what is between."""
    positions, rows = {
        "random": lambda: random_maps(),
        "all": lambda: low_rank(5),
        "noise": lambda: low_rank(8, noise=0.1),
    }[case]()
    found = [select(directions, positions, rows) for directions in (1, 6, 24)]
    assert_chosen(found[0], positions, rows)
    for scores, indices in found[1:]:
        assert torch.equal(scores, found[0][0])
        assert torch.equal(indices, found[0][1])


def test_equal_cells_choose_the_first():
    positions, rows = low_rank(30, noise=0.2)
    rows[:, 200:230] = rows[:, 7:8]
    rows[:, 5] = rows[:, 7]
    positions[:50] = rows[0, 7] * torch.linspace(0.5, 2, 50)[:, None]
    scores, indices = select(12, positions, rows)
    assert (indices[0, :50] == torch.tensor([5, 7, 200, 201])).all()
    assert (scores[0, :50] == scores[0, :50, :1]).all()


def test_nearly_equal_cells():
    generator = torch.Generator().manual_seed(2)
    positions, rows = low_rank(30)
    rows[:] = rows[:, :1] + 1e-5 * torch.randn(rows.shape, generator=generator)
    scores, _ = select(6, positions, rows)
    unit = torch.nn.functional.normalize
    cosines = unit(positions.double(), dim=-1) @ unit(rows.double(), dim=-1).mT
    torch.testing.assert_close(scores.double(), cosines.topk(4).values, atol=4e-7, rtol=0)


def test_cells_and_positions_of_zero_norm():
    positions, rows = low_rank(20, noise=0.3)
    positions = positions - 3 * positions.mean(0)
    rows[:, 10:20] = 0
    rows[1] = 0
    positions[3] = 0
    scores, indices = select(6, positions, rows)
    assert (indices[:, 3] == torch.arange(4)).all()
    assert (scores[:, 3] == 0).all()
    assert (indices[1] == torch.arange(4)).all()
    wanted = select(NEVER, positions, rows)
    torch.testing.assert_close(scores, wanted[0], atol=5e-7, rtol=0)


def test_constant_maps():
    rows = torch.full((2, 150, 64), 0.3)
    positions = torch.rand(40, 64, generator=torch.Generator().manual_seed(0))
    _, indices = select(4, positions, rows)
    assert (indices == torch.arange(4)).all()


def test_one_direction_beside_which_all_is_small():
    positions, rows = random_maps()
    direction = torch.randn(96, generator=torch.Generator().manual_seed(5))
    positions, rows = positions * 1e-3 + direction, rows * 1e-3 + direction
    scores, _ = select(12, positions, rows)
    torch.testing.assert_close(scores, select(NEVER, positions, rows)[0], atol=1e-6, rtol=0)


def test_norms_of_any_size():
    generator = torch.Generator().manual_seed(4)
    positions, rows = low_rank(30, noise=0.3)
    positions *= 10 ** torch.empty(300, 1).uniform_(-9, 15, generator=generator)
    rows *= 10 ** torch.empty(3, 333, 1).uniform_(-9, 15, generator=generator)
    assert_chosen(select(12, positions, rows), positions, rows)


def test_any_number_of_threads_gives_the_same_bits():
    positions, rows = low_rank(40, noise=0.4)
    found = []
    for threads in (1, 2, 7):
        torch.set_num_threads(threads)
        found.append(select(12, positions, rows))
    for scores, indices in found[1:]:
        assert torch.equal(scores, found[0][0])
        assert torch.equal(indices, found[0][1])


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(3,), rois=(60,), channels=48, size=(20, 30)),
        Problem(frames=(3, 0, 2), rois=(40, 2, 5), channels=64, relu=False, top_k=6),
        Problem(frames=(2,), rois=(1,), channels=40, heads=0),
    ],
    ids=str,
)
def test_the_operator_and_its_gradients(problem):
    search_in(8)
    problem.check("native")
    assert native.last_search.directions == 8
    assert 0 < native.last_search.share < 1


def run(features: Tensor, support: PackedSupport | Tensor, boxes: Tensor) -> Tensor:
    if isinstance(support, Tensor):
        support = support.unsqueeze(0)
    return temporal_roi_align(features, support, [boxes], 7, 1 / 8, 2, backend="native")


def test_with_and_without_packed_support_the_same_bits():
    problem = Problem(frames=(5,), rois=(30,), channels=48)
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    features, support, boxes = (tensors[name] for name in ("features", "support0", "boxes0"))
    search_in(12)
    wanted = run(features, support, boxes)
    packed = pack_support(support)
    assert torch.equal(run(features, packed, boxes), wanted)
    kept = packed.with_prefixes()
    assert kept.prefixes is not None
    assert kept.prefixes.shape == (5, 13 * 17, 16)
    assert kept.nbytes > packed.nbytes
    assert torch.equal(run(features, kept, boxes), wanted)
    first, rest = pack_support(support[:1]), pack_support(support[1:])
    streamed = PackedSupport.cat([first.with_prefixes(), rest.with_prefixes()])
    assert torch.equal(run(features, streamed, boxes), wanted)
    some = kept.frames([0, 3])
    assert torch.equal(run(features, some, boxes), run(features, support[[0, 3]], boxes))
    other = PackedSupport.batch([kept, pack_support(support * 2).with_prefixes()]).videos([1])
    assert_close(run(features, other, boxes), run(features, support * 2, boxes), 1e-6)


def test_a_basis_that_has_become_bad_is_made_anew():
    generator = torch.Generator().manual_seed(0)
    scenes = torch.randn(2, 6, 64, generator=generator)

    def frames(scene: int, count: int) -> Tensor:
        vectors = torch.randn(count, 12 * 15, 6, generator=generator) @ scenes[scene]
        vectors += 0.1 * torch.randn(vectors.shape, generator=generator)
        return vectors.mT.reshape(count, 64, 12, 15).contiguous()

    first, next_one, other = frames(0, 4), frames(0, 1), frames(1, 1)
    bank = pack_support(first).with_prefixes()
    same = PackedSupport.cat([bank, pack_support(next_one).with_prefixes()])
    assert bank.basis is not None
    assert same.basis is not None
    assert torch.equal(same.basis, bank.basis)
    moved = PackedSupport.cat([bank, pack_support(other).with_prefixes()])
    assert moved.basis is not None
    assert moved.prefixes is not None
    assert not torch.equal(moved.basis, bank.basis)
    in_the_old_one = native.prefixes(moved.rows[4:], moved.inverse_norms[4:], bank.basis[0])[1]
    assert in_the_old_one.square().sum(-1).mean() < 0.5
    assert (moved.prefixes.square().sum(-1).mean(-1) > 0.9).all()

    search_in(16)
    boxes, target = torch.tensor([[1.0, 2, 70, 90], [30, 20, 200, 150]]), frames(1, 1)
    assert torch.equal(run(target, moved, boxes), run(target, torch.cat([first, other]), boxes))


def test_a_basis_that_is_none_is_left_alone():
    problem = Problem(frames=(2,), rois=(20,), channels=32)
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    features, support, boxes = (tensors[name] for name in ("features", "support0", "boxes0"))
    search_in(8)
    kept = pack_support(support).with_prefixes()
    assert kept.basis is not None
    wanted = run(features, support, boxes)
    for basis in (kept.basis * 2, torch.full_like(kept.basis, torch.nan), kept.basis[:, :1]):
        spoilt = replace(kept, basis=basis.contiguous())
        assert torch.equal(run(features, spoilt, boxes), wanted)


def test_by_cost_random_maps_are_searched_in_all_channels():
    positions, rows = random_maps()
    native.select(positions, rows, inverse_norms(rows), 4)
    features, support = torch.rand(1, 64, 20, 30), torch.rand(1, 3, 64, 20, 30)
    boxes = torch.rand(40, 4) * 100
    boxes[:, 2:] += boxes[:, :2]
    temporal_roi_align(features, support, [boxes], 7, 1 / 16, 2, backend="native")
    assert native.last_search.directions == 0
    assert native.last_search.share == 1
