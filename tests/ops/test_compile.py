"""torch.compile, torch.export, autocast and torch.library's own checks, for every backend here."""

from __future__ import annotations

import pytest
import torch

from tests.ops.compare import Problem, assert_close, usable_backends
from trovid.nn import LevelPooler, TemporalRoIAlign
from trovid.ops import pack_support, roi_align, temporal_roi_align
from trovid.ops.temporal_roi_align import api

BACKENDS = usable_backends()
GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.rand(2, 8, 10, 12, generator=GENERATOR)
SUPPORT = torch.rand(2, 3, 8, 10, 12, generator=GENERATOR)
WEIGHT = torch.randn(8, 2, 3, 3, generator=GENERATOR)
BIAS = torch.randn(8, generator=GENERATOR)
BOXES = [
    torch.tensor([[0.0, 0, 60, 60], [10, 10, 40, 50]]),
    torch.tensor([[5.0, 5, 90, 70]]),
]
ROIS = torch.tensor([[0.0, 0, 0, 60, 60], [0, 10, 10, 40, 50], [1, 5, 5, 90, 70]])


@pytest.fixture(autouse=True)
def forget():
    """Nothing compiled remains, in memory or (it would know an earlier op by name) on disk."""
    torch._dynamo.reset()
    with torch._inductor.config.patch(force_disable_caches=True):
        yield
    torch._dynamo.reset()


def leaves() -> list[torch.Tensor]:
    return [t.clone().requires_grad_() for t in (FEATURES, SUPPORT, WEIGHT, BIAS)]


def pool(features, support, weight, bias, boxes=ROIS, backend="auto"):
    return temporal_roi_align(
        features,
        support,
        boxes,
        (3, 4),
        1 / 8,
        2,
        True,
        num_heads=0 if weight is None else 4,
        weight=weight,
        bias=bias,
        backend=backend,
    )


def gradients(output, inputs):
    return torch.autograd.grad(output.square().sum(), [t for t in inputs if t is not None])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", ["rois", "boxes", "list of support", "packed", "average", "none"])
