"""The triton backend on the CPU; `test_triton` runs this with TRITON_INTERPRET=1 set.

Triton's interpreter takes milliseconds for each program of a kernel: all shapes are tiny.
"""

from __future__ import annotations

import pytest
import torch
import torchvision

from tests.ops.compare import Problem, assert_close
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.triton import backend as triton
from trovid.ops.temporal_roi_align.triton import select as selection
from trovid.ops.temporal_roi_align.triton import sets, top_k
from trovid.ops.temporal_roi_align.triton.products import exact_products

SMALL = {"size": (4, 5), "grid": (3, 2)}
PROBLEMS = [
    *(Problem(frames=(2,), rois=(4,), top_k=k, heads=0, **SMALL) for k in (1, 2, 3, 5, 8, 16)),
    Problem(frames=(1,), rois=(4,), **SMALL),
    Problem(frames=(2,), rois=(1,), channels=9, heads=3, relu=False, **SMALL),
    Problem(frames=(2,), rois=(3,), channels=70, heads=1, **SMALL),
    Problem(frames=(2,), rois=(3,), bias=False, relu=False, **SMALL),
    Problem(frames=(2,), rois=(3,), embedding="dense", **SMALL),
    Problem(frames=(1,), rois=(2,), channels=72, heads=2, embedding="dense", bias=False, **SMALL),
    Problem(frames=(2,), rois=(3,), size=(2, 2), grid=(1, 1)),
    Problem(frames=(1,), rois=(1,), size=(12, 13), grid=(7, 6), heads=2),
    Problem(frames=(1, 0, 1, 2), rois=(1, 1, 0, 2), **SMALL),
    Problem(frames=(2,), rois=(0,), **SMALL),
    Problem(frames=(0,), rois=(2,), **SMALL),
    Problem(frames=(2,), rois=(3,), dtype=torch.bfloat16, **SMALL),
    Problem(frames=(2,), rois=(3,), dtype=torch.float16, **SMALL),
    Problem(frames=(2,), rois=(3,), dtype=torch.float64, **SMALL),
    Problem(frames=(2,), rois=(3,), top_k=17, **SMALL),
    Problem(frames=(2,), rois=(3,), size=(17, 18), grid=(3, 2), search="coarse-to-fine"),
]


FAST = {2, 7, 10, 14, 17, 20, 21}
"""The problems that run each time: odd sizes, several videos, a dense embedding, half precision,
a search coarse to fine."""
FORMS = ("combined", "alone")


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def choose_form(form: str, monkeypatch) -> None:
    """Similarities combined of the cells', or of each position alone."""
    monkeypatch.setattr(selection, "_combining_pays", lambda *_: form == "combined")


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    choose_form(request.param, monkeypatch)


@pytest.mark.parametrize(
    "problem", [p if i in FAST else slow(p) for i, p in enumerate(PROBLEMS)], ids=str
)
def test_equals_the_equations(problem, monkeypatch):
    choose_form("combined", monkeypatch)
    problem.check("triton")


@pytest.mark.parametrize("problem", [PROBLEMS[7], *map(slow, PROBLEMS[3:11:2])], ids=str)
def test_positions_alone_equal_the_equations(problem, monkeypatch):
    choose_form("alone", monkeypatch)
    problem.check("triton")


@pytest.mark.parametrize("k", [3, slow(1), slow(8)])
def test_equal_similarities_go_to_the_lowest_cell(k, form):
    # Positions of length 4 or 0, cells along one channel, and samples at quarters of cells: in any
    # order of sums no similarity is rounded, so that equal cells stay equal.
    problem = Problem(frames=(2,), rois=(3,), heads=0, top_k=k, **SMALL)
    tensors = problem.tensors()
    with torch.no_grad():
        position = torch.tensor([1.0, 0, 1, 1, 0, 3, 1, 0, 1, 1, 1, 0])
        tensors["features"].copy_(position[:, None, None].expand_as(tensors["features"]))
        tensors["features"][..., :3] = 0.0
        height, width = SMALL["size"]
        channel = torch.arange(height * width) * 7 % problem.channels
        length = torch.tensor([1.0, 2.0, 0.5, 0.0, 4.0]).repeat(height)
        cells = torch.eye(problem.channels)[channel] * length[:, None]
        tensors["support0"][0] = cells.t().unflatten(1, (height, width))
        tensors["support0"][1] = 0.0
        tensors["support0"][1, 2] = 1.0
        boxes = torch.tensor([[0.0, 0, 2, 3], [3, 0, 5, 3], [3, 1, 5, 4]])
        tensors["boxes0"].copy_(8 * (boxes + 0.5))
    case = problem.described(tensors)
    _, choice = triton.forward(case, True)
    pooled = torchvision.ops.roi_align(case.features, case.rois, *case.pooling)
    _, points, scores = reference.most_similar_roi_align(pooled, tensors["support0"].detach(), k)
    points, scores = (t.permute(0, 1, 3, 4, 2).flatten(1, 3) for t in (points, scores))
    assert torch.equal(choice.indices.long(), points)
    assert_close(choice.scores, scores, 1e-6)


