from __future__ import annotations

import pytest
import torch
import torchvision

from tests.ops.compare import EVERY, FAST, Problem, assert_close
from trovid.ops import pack_support, temporal_roi_align
from trovid.ops.temporal_roi_align.direct import backend as direct

HALF = (torch.bfloat16, torch.float16)

PROBLEMS = [
    *(Problem(frames=(count,)) for count in range(6)),
    *(Problem(rois=(count,), frames=(3,)) for count in (0, 1, 63)),
    *(Problem(top_k=k, frames=(2,)) for k in (1, 2, 7, 13 * 17)),
    *(
        Problem(heads=n, channels=c, relu=False)
        for n, c in ((0, 12), (1, 12), (12, 12), (3, 9), (0, 7), (1, 7))
    ),
    *(Problem(embedding="dense", heads=n) for n in (1, 4)),
    Problem(bias=False),
    Problem(grid=(3, 5)),
    Problem(grid=(1, 1), size=(2, 2)),
    Problem(frames=(2, 2, 2), rois=(4, 1, 7)),
    Problem(frames=(3, 0, 1, 3), rois=(4, 5, 6, 2)),
    Problem(frames=(3, 0, 1, 3), rois=(4, 5, 0, 2), heads=0),
    Problem(frames=(0, 0), rois=(3, 2)),
    *(Problem(frames=(2, 3), rois=(9, 8), dtype=dtype) for dtype in (torch.float64, *HALF)),
    *(Problem(heads=0, dtype=dtype) for dtype in HALF),
]


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_it_equals_the_equations(problem, backend):
    if backend == "native" and problem.dtype == torch.float64:
        pytest.skip("the native backend computes in float32")
    problem.check(backend)


def test_small_blocks_give_the_same():
    problem = Problem(frames=(5, 2), rois=(9, 3))
    tensors = problem.tensors()
    described = problem.described(tensors)
    whole, kept = direct.forward(described, True)
    found, again = direct.forward(described, True, workspace=1, block=1)
    assert_close(found, whole, 1e-6)
    assert_close(again.scores, kept.scores, 1e-6)
    clear = ~problem.ties(tensors).unsqueeze(1)
    with torch.no_grad():
        expected = problem.run(tensors, "reference")
    assert_close(found * clear, expected * clear, 1e-5)