def test_one_graph_forward_and_backward(form, backend):
    def function(features, support, weight, bias):
        boxes = BOXES if form == "boxes" else ROIS
        if form == "list of support":
            support = list(support)
        if form == "packed":
            support = pack_support(support)
        if form == "average":
            weight = bias = None
        if form == "none":
            return pool(features, None, None, None, boxes, backend)
        return pool(features, support, weight, bias, boxes, backend)

    inputs = leaves()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    expected, actual = function(*inputs), compiled(*inputs)
    assert torch.equal(actual, expected)
    used = inputs[: {"average": 2, "none": 1}.get(form, 4)]
    for a, b in zip(gradients(actual, used), gradients(expected, used), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        assert_close(compiled(*inputs), expected.detach(), 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inductor(backend):
    inputs = leaves()
    module = TemporalRoIAlign((3, 4), 1 / 8, 2, True, channels=8, backend=backend)
    compiled = torch.compile(module, fullgraph=True)
    expected, actual = (m(*inputs[:2], ROIS) for m in (module, compiled))
    assert_close(actual, expected, 1e-5)
    inputs = [*inputs[:2], module.embedding.weight, module.embedding.bias]
    for a, b in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        assert_close(a, b, 1e-5)


def test_any_number_of_boxes_by_few_graphs():
    graphs = []

    def count(graph, example_inputs):
        graphs.append(graph)
        return graph

    compiled = torch.compile(pool, fullgraph=True, backend=count)
    with torch.no_grad():
        for number in (3, 5, 2, 9, 30, 1, 7, 0, 4):
            rois = ROIS[torch.arange(number) % 3]
            inputs = FEATURES, SUPPORT, WEIGHT, BIAS, rois
            assert torch.equal(compiled(*inputs), pool(*inputs))
    assert len(graphs) <= 4


def test_the_index_in_the_batch_is_checked_inside_a_graph():
    compiled = torch.compile(pool, fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match=r"0\.\.1\), but reaches from 2 to 2"):
        compiled(FEATURES, SUPPORT, WEIGHT, BIAS, torch.tensor([[2.0, 0, 0, 9, 9]]))


def test_the_module_of_many_levels_is_one_graph():
    module = LevelPooler(TemporalRoIAlign(3, channels=8), ["a", "b"], canonical_scale=40)
    maps = {"a": torch.rand(2, 8, 20, 24, generator=GENERATOR), "b": FEATURES}
    support = {"a": torch.rand(2, 1, 8, 20, 24, generator=GENERATOR), "b": SUPPORT}
    inputs = maps, BOXES, [(160, 192)] * 2, support
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        expected, actual = module(*inputs), compiled(*inputs)
    assert torch.equal(actual, expected)
    parameters = list(module.parameters())
    for a, b in zip(gradients(actual, parameters), gradients(expected, parameters), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_under_autocast_it_stays_float32(backend):
    def function(*inputs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return pool(*inputs, backend=backend)

    inputs = FEATURES, SUPPORT, WEIGHT, BIAS
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*inputs), pool(*inputs, backend=backend))
    half = FEATURES.bfloat16(), *inputs[1:]
    assert compiled(*half).dtype == torch.bfloat16


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_any_number_of_boxes(strict):
    module = TemporalRoIAlign((3, 4), 1 / 8, 2, True, channels=8)
    boxes = torch.export.Dim("boxes", min=2, max=1000)
    with torch.no_grad():
        program = torch.export.export(
            module,
            (FEATURES, SUPPORT, ROIS),
            dynamic_shapes=({}, {}, {0: boxes}),
            strict=strict,
        )
        for number in (2, 3, 11):
            rois = ROIS[torch.arange(number) % 3]
            expected = module(FEATURES, SUPPORT, rois)
            assert torch.equal(program.module()(FEATURES, SUPPORT, rois), expected)


def test_export_with_maps_of_any_width():
    module = TemporalRoIAlign((3, 4), 1 / 8, 2, True, channels=8)
    width = torch.export.Dim("width", min=4, max=100)
    with torch.no_grad():
        program = torch.export.export(
            module,
            (FEATURES, SUPPORT, ROIS),
            dynamic_shapes=({3: width}, {4: width}, {}),
        )
        wider = [torch.cat([maps, maps], dim=-1) for maps in (FEATURES, SUPPORT)]
        assert torch.equal(program.module()(*wider, ROIS), module(*wider, ROIS))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(2, 1), rois=(2, 1), grid=(3, 2), size=(4, 5)),
        Problem(frames=(2,), rois=(2,), grid=(3, 2), size=(4, 5), embedding="dense", bias=False),
        Problem(frames=(1,), rois=(2,), grid=(3, 2), size=(4, 5), heads=0),
        Problem(frames=(1,), rois=(2,), grid=(3, 2), size=(17, 18), search="coarse-to-fine"),
    ],
    ids=str,
)
def test_torch_finds_the_ops_well_made(problem, backend, monkeypatch):
    calls = []
    forward = api._forward
    monkeypatch.setattr(api, "_forward", lambda *a: calls.append(a) or forward(*a))
    problem.run(problem.tensors(), backend)
    with torch.no_grad():
        problem.run(problem.tensors(), backend)
    monkeypatch.undo()
    arguments = [a.detach() if isinstance(a, torch.Tensor) else a for a in calls[1]]
    for case in (calls[0], arguments):
        torch.library.opcheck(forward, tuple(case))
    output, *choice = forward(*arguments[:-1], True)
    # The gradient has none of its own: what autograd would make of it is not looked at.
    torch.library.opcheck(
        api._backward,
        (torch.ones_like(output), *choice, *arguments[:-1]),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize("sampling_ratio", [2, -1])
def test_torch_finds_roi_align_well_made(sampling_ratio):
    from trovid.ops.roi_align import _roi_align, roi_align_gradient

    settings = [3, 4], 1 / 8, sampling_ratio, True
    features = FEATURES.clone().requires_grad_()
    torch.library.opcheck(_roi_align, (features, ROIS, *settings))
    torch.library.opcheck(
        roi_align_gradient,
        (torch.rand(3, 8, 3, 4), ROIS, list(FEATURES.shape), *settings),
        test_utils=("test_schema", "test_faketensor"),
    )
    compiled = torch.compile(lambda *a: roi_align(*a, *settings), fullgraph=True)
    (actual,) = torch.autograd.grad(compiled(features, ROIS).square().sum(), features)
    (expected,) = torch.autograd.grad(roi_align(features, ROIS, *settings).square().sum(), features)
    assert_close(actual, expected, 1e-6)
