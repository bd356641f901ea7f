"""Modulated deformable RoI Align: the equation, its gradients, RoIAlign, the published kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision

from tests import shared
from tests.ops.compare import DEVICES, NOT_THE_SAME_TWICE, assert_close
from tests.ops.test_roi_align import BOXES, problem
from trovid.ops import deform_roi_align
from trovid.ops.deform_roi_align import deform_roi_align_reference

SHARED = shared.SHARED / "parity" / "deform_roi_pool"
SIZE = 7, 5


def moves(count: int, size=SIZE, dtype=torch.float64, scale=1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    offsets = torch.randn(count, 2, *size, generator=generator, dtype=torch.float64) * scale
    mask = torch.rand(count, 1, *size, generator=generator, dtype=torch.float64)
    return offsets.to(dtype), mask.to(dtype)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, -1])
@pytest.mark.parametrize("kind", [kind for kind in BOXES if kind != "huge"])
def test_without_offsets_and_mask_it_is_roi_align(kind, sampling_ratio, aligned):
    features, boxes = problem(kind)
    count = sum(map(len, boxes))
    ours, theirs = (features.clone().requires_grad_() for _ in range(2))
    pooling = 1 / 8, sampling_ratio, aligned
    actual = deform_roi_align(ours, boxes, SIZE, torch.zeros(count, 2, *SIZE), None, *pooling)
    expected = torchvision.ops.roi_align(theirs, boxes, SIZE, *pooling)
    assert_close(actual, expected, 1e-5)
    half = torch.full((count, 1, *SIZE), 0.5)
    halved = deform_roi_align(features, boxes, SIZE, torch.zeros(count, 2, *SIZE), half, *pooling)
    assert_close(halved, expected / 2, 1e-5)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    actual.backward(direction)
    expected.backward(direction)
    assert_close(ours.grad, theirs.grad, 1e-5, "gradient")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sampling_ratio", [2, -1])
@pytest.mark.parametrize("aligned", [False, True])
def test_outputs_and_gradients_are_those_of_the_equation(aligned, sampling_ratio, device):
    boxes = torch.tensor(
        [[0, 20, 30, 90, 60], [1, -30, -40, 20, 30], [1, 60, 50, 60, 70], [0, 100, 70, 190, 120]],
        dtype=torch.float64,
    )
    offsets, mask = moves(len(boxes), (3, 2), scale=3)
    features = torch.randn(2, 4, 12, 16, dtype=torch.float64)
    found = []
    for function, at in ((deform_roi_align, device), (deform_roi_align_reference, "cpu")):
        leaves = [t.to(at, copy=True).requires_grad_() for t in (features, boxes, offsets, mask)]
        output = function(
            leaves[0], leaves[1], (3, 2), leaves[2], leaves[3], 1 / 8, sampling_ratio, aligned
        )
        direction = torch.randn(
            output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        output.backward(direction.to(at))
        found.append([output.cpu(), *(leaf.grad.cpu() for leaf in leaves)])
    names = ("output", "features", "boxes", "offsets", "mask")
    for name, actual, expected in zip(names, *found, strict=True):
        assert_close(actual, expected, 1e-12, name)
    assert all(gradient.abs().sum() > 0 for gradient in found[0][1:])


@pytest.mark.parametrize("device", DEVICES)
def test_gradcheck(device):
    features = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    boxes = torch.tensor([[0, 9.3, 6.1, 39.7, 33.9], [0, -11.2, 17.7, 20.3, 60.4]]).double()
    offsets, mask = moves(2, (2, 3))
    leaves = [t.to(device).requires_grad_() for t in (features, boxes, offsets, mask)]

    def pooled(features, boxes, offsets, mask):
        return deform_roi_align(features, boxes, (2, 3), offsets, mask, 1 / 8, 2)

    assert torch.autograd.gradcheck(pooled, leaves, nondet_tol=NOT_THE_SAME_TWICE)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["inside", "border"])
def test_the_published_formula(name, device):
    path = SHARED / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    with np.load(path) as arrays:
        case = {key: torch.from_numpy(np.asarray(arrays[key])).to(device) for key in arrays}
    leaves = [case[key].requires_grad_() for key in ("features", "offset", "mask")]
    settings = float(case["spatial_scale"]), int(case["sampling_ratio"]), True
    output = deform_roi_align(
        leaves[0], case["rois"], 7, leaves[1], leaves[2], *settings, gamma=float(case["gamma"])
    )
    assert_close(output, case["output"], 1e-12)
    output.backward(case["grad_output"])
    for leaf, key in zip(leaves, ("features", "offset", "mask"), strict=True):
        assert_close(leaf.grad, case[f"grad_{key}"], 1e-12, key)
    plain = deform_roi_align(
        case["features"], case["rois"], 7, torch.zeros_like(case["offset"]), None, *settings
    )
    assert_close(plain, case["output_without_offset_and_mask"], 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    features, boxes = problem("inside")
    offsets, mask = moves(sum(map(len, boxes)), dtype=torch.float32)
    pooling = 1 / 8, 2
    rounded = features.to(dtype).movedim(1, -1).contiguous().movedim(-1, 1)
    found = deform_roi_align(rounded, boxes, SIZE, offsets, mask, *pooling)
    exact = deform_roi_align(rounded.float(), boxes, SIZE, offsets, mask, *pooling)
    assert torch.equal(found, exact.to(dtype))


def test_what_is_not_finite_pools_zeros():
    features, _ = problem("none")
    boxes = torch.tensor([[0, 1, 2, float("nan"), 9], [0, 1, 2, float("inf"), 9]])
    offsets = torch.zeros(2, 2, *SIZE, requires_grad=True)
    for sampling_ratio in (2, -1):
        found = deform_roi_align(features, boxes, SIZE, offsets, None, 1 / 8, sampling_ratio)
        assert found.abs().max() == 0
        found.sum().backward()
    assert offsets.grad.abs().max() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": torch.zeros(1, 2, 7, 7)}, r"`offsets` must have shape \[2, 2, 7, 5\], but"),
        ({"mask": torch.ones(2, 7, 5)}, r"`mask` must have shape \[2, 1, 7, 5\], but got"),
        ({"boxes": torch.zeros(2, 4)}, r"`boxes` must have shape \[R, 5\]"),
        ({"boxes": [torch.zeros(2, 4)] * 2}, "for each of the 3 images, but has 2"),
        ({"boxes": torch.full((2, 5), 3.0)}, r"must be an index in the batch \(0..2\)"),
        ({"features": torch.zeros(5, 12, 16)}, "`features` must have shape"),
    ],
)
def test_wrong_shapes(changes, message):
    given = {
        "features": torch.zeros(3, 5, 12, 16),
        "boxes": torch.zeros(2, 5),
        "offsets": torch.zeros(2, 2, *SIZE),
        "mask": torch.ones(2, 1, *SIZE),
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        deform_roi_align(output_size=SIZE, **given)