@pytest.mark.parametrize("backend", ["reference", "direct"])
@pytest.mark.parametrize("sampling_ratio", [2, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
def test_without_support_it_is_torchvision_bit_for_bit(backend, sampling_ratio, dtype):
    problem = Problem(frames=(0, 0), rois=(9, 4), dtype=dtype)
    tensors = problem.tensors()
    boxes = [tensors["boxes0"], tensors["boxes1"]]
    pooling = (boxes, 7, 1 / 8, sampling_ratio, True)
    attention = {"num_heads": 4, "weight": tensors["weight"], "bias": tensors["bias"]}
    expected = torchvision.ops.roi_align(tensors["features"], *pooling)
    nothing = tensors["features"].new_zeros(2, 0, 12, 13, 17)
    with torch.no_grad():
        for support in (None, nothing, [nothing[0], nothing[1]], pack_support(nothing)):
            actual = temporal_roi_align(
                tensors["features"], support, *pooling, **attention, backend=backend
            )
            assert torch.equal(actual, expected)


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_none_for_no_support_frames_is_roi_align_with_its_gradient(backend):
    features = torch.rand(2, 13, 12, 17, requires_grad=True)
    boxes = [torch.tensor([[3.0, 5.0, 90.0, 70.0]]), torch.tensor([[0.0, 0.0, 40.0, 30.0]])]
    pooling = (boxes, 7, 1 / 8, 2)
    (expected,) = torch.autograd.grad(
        torchvision.ops.roi_align(features, *pooling).square().sum(), features
    )
    actual = temporal_roi_align(features, None, *pooling, backend=backend)
    assert torch.equal(actual, torchvision.ops.roi_align(features, *pooling))
    (gradient,) = torch.autograd.grad(actual.square().sum(), features)
    assert_close(gradient, expected, 1e-5)


@pytest.mark.parametrize("backend", FAST)
def test_inference_mode_gives_the_numbers_of_the_custom_ops(backend):
    problem = Problem(frames=(2, 3), rois=(4, 5))
    tensors = problem.tensors()
    with torch.no_grad():
        expected = problem.run(tensors, backend)
    with torch.inference_mode():
        assert torch.equal(problem.run(tensors, backend), expected)


@pytest.mark.parametrize("backend", FAST)
def test_batch_equals_one_by_one(backend):
    problem = Problem(frames=(2, 3, 0, 2), rois=(4, 5, 3, 6))
    tensors = problem.tensors()
    with torch.no_grad():
        together = problem.run(tensors, backend)
        alone = [
            temporal_roi_align(
                tensors["features"][i : i + 1],
                [tensors[f"support{i}"]],
                [tensors[f"boxes{i}"]],
                7,
                1 / 8,
                2,
                True,
                num_heads=4,
                backend=backend,
                weight=tensors["weight"],
                bias=tensors["bias"],
            )
            for i in range(4)
        ]
    assert_close(together, torch.cat(alone), 1e-6)


@pytest.mark.parametrize("backend", FAST)
def test_rois_in_any_order(backend):
    problem = Problem(frames=(2, 1, 2), rois=(4, 5, 6))
    tensors = problem.tensors()
    options = {"num_heads": 4, "weight": tensors["weight"], "bias": tensors["bias"]}
    support = [tensors[f"support{i}"] for i in range(3)]
    parts = [(i, boxes) for i in range(3) for boxes in tensors[f"boxes{i}"]]
    rois = torch.stack([torch.cat([torch.tensor([float(i)]), boxes]) for i, boxes in parts])
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = problem.run(tensors, backend)[order]
        actual = temporal_roi_align(
            tensors["features"], support, rois[order], 7, 1 / 8, 2, True, **options, backend=backend
        )
    assert_close(actual, expected, 1e-6)


def test_packed_support_and_tensor_support():
    problem = Problem(frames=(3, 3), rois=(4, 5))
    tensors = problem.tensors()
    maps = torch.stack([tensors["support0"], tensors["support1"]])
    boxes = [tensors["boxes0"], tensors["boxes1"]]
    pooling = (boxes, 7, 1 / 8, 2, True)
    expected = temporal_roi_align(tensors["features"], maps, *pooling)
    (wanted,) = torch.autograd.grad(expected.square().sum(), tensors["support1"])
    for support in (pack_support(maps), [tensors["support0"], tensors["support1"]]):
        actual = temporal_roi_align(tensors["features"], support, *pooling)
        (got,) = torch.autograd.grad(actual.square().sum(), tensors["support1"])
        assert torch.equal(actual, expected)
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("backend", FAST)
def test_layout_does_not_matter(backend):
    problem = Problem(frames=(2,))
    tensors = problem.tensors()
    expected = problem.run(tensors, backend)
    strided = dict(tensors)
    features, support = tensors["features"].detach(), tensors["support0"].detach()
    wide = torch.full((1, 12, 13, 34), torch.nan)
    wide[..., ::2] = features
    strided["features"] = wide[..., ::2].requires_grad_()
    strided["support0"] = support.contiguous(memory_format=torch.channels_last).requires_grad_()
    strided["weight"] = (
        tensors["weight"].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    )
    actual = problem.run(strided, backend)
    assert_close(actual, expected, 1e-6)
    names = ["features", "support0", "weight", "bias"]
    wanted = torch.autograd.grad(expected.sum(), [tensors[name] for name in names])
    got = torch.autograd.grad(actual.sum(), [strided[name] for name in names])
    for name, a, b in zip(names, got, wanted, strict=True):
        assert_close(a, b, 1e-5, name)


@pytest.mark.parametrize("backend", FAST)
def test_gradients_only_where_asked(backend):
    problem = Problem(frames=(2,))
    tensors = problem.tensors()
    every = torch.autograd.grad(
        problem.run(tensors, backend).square().sum(),
        [tensors[name] for name in ("features", "support0", "weight", "bias")],
    )
    names = ("features", "support0", "weight", "bias")
    for name, expected in zip(names, every, strict=True):
        alone = {key: leaf.detach() for key, leaf in tensors.items()}
        alone[name].requires_grad_()
        (actual,) = torch.autograd.grad(problem.run(alone, backend).square().sum(), alone[name])
        assert_close(actual, expected, 1e-5, name)


@pytest.mark.parametrize("heads", [0, 2])
@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("features_are_zero", [False, True], ids=["target", "target zero"])
@pytest.mark.parametrize("support_is_zero", [False, True], ids=["support", "support zero"])
def test_zero_features_stay_finite(support_is_zero, features_are_zero, backend, heads):
    problem = Problem(frames=(2,), channels=4, heads=heads)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"] *= 0 if features_are_zero else 1
        tensors["support0"] *= 0 if support_is_zero else 1
        tensors["support0"][0, :, 4:8] = 0
    output = problem.run(tensors, backend)
    assert output.isfinite().all()
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    for gradient in torch.autograd.grad(output.square().sum() + output.sum(), leaves):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("heads", [0, 2])
def test_zero_norms_pass_the_same_gradient_as_the_equations(heads):
    problem = Problem(channels=4, heads=heads, rois=(6,), dtype=torch.float64, relu=False)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"][..., :6, :8] = 0
        tensors["support0"][0] = 0
        tensors["support0"][1, :, 3:9] = 0
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    outputs = [problem.run(tensors, backend) for backend in ("direct", "reference")]
    assert_close(*outputs, 1e-11)
    direction = torch.randn(outputs[0].shape, dtype=torch.float64)
    got, wanted = (torch.autograd.grad(output, leaves, direction) for output in outputs)
    for a, b in zip(got, wanted, strict=True):
        assert_close(a, b, 1e-10)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("magnitude", [1e-30, 1e-13, 1e18])
def test_extreme_magnitudes_stay_finite(magnitude, backend):
    problem = Problem(frames=(2,), heads=0)
    tensors = problem.tensors()
    with torch.no_grad():
        tensors["features"] *= magnitude
        tensors["support0"] *= magnitude
    outputs = [problem.run(tensors, name) for name in (backend, "reference")]
    assert_close(*outputs, 1e-5)
    leaves = [tensors["features"], tensors["support0"]]
    for gradient in torch.autograd.grad(outputs[0].sum(), leaves):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(2,), channels=4, heads=2, rois=(1,), size=(3, 4), grid=(2, 2), top_k=3),
        Problem(frames=(1, 2), channels=3, heads=0, rois=(1, 1), size=(3, 3), grid=(1, 2), top_k=2),
        Problem(
            frames=(1,), channels=2, heads=2, embedding="dense", size=(3, 3), grid=(3, 2), rois=(1,)
        ),
    ],
    ids=str,
)
def test_gradcheck(problem):
    problem = Problem(**{**problem.__dict__, "dtype": torch.float64, "relu": False})
    tensors = problem.tensors()
    names = [name for name, leaf in tensors.items() if leaf.requires_grad]

    def run(*leaves):
        return problem.run({**tensors, **dict(zip(names, leaves, strict=True))}, "direct")

    assert torch.autograd.gradcheck(run, [tensors[name] for name in names])


