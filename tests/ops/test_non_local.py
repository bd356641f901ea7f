"""Non-local attention against the equation with all weights at once."""

from __future__ import annotations

import pytest
import torch

from tests.ops.compare import DEVICES, NOT_THE_SAME_TWICE, assert_close
from trovid.ops import non_local
from trovid.ops.non_local import best_keys, non_local_reference


def tensors(positions=13, keys=57, width=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = ((positions, width), (keys, width), (keys, width + 1))
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("top_k", [None, 1, 4, 57])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_gradients_are_those_of_the_equation(dtype, top_k, device):
    found = []
    for function, at in ((non_local, device), (non_local_reference, "cpu")):
        leaves = [tensor.to(at).requires_grad_() for tensor in tensors(dtype=dtype)]
        output = function(*leaves, top_k=top_k)
        output.square().sum().backward()
        found.append([output.cpu(), *(leaf.grad.cpu() for leaf in leaves)])
    for name, actual, expected in zip(("output", "q", "k", "v"), *found, strict=True):
        if not (top_k == 1 and name in "qk"):  # one weight is 1 whatever the logit
            assert_close(actual, expected, 1e-5 if dtype == torch.float32 else 1e-11, name)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("top_k", [None, 3])
def test_gradcheck(top_k, device):
    leaves = [tensor.to(device).requires_grad_() for tensor in tensors(4, 9, 3, torch.float64)]
    assert torch.autograd.gradcheck(
        lambda *t: non_local(*t, top_k=top_k), leaves, nondet_tol=NOT_THE_SAME_TWICE
    )


def test_the_search_in_parts_is_the_search_at_once():
    queries, keys, _ = tensors()
    parts = best_keys(queries, keys, 4, logits_at_once=3 * len(keys))
    assert torch.equal(parts, best_keys(queries, keys, 4))


def test_no_query_and_no_key():
    queries, keys, values = (tensor.requires_grad_() for tensor in tensors())
    for given in ((queries[:0], keys, values), (queries, keys[:0], values[:0])):
        found = non_local(*given)
        assert found.shape == (len(given[0]), 7)
        assert not found.any()
        found.sum().backward()
    assert non_local(queries[:0], keys, values, top_k=2).shape == (0, 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": torch.zeros(5, 3)}, r"must have shapes \[P, D\] and \[S, D\], but got \[2, 4\]"),
        ({"values": torch.zeros(4, 3)}, r"`values` must have shape \[5, E\], but got \[4, 3\]"),
        ({"top_k": 6}, "`top_k` must lie in 1..5, the number of keys, but is 6"),
    ],
)
def test_wrong_shapes(changes, message):
    given = {"queries": torch.zeros(2, 4), "keys": torch.zeros(5, 4), "values": torch.zeros(5, 3)}
    with pytest.raises(ValueError, match=message):
        non_local(**{**given, **changes})
