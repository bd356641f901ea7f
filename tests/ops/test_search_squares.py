"""The search coarse to fine: large squares, the quarters of the best, and so on to the cells."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch
import torch.nn.functional as F

from tests.ops.compare import FAST, TOLERANCE, Problem, assert_close
from tests.ops.instruction_sets import instruction_set
from trovid.nn import TemporalRoIAlign
from trovid.ops import most_similar_roi_align, pack_support, temporal_roi_align
from trovid.ops.checks import check_search
from trovid.ops.temporal_roi_align import reference

COARSE = "coarse-to-fine"
LARGE = {"size": (37, 51), "search": COARSE}
PROBLEMS = [
    Problem(frames=(3, 0, 2), rois=(4, 2, 5), **LARGE),
    Problem(heads=0, top_k=1, **LARGE),
    Problem(heads=3, channels=33, top_k=6, size=(64, 70), relu=False, search=COARSE),
    Problem(size=(1, 700), search=COARSE),
    Problem(size=(300, 3), top_k=40, search=COARSE),
]
NEAR_TIES = 0.12
"""Share of the output that near ties between squares or cells may reach: of 245 positions one tie
reaches 9 through psi."""


def smooth(problem: Problem) -> dict[str, torch.Tensor]:
    """The problem's tensors, neighbouring cells being alike as in a trained network's maps."""
    tensors = problem.tensors()
    for name, tensor in tensors.items():
        if name == "features" or name.startswith("support"):
            mean = F.avg_pool2d(tensor.detach(), 5, 1, 2)
            tensors[name] = mean.requires_grad_() if len(mean) else tensor
    return tensors


@pytest.fixture(params=["avx512", "avx2", "portable"])
def isa(request) -> Generator[str]:
    with instruction_set(request.param):
        yield request.param


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_native_finds_what_the_equations_say(problem, isa):
    tensors = smooth(problem)
    leaves = [tensor for tensor in tensors.values() if tensor.requires_grad]
    found, gradients = [], []
    for backend in ("reference", "native"):
        found.append(problem.run(tensors, backend))
        direction = torch.ones_like(found[0]).cumsum(dim=1)
        gradients.append(torch.autograd.grad(found[-1], leaves, direction, allow_unused=True))
    tolerance = TOLERANCE[torch.float32]
    assert_close(found[1], found[0], tolerance, allowed=NEAR_TIES)
    for leaf, wanted, got in zip(leaves, *gradients, strict=True):
        if not leaf.numel():
            continue
        assert wanted is not None
        assert got is not None
        if leaf.dim() == 4 and leaf.shape[2:] == problem.size:
            assert_close(got, wanted, 2 * tolerance, "gradient", allowed=NEAR_TIES)


@pytest.mark.parametrize("problem", PROBLEMS[:3], ids=str)
def test_direct_finds_what_the_equations_say(problem):
    double = Problem(**{**vars(problem), "dtype": torch.float64})
    tensors = smooth(double)
    leaves = [tensor for tensor in tensors.values() if tensor.requires_grad]
    found = [double.run(tensors, backend) for backend in ("reference", "direct")]
    assert_close(found[1], found[0], TOLERANCE[torch.float64])
    wanted, got = (
        torch.autograd.grad(one.square().sum(), leaves, allow_unused=True) for one in found
    )
    for leaf, a, b in zip(leaves, wanted, got, strict=True):
        if leaf.numel():
            assert_close(b, a, 2 * TOLERANCE[torch.float64], "gradient")


def test_the_same_bits_for_any_number_of_threads(isa):
    problem = PROBLEMS[0]
    tensors = smooth(problem)
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        with torch.no_grad():
            found.append(problem.run(tensors, "native"))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_map_without_structure_is_searched_in_some_cells_alone():
    """Of cells that have nothing to do with each other it misses some: so it is an option."""
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(2, 24, 40, 40, generator=generator)
    rois = torch.randn(4, 24, 3, 3, generator=generator)
    exact, coarse = (
        most_similar_roi_align(rois, support, search=search)[2] for search in ("exact", COARSE)
    )
    assert (coarse <= exact + 1e-6).all()
    assert (coarse < exact - 1e-3).any()


def test_what_lies_in_a_patch_of_its_own_is_found():
    """One patch of 4x4 cells looks like the RoI; the search ends in it, best cell first."""
    generator = torch.Generator().manual_seed(1)
    support = torch.randn(1, 16, 40, 60, generator=generator)
    wanted = torch.randn(16, generator=generator)
    support[0, :, 20:24, 32:36] = wanted.view(16, 1, 1) + 0.1 * support[0, :, 20:24, 32:36]
    rois = wanted.view(1, 16, 1, 1).expand(1, 16, 2, 2)
    _, points, scores = most_similar_roi_align(rois, support, search=COARSE)
    _, exact, _ = most_similar_roi_align(rois, support)
    assert torch.equal(points, exact)
    assert scores.min() > 0.95


@pytest.mark.parametrize("backend", FAST)
def test_zero_cells_and_zero_positions(backend):
    support = torch.zeros(1, 2, 8, 20, 30)
    support[0, 1, :, 4:, 7:] = torch.rand(8, 16, 23)
    features = torch.rand(1, 8, 20, 30)
    features[..., :9] = 0
    boxes = [torch.tensor([[0.0, 0, 30, 30], [100, 40, 200, 120], [8, 8, 90, 90]])]
    found = [
        temporal_roi_align(
            features, support, boxes, 5, 1 / 8, 2, search=COARSE, backend=one, top_k=3
        )
        for one in ("reference", backend)
    ]
    assert_close(found[1], found[0], 1e-5, allowed=NEAR_TIES)


@pytest.mark.parametrize("backend", FAST)
def test_nan_in_a_support_map_reaches_every_roi(backend):
    support = torch.rand(1, 1, 8, 20, 30)
    support[0, 0, 3, 7, 9] = torch.nan
    boxes = [torch.tensor([[16.0, 16, 90, 90]])]
    words = {"search": COARSE, "top_k": 3}
    args = torch.rand(1, 8, 20, 30), support, boxes, 5, 1 / 8, 2
    for one in ("reference", backend):
        assert temporal_roi_align(*args, **words, backend=one).isnan().all()


def test_small_maps_are_searched_exactly():
    assert check_search(COARSE, (16, 16), 4) == (1, 1, 1)
    assert check_search(COARSE, (16, 17), 4) == (17, 2, 8)
    assert check_search(COARSE, (90, 160), 4) == (160, 8, 8)
    assert check_search("exact", (90, 160), 4) == (1, 1, 1)
    features, boxes = torch.rand(1, 8, 16, 16), [torch.tensor([[0.0, 0, 90, 90]])]
    support = torch.rand(1, 3, 8, 16, 16)
    exact, coarse = (
        temporal_roi_align(features, support, boxes, 7, 1 / 8, 2, search=search)
        for search in ("exact", COARSE)
    )
    assert torch.equal(exact, coarse)


@pytest.mark.parametrize("k", [1, 4, 100])
@pytest.mark.parametrize("size", [(3, 300), (17, 17), (200, 333), (1, 1)])
def test_squares_that_are_kept_hold_enough_cells(size, k):
    _, side, kept = check_search(COARSE, size, k)
    squares = -(-size[0] // side) * -(-size[1] // side)
    assert side == 1 or k <= kept <= squares


def test_an_unknown_search_is_one_line():
    args = torch.rand(1, 8, 20, 30), torch.rand(1, 2, 8, 20, 30), [torch.rand(1, 4)], 7
    with pytest.raises(ValueError, match="`search` must be one of exact, coarse-to-fine"):
        temporal_roi_align(*args, search="fast")
    with pytest.raises(ValueError, match="`search` must be one of"):
        TemporalRoIAlign(7, channels=8, search="fast")


def test_the_module_searches_and_explains_alike():
    pool = TemporalRoIAlign(5, 1 / 8, channels=16, top_k=2, search=COARSE)
    assert "search=coarse-to-fine" in repr(pool)
    problem = Problem(frames=(2,), rois=(3,), channels=16, **LARGE)
    tensors = smooth(problem)
    packed = pack_support(tensors["support0"].detach().unsqueeze(0))
    features, boxes = tensors["features"].detach(), [tensors["boxes0"]]
    sight = pool.sight(features, boxes, 1 / 8, packed)
    roi_features = pool.align(features, boxes, 1 / 8)
    maps = tensors["support0"].detach()
    _, points, _ = reference.most_similar_roi_align(
        roi_features, maps, 2, *check_search(COARSE, (37, 51), 2)[1:]
    )
    assert (sight.cells == points).double().mean() > 1 - NEAR_TIES