@pytest.mark.parametrize("backend", EVERY)
def test_autocast_computes_in_float32(backend):
    problem = Problem(frames=(2,))
    tensors = problem.tensors()
    expected = problem.run(tensors, backend)
    wanted = torch.autograd.grad(expected.sum(), tensors["weight"])[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = problem.run(tensors, backend)
        mixed = problem.run({**tensors, "features": tensors["features"].bfloat16()}, backend)
    assert torch.equal(actual, expected)
    assert torch.equal(torch.autograd.grad(actual.sum(), tensors["weight"])[0], wanted)
    assert mixed.dtype == torch.bfloat16
    assert mixed.isfinite().all()


def test_memory_is_bounded_in_inference():
    """All most similar features would take 8 times the workspace."""
    problem = Problem(frames=(24,), rois=(40,), channels=64, size=(6, 7), heads=0)
    tensors = problem.tensors()
    features = 24 * 40 * 49 * 64 * 4
    assert features > 11 * 2**20
    direct_bytes, direct.WORKSPACE_BYTES = direct.WORKSPACE_BYTES, features // 8
    try:
        largest = _largest_tensor(lambda: problem.run(tensors, "direct"))
    finally:
        direct.WORKSPACE_BYTES = direct_bytes
    assert largest <= features // 8


def _largest_tensor(function) -> int:
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self.largest = max(self.largest, leaf.nbytes)
            return result

    with torch.no_grad(), Watch() as watch:
        function()
    return watch.largest


@pytest.mark.parametrize("backend", FAST)
def test_the_same_input_gives_the_same_bits(backend):
    problem = Problem(frames=(3,), rois=(20,))
    tensors = problem.tensors()
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    runs = []
    for _ in range(2):
        output = problem.run(tensors, backend)
        runs.append([output, *torch.autograd.grad(output.square().sum(), leaves)])
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", FAST)
def test_second_derivatives_raise_a_clear_error(backend):
    problem = Problem(frames=(1,))
    tensors = problem.tensors()
    output = problem.run(tensors, backend).square().sum()
    (gradient,) = torch.autograd.grad(output, tensors["support0"], create_graph=True)
    with pytest.raises(RuntimeError, match="first derivatives only"):
        gradient.sum().backward()
