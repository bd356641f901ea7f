"""Temporal RoI Align as a module: the function's values, its start, what it says of itself."""

from __future__ import annotations

import pytest
import torch

from tests.nn.test_level_pooler import boxes, levels
from tests.ops.compare import assert_close
from trovid.nn import TemporalRoIAlign
from trovid.ops import pack_support, temporal_attention, temporal_roi_align


def test_one_level_module_is_the_function():
    module = TemporalRoIAlign(5, 1 / 16, 2, True, channels=8, top_k=2, embedding="dense")
    x, support = levels(["c4"])["c4"], levels(["c4"], batch=2, frames=3, seed=1)["c4"]
    assert module.embedding.weight.shape == (8, 8, 3, 3)
    expected = temporal_roi_align(
        x,
        support,
        boxes(),
        5,
        1 / 16,
        2,
        True,
        top_k=2,
        num_heads=4,
        weight=module.embedding.weight,
        bias=module.embedding.bias,
    )
    assert torch.equal(module(x, support, boxes()), expected)
    assert "top_k=2" in repr(module)


def test_plain_average_owns_no_weights():
    module = TemporalRoIAlign(7, 1 / 16, num_heads=0)
    assert list(module.parameters()) == []
    x, support = levels(["c4"])["c4"], levels(["c4"], batch=2, frames=3, seed=1)["c4"]
    expected = temporal_roi_align(x, support, boxes(), 7, 1 / 16, 2)
    assert torch.equal(module(x, support, boxes()), expected)


@pytest.mark.parametrize("embedding", ["grouped", "dense"])
@pytest.mark.parametrize("channels", [96, 512])
def test_attention_starts_near_the_average(channels, embedding):
    torch.manual_seed(0)
    module = TemporalRoIAlign(channels=channels, embedding=embedding)
    target = torch.randn(2, channels, 7, 7).relu()
    support = torch.randn(3, 2, channels, 7, 7).relu()
    with torch.no_grad():
        _, weights = temporal_attention(
            target,
            support,
            num_heads=4,
            weight=module.embedding.weight,
            bias=module.embedding.bias,
        )
    assert weights.max() < 0.6
    assert weights.mean(dim=(1, 2, 3, 4)).min() > 0.15


def test_state_keys_are_kept():
    module = TemporalRoIAlign(channels=8)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert shapes == {"embedding.weight": (8, 2, 3, 3), "embedding.bias": (8,)}


@pytest.mark.parametrize("heads", [0, 4])
def test_the_operator_is_the_equations(heads):
    """`extract` and what export traces; two videos, one without support frames."""
    module = TemporalRoIAlign(5, channels=8, num_heads=heads)
    x, maps = levels(["c4"])["c4"], levels(["c4"], batch=2, frames=3, seed=1)["c4"]
    support = pack_support([maps[0], maps[1, :0]])
    with torch.no_grad():
        found = module.extract(x, boxes(), 1 / 16, support)
        roi_features = module.align(x, boxes(), 1 / 16)
        first = len(boxes()[0])
        expected = module.aggregate(roi_features[:first], support.videos([0]))
    assert_close(found[:first], expected, 1e-5)
    assert_close(found[first:], roi_features[first:], 1e-6)


@pytest.mark.parametrize("heads", [0, 4])
def test_what_a_position_sees_is_what_the_output_is_made_of(heads):
    module = TemporalRoIAlign(5, channels=8, num_heads=heads, top_k=1)
    x, maps = levels(["c4"])["c4"], levels(["c4"], frames=3, seed=1)["c4"]
    with torch.no_grad():
        roi_features = module.align(x[:1], boxes()[:1], 1 / 16)
        seen = module.sight(x[:1], boxes()[:1], 1 / 16, pack_support(maps))
        output = module.aggregate(roi_features, pack_support(maps))
    groups = heads or 1
    assert seen.weights.shape == (4, len(roi_features), groups, 5, 5)
    assert_close(seen.weights.sum(0), torch.ones(len(roi_features), groups, 5, 5), 1e-5)
    if heads == 0:
        found = torch.stack(
            [
                support_map.flatten(1)[:, c[:, 0]].movedim(0, 1)
                for support_map, c in zip(maps, seen.cells)  # noqa: B905
            ]
        )
        sets = torch.cat([roi_features[None], found])
        assert_close((seen.weights * sets).sum(0), output, 1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TemporalRoIAlign(7, 1 / 16), "`channels` must be given"),
        (lambda: TemporalRoIAlign(channels=9), "must divide the 9 channels"),
        (lambda: TemporalRoIAlign(channels=8, embedding="full"), "'grouped' or 'dense'"),
        (lambda: TemporalRoIAlign(0, channels=8), "`output_size`"),
    ],
)
def test_wrong_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()
