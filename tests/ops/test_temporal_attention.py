from __future__ import annotations

import pytest
import torch

from tests.ops.compare import EVERY, assert_close
from trovid.ops import temporal_attention


def problem(frames=3, channels=8, heads=2, embedding="grouped", dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    inputs = channels if embedding == "dense" else channels // heads
    return {
        "features": random(4, channels, 7, 7),
        "support_features": random(frames, 4, channels, 7, 7),
        "weight": random(channels, inputs, 3, 3) * (9 * inputs) ** -0.5,
        "bias": random(channels) * 0.1,
    }


@pytest.mark.parametrize("backend", EVERY)
def test_by_hand(backend):
    """With the identity as the embedding the logits are inner products of the features."""
    target = torch.tensor([1.0, 0.0, 0.5, 0.5]).view(1, 4, 1, 1)
    support = torch.tensor([0.0, 3.0, 1.0, 1.0]).view(1, 1, 4, 1, 1)
    weight = torch.zeros(4, 4, 3, 3)
    weight[:, :, 1, 1] = torch.eye(4)
    output, weights = temporal_attention(
        target, support, num_heads=2, weight=weight, logit_scale=2.0, backend=backend
    )
    first = torch.tensor([2.0, 0.0]).softmax(0)
    second = torch.tensor([1.0, 2.0]).softmax(0)
    assert_close(weights.flatten(), torch.stack([first, second], 1).flatten(), 1e-6)
    expected = [first[0], 3 * first[1], 0.5 * second[0] + second[1], 0.5 * second[0] + second[1]]
    assert_close(output.flatten(), torch.stack(expected), 1e-6)


@pytest.mark.parametrize("embedding", ["grouped", "dense"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frames", [0, 1, 3])
def test_backends_agree(frames, bias, embedding):
    tensors = problem(frames=frames, embedding=embedding)
    if not bias:
        del tensors["bias"]
    leaves = [leaf.requires_grad_() for leaf in tensors.values()]
    results = [
        temporal_attention(**tensors, num_heads=2, logit_scale=0.7, backend=backend)
        for backend in ("reference", "direct")
    ]
    gradients = []
    for output, weights in results:
        loss = output.square().sum() + weights.square().sum()
        gradients.append(torch.autograd.grad(loss, leaves))
    for a, b in zip(*results, strict=True):
        assert_close(b, a, 1e-5)
    for a, b in zip(*gradients, strict=True):
        assert_close(b, a, 2e-5)


@pytest.mark.parametrize("backend", EVERY)
def test_weights_sum_to_one_and_the_target_is_first(backend):
    tensors = problem(frames=2)
    tensors["support_features"] = torch.zeros_like(tensors["support_features"])
    del tensors["bias"]
    output, weights = temporal_attention(**tensors, num_heads=2, backend=backend)
    assert weights.shape == (3, 4, 2, 7, 7)
    assert_close(weights.sum(0), torch.ones(4, 2, 7, 7), 1e-6)
    assert (weights[0] >= weights[1:]).all()
    expected = weights[0].repeat_interleave(4, dim=1) * tensors["features"]
    assert_close(output, expected, 1e-6)


@pytest.mark.parametrize("backend", ["reference", "direct"])
def test_half_precision_and_float64(backend):
    for dtype, kept in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        tensors = problem(dtype=dtype)
        output, weights = temporal_attention(**tensors, num_heads=2, backend=backend)
        assert output.dtype == dtype
        assert weights.dtype == kept
        exact, _ = temporal_attention(
            **{name: tensor.double() for name, tensor in tensors.items()}, num_heads=2
        )
        assert_close(output, exact.to(dtype), 1e-2 if dtype == torch.bfloat16 else 1e-12)
