from __future__ import annotations

import sys

import pytest
import torch
import torchvision

from tests.ops.compare import assert_close
from trovid.ops import roi_align

MODULE = sys.modules[roi_align.__module__]
BOXES = {
    "inside": [[20.0, 30.0, 90.0, 100.0], [5.5, 6.25, 17.75, 60.0]],
    "across the border": [[-30.0, -40.0, 60.0, 50.0], [100.0, 90.0, 190.0, 180.0]],
    "outside": [[-300.0, -300.0, -200.0, -200.0], [400.0, 10.0, 500.0, 60.0]],
    "on the border": [[-8.0, -8.0, 136.0, 104.0], [128.0, 96.0, 136.0, 104.0]],
    "degenerate": [[50.0, 50.0, 50.0, 50.0], [60.0, 60.0, 40.0, 30.0]],
    "huge": [[-1e6, -1e6, 1e6, 1e6], [0.0, 0.0, 1e30, 10.0]],
    "none": [],
}


def problem(kind, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, 12, 16, generator=generator, dtype=torch.float64).to(dtype)
    boxes = torch.tensor(BOXES[kind], dtype=dtype).view(-1, 4)
    return features, [boxes, boxes[:0], boxes + 3.3]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3, -1])
@pytest.mark.parametrize("kind", [kind for kind in BOXES if kind != "huge"])
@pytest.mark.parametrize("way", ["torchvision's", "plain"])
def test_gradient_path_equals_torchvision(monkeypatch, way, kind, sampling_ratio, aligned):
    if way == "plain":
        monkeypatch.setattr(MODULE, "_torchvision_gradient", lambda: None)
    features, boxes = problem(kind)
    ours, theirs = (features.clone().requires_grad_() for _ in range(2))
    pooling = (boxes, (7, 5), 1 / 8, sampling_ratio, aligned)
    actual = roi_align(ours, *pooling)
    expected = torchvision.ops.roi_align(theirs, *pooling)
    assert_close(actual, expected, 1e-5)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    actual.backward(direction)
    expected.backward(direction)
    assert_close(ours.grad, theirs.grad, 1e-5, "gradient")


def test_the_private_function_of_torchvision_is_still_there():
    """Without it adaptive sampling and GPUs have the plain way alone, which is slower."""
    assert MODULE._torchvision_gradient() is not None


@pytest.mark.parametrize("aligned", [False, True])
def test_huge_boxes(aligned):
    features, boxes = problem("huge")
    pooling = (boxes, 7, 1 / 8, 2, aligned)
    actual = roi_align(features.requires_grad_(), *pooling)
    assert_close(actual, torchvision.ops.roi_align(features, *pooling), 1e-5)


@pytest.mark.parametrize("kind", BOXES)
def test_without_gradient_it_is_torchvision_bit_for_bit(kind):
    features, boxes = problem(kind)
    pooling = (boxes, 7, 1 / 8, 2, True)
    assert torch.equal(roi_align(features, *pooling), torchvision.ops.roi_align(features, *pooling))
    with torch.no_grad():
        actual = roi_align(features.requires_grad_(), *pooling)
    assert torch.equal(actual, torchvision.ops.roi_align(features.detach(), *pooling))


def test_rois_in_any_order():
    features, _ = problem("inside")
    rois = torch.tensor(
        [[2, 3.0, 4, 50, 60], [0, 9, 9, 80, 40], [2, 0, 0, 9, 9], [1, 5, 5, 90, 90]]
    )
    actual = roi_align(features.requires_grad_(), rois, 7, 1 / 8, 2)
    assert_close(actual, torchvision.ops.roi_align(features, rois, 7, 1 / 8, 2), 1e-5)


def test_chunks_of_rois(monkeypatch):
    features, boxes = problem("inside")
    features.requires_grad_()
    whole = roi_align(features, boxes, 7, 1 / 8, 2)
    monkeypatch.setattr(MODULE, "_WORKSPACE_BYTES", 1)
    assert_close(roi_align(features, boxes, 7, 1 / 8, 2), whole, 1e-6)


def test_half_precision_is_computed_in_float32():
    for dtype in (torch.bfloat16, torch.float16):
        features, boxes = problem("inside", dtype)
        for needs_grad in (False, True):
            actual = roi_align(features.requires_grad_(needs_grad), boxes, 7, 1 / 8, 2)
            exact = torchvision.ops.roi_align(
                features.detach().float(), [b.float() for b in boxes], 7, 1 / 8, 2
            )
            assert actual.dtype == dtype
            assert_close(actual, exact.to(dtype), 1e-2)


def test_gradcheck():
    features, boxes = problem("across the border", torch.float64)
    features = features[:1, :1].clone().requires_grad_()
    pooling = (boxes[:1], 3, 1 / 8, 2, True)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, *pooling), features)


def test_not_a_number_in_a_box_gives_zeros():
    features, _ = problem("inside")
    rois = torch.tensor([[0, float("nan"), 1, 50, 60], [1, 9, 9, 80, 40]])
    pooled = roi_align(features.requires_grad_(), rois, 7, 1 / 8, 2)
    assert (pooled[0] == 0).all()
    assert (pooled[1] != 0).any()


@pytest.mark.parametrize("index", [-1.0, 3.0, 1e9])
def test_boxes_of_no_image_are_refused(index):
    features, boxes = problem("inside")
    with pytest.raises(ValueError, match="must have one Tensor"):
        roi_align(features, [*boxes, boxes[0]], 7)
    with pytest.raises(ValueError, match="must be an index in the batch"):
        roi_align(features, torch.tensor([[index, 1.0, 2.0, 30.0, 40.0]]), 7)
