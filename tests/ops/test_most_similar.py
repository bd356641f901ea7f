from __future__ import annotations

import pytest
import torch

from tests.ops.compare import EVERY, FAST, assert_close, near_ties
from trovid.ops import most_similar_roi_align, pack_support


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backend", EVERY)
def test_by_hand(backend):
    support = torch.zeros(1, 2, 1, 4)
    support[0, :, 0, 0] = torch.tensor([0.0, 5.0])
    support[0, :, 0, 1] = torch.tensor([2.0, 0.0])
    support[0, :, 0, 2] = torch.tensor([3.0, 3.0])
    roi = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    features, points, scores = most_similar_roi_align(roi, support, top_k=2, backend=backend)
    assert points.flatten().tolist() == [1, 2]
    assert_close(scores.flatten(), torch.tensor([1.0, 0.5**0.5]), 1e-6)
    weights = torch.tensor([1.0, 0.5**0.5]).softmax(0)
    expected = weights[0] * torch.tensor([2.0, 0.0]) + weights[1] * torch.tensor([3.0, 3.0])
    assert_close(features.flatten(), expected, 1e-6)


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("kind", ["zero target", "zero support", "constant support", "repeated"])
def test_ties_choose_the_lowest_indices(kind, backend):
    roi, support = random(3, 4, 7, 7), random(2, 4, 5, 6, seed=1)
    if kind == "zero target":
        roi = torch.zeros_like(roi)
    elif kind == "zero support":
        support = torch.zeros_like(support)
    elif kind == "constant support":
        support = torch.tensor([1.0, 2.0, 2.0, 4.0]).view(1, 4, 1, 1).expand_as(support)
        roi = torch.ones_like(roi)
    else:
        support = support[..., :1, :].abs().expand_as(support)
    features, points, scores = most_similar_roi_align(roi, support, top_k=4, backend=backend)
    assert features.isfinite().all()
    if kind == "repeated":
        row, column = points // 6, points % 6
        assert (row == torch.arange(4).view(-1, 1, 1)).all()
        assert (column == column[:, :, :1]).all()
    else:
        assert (points == torch.arange(4).view(-1, 1, 1)).all()
        assert (scores == scores[:, :, :1]).all()


@pytest.mark.parametrize("backend", EVERY)
def test_a_cell_of_zero_norm_has_the_similarity_zero(backend):
    support = -torch.ones(1, 3, 2, 2)
    support[0, :, 1, 1] = 0
    _, points, scores = most_similar_roi_align(
        torch.ones(1, 3, 1, 1), support, top_k=2, backend=backend
    )
    assert points.flatten().tolist() == [3, 0]
    assert_close(scores.flatten(), torch.tensor([0.0, -1.0]), 1e-6)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("top_k", [1, 3, 30])
def test_backends_agree_in_points_scores_and_their_gradients(top_k, backend):
    roi, support = random(5, 8, 7, 7).requires_grad_(), random(3, 8, 5, 6, seed=1).requires_grad_()
    assert not near_ties(roi.detach(), support.detach(), top_k).any()
    results = [
        most_similar_roi_align(roi, support, top_k=top_k, backend=name)
        for name in ("reference", backend)
    ]
    (expected, points, scores), (actual, actual_points, actual_scores) = results
    assert_close(actual, expected, 1e-5)
    assert_close(actual_scores, scores, 1e-5)
    assert torch.equal(actual_points, points)
    gradients = []
    for features, _, scores in results:
        loss = (features * random(*features.shape, seed=2)).sum()
        loss = loss + (scores * random(*scores.shape, seed=3)).sum()
        alone = torch.autograd.grad(scores.square().sum(), (roi, support), retain_graph=True)
        gradients.append([*torch.autograd.grad(loss, (roi, support)), *alone])
    for a, b in zip(*gradients, strict=True):
        assert_close(b, a, 1e-5)


def test_packed_support_is_the_same():
    roi, support = random(2, 8, 7, 7), random(3, 8, 5, 6, seed=1)
    packed = pack_support(support)
    for a, b in zip(
        most_similar_roi_align(roi, support), most_similar_roi_align(roi, packed), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", EVERY)
def test_nothing_to_do(backend):
    for rois, frames in ((0, 2), (2, 0), (0, 0)):
        features, points, scores = most_similar_roi_align(
            torch.ones(rois, 4, 7, 7), torch.ones(frames, 4, 5, 6), top_k=2, backend=backend
        )
        assert features.shape == (frames, rois, 4, 7, 7)
        assert points.shape == scores.shape == (frames, rois, 2, 7, 7)
        assert points.dtype == torch.long


@pytest.mark.parametrize("backend", EVERY)
def test_half_precision_selects_in_float32(backend):
    roi, support = random(2, 8, 7, 7).bfloat16(), random(3, 8, 5, 6, seed=1).bfloat16()
    features, points, scores = most_similar_roi_align(roi, support, top_k=2, backend=backend)
    exact, exact_points, exact_scores = most_similar_roi_align(
        roi.float(), support.float(), top_k=2, backend=backend
    )
    assert torch.equal(points, exact_points)
    assert scores.dtype == torch.float32
    assert_close(scores, exact_scores, 1e-6)
    assert_close(features, exact.bfloat16(), 1e-2)