def test_order_of_keys():
    values = torch.tensor([[1.0, -0.0, torch.nan, 0.0, -torch.inf, torch.inf, -2.0, 0.5, 1.0]])
    one = torch.ones(1, 1, dtype=torch.int32)
    keys = top_k.new_keys(1, 1, 8, values.device)
    for cells in (slice(5, 9), slice(0, 5)):
        part = values[:, cells]
        norms = torch.ones_like(part)
        top_k.rank(keys, part, one - 1, one.float(), one[0], norms, cells.start)
    scores, indices = top_k.decode(keys, 8)
    assert indices.flatten().tolist() == [2, 5, 0, 8, 7, 1, 3, 6]
    assert scores[0, 0, 0].isnan()
    assert torch.equal(scores[0, 0, 1:], values[0, indices[0, 0, 1:].long()])


@pytest.mark.parametrize(("form", "embedding"), zip(FORMS, ("dense", "grouped"), strict=True))
def test_small_blocks_give_the_same(form, embedding, monkeypatch):
    choose_form(form, monkeypatch)
    monkeypatch.setattr(triton, "WORKSPACE_BYTES", 1)
    monkeypatch.setattr(selection, "PRODUCT_BYTES", 4 * 20 * 7)
    monkeypatch.setattr(top_k, "CELLS", 4)
    monkeypatch.setattr(sets, "POSITIONS", 4)
    monkeypatch.setattr(sets, "CHANNELS", 2)
    problem = Problem(
        frames=(1,), rois=(1,), channels=4, heads=2, top_k=2, embedding=embedding, **SMALL
    )
    problem.check("triton")


def test_positions_that_cancel_stand_alone(monkeypatch):
    """Cells of opposite signs sum up to next to nothing: combining would lose digits."""
    monkeypatch.setattr(selection, "_combining_pays", lambda *_: True)
    problem = Problem(frames=(1,), rois=(3,), heads=0, dtype=torch.float32, relu=False, **SMALL)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"][..., 1::2] = -tensors["features"][..., ::2][..., :2]
        tensors["features"] += 1e-4 * torch.randn(tensors["features"].shape)
        tensors["boxes0"] = torch.tensor([[4.0, 0, 20, 24], [12, 4, 12, 28], [4, 4, 36, 20]])
        expected, actual = (problem.run(tensors, name) for name in ("reference", "triton"))
    assert_close(actual, expected, 1e-5)


def test_products_of_half_are_exact():
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(n, 37, generator=generator).half() for n in (5, 131))
    assert_close(exact_products(left, right).double(), left.double() @ right.double().t(), 1e-6)


def test_half_precision_maps_take_the_exact_products(monkeypatch):
    choose_form("combined", monkeypatch)
    Problem(frames=(1,), rois=(1,), dtype=torch.float16, **SMALL).check("triton")
    exact, rows = torch.rand(2, 12, 5), torch.rand(1, 3, 5)
    half = exact.half().float(), rows.half().float()
    assert selection.exact_half(*half) == torch.float16
    assert selection.exact_half(half[0], rows) is selection.exact_half(exact, half[1]) is None


@pytest.mark.parametrize("what", ["both", *map(slow, ("target", "support", "one support frame"))])
def test_zero_features(what, form):
    problem = Problem(frames=(2,), rois=(2,), channels=4, heads=2, **SMALL)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"] *= what not in ("target", "both")
        tensors["support0"][what == "one support frame" :] *= what == "target"
        tensors["features"][..., :2] = 0
    outputs = [problem.run(tensors, name) for name in ("triton", "reference")]
    assert_close(*outputs, 1e-5)
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    got, wanted = (torch.autograd.grad(o.square().sum() + o.sum(), leaves) for o in outputs)
    for a, b in zip(got, wanted, strict=True):
        assert_close(a, b, 2e-5)


@pytest.mark.parametrize("magnitude", [1e18, slow(1e-30), slow(1e-13)])
def test_extreme_magnitudes(magnitude, form):
    problem = Problem(frames=(1,), rois=(2,), heads=0, **SMALL)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"] *= magnitude
        tensors["support0"] *= magnitude
        assert_close(*(problem.run(tensors, name) for name in ("triton", "reference")), 1e-5)


@pytest.mark.parametrize("value", [torch.nan, slow(torch.inf)])
@pytest.mark.parametrize("place", ["features", "support0"])
def test_what_is_not_finite_propagates_alike(place, value, form):
    problem = Problem(frames=(2, 1), rois=(3, 1), heads=2, relu=False, **SMALL)
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    tensors[place][0, 3, 1, 2] = value
    expected, actual = (problem.run(tensors, name) for name in ("reference", "triton"))
    finite = expected.isfinite()
    assert finite.any()
    assert not finite.all()
    assert torch.equal(actual.isfinite(), finite)
    assert_close(actual.nan_to_num() * finite, expected.nan_to_num() * finite, 1e-5)


def test_the_same_input_gives_the_same_bits_whatever_memory_held(form):
    problem = Problem(frames=(2,), rois=(2,), channels=4, heads=2, **SMALL)
    tensors = problem.tensors()
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    runs = []
    for empty_memory_is_nan in (False, True):
        torch.use_deterministic_algorithms(empty_memory_is_nan, warn_only=True)
        output = problem.run(tensors, "triton")
        runs.append([output, *torch.autograd.grad(output.square().sum(), leaves)])
    torch.use_deterministic_algorithms(False)
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)
