from __future__ import annotations

import pytest
import torch
import torchvision

from tests.ops.compare import assert_close
from trovid.nn import MultiScaleTemporalRoIAlign, TemporalRoIAlign
from trovid.ops import pack_support, temporal_attention, temporal_roi_align

IMAGES = [(320, 480), (300, 470)]
NAMES = ["c3", "c4", "c5"]


def levels(names=NAMES, channels=8, seed=0, **leading) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(leading.values()) or (2,)
    strides = {"c3": 8, "c4": 16, "c5": 32}
    return {
        name: torch.rand(
            *shape, channels, 320 // strides[name], 480 // strides[name], generator=generator
        )
        for name in names
    }


def boxes(count: int = 20) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    lists = []
    for _ in IMAGES:
        corner = torch.rand(count, 2, generator=generator) * 200
        extent = 4 + torch.rand(count, 2, generator=generator) ** 2 * 250
        lists.append(torch.cat([corner, corner + extent], dim=1))
    return lists


@pytest.mark.parametrize("names", [["c4"], NAMES])
def test_without_support_it_is_torchvision_bit_for_bit(names):
    scales = {"canonical_scale": 60, "canonical_level": 4}
    ours = MultiScaleTemporalRoIAlign(names, 7, 2, channels=8, **scales)
    theirs = torchvision.ops.MultiScaleRoIAlign(names, 7, 2, **scales)
    x = levels()
    nothing = {name: level.new_zeros(2, 0, *level.shape[1:]) for name, level in x.items()}
    with torch.no_grad():
        actual = ours(x, nothing, boxes(), IMAGES)
    assert torch.equal(actual, theirs(x, boxes(), IMAGES))


def test_each_proposal_searches_the_level_it_is_pooled_from():
    module = MultiScaleTemporalRoIAlign(
        NAMES, 7, 2, channels=8, canonical_scale=60, canonical_level=4
    )
    x, support = levels(), levels(batch=2, frames=3, seed=1)
    with torch.no_grad():
        pooled = module(x, support, boxes(), IMAGES)
    of_box = module.levels(boxes(), [1 / 8, 1 / 16, 1 / 32])
    assert {int(level) for level in torch.cat(of_box)} == {0, 1, 2}
    rois = [(i, *map(float, box)) for i, part in enumerate(boxes()) for box in part]
    for row, (roi, level) in enumerate(zip(rois, torch.cat(of_box).tolist(), strict=True)):
        with torch.no_grad():
            expected = temporal_roi_align(
                x[NAMES[level]],
                support[NAMES[level]],
                torch.tensor([roi]),
                7,
                1 / (8 * 2**level),
                2,
                num_heads=4,
                weight=module.embedding.weight,
                bias=module.embedding.bias,
            )
        assert_close(pooled[row : row + 1], expected, 1e-5)


def test_packed_and_list_support_and_gradients():
    module = MultiScaleTemporalRoIAlign(NAMES, channels=8, canonical_scale=60)
    x = {name: level.requires_grad_() for name, level in levels().items()}
    support = levels(batch=2, frames=3, seed=1)
    expected = module(x, support, boxes(), IMAGES)
    for form in (pack_support, list):
        other = {name: form(maps) for name, maps in support.items()}
        assert torch.equal(module(x, other, boxes(), IMAGES), expected)
    expected.square().sum().backward()
    for leaf in [*x.values(), *module.parameters()]:
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().sum() > 0


def test_no_boxes_at_all():
    module = MultiScaleTemporalRoIAlign(NAMES, channels=8)
    x = {name: level.requires_grad_() for name, level in levels().items()}
    nothing = [torch.empty(0, 4)] * 2
    pooled = module(x, levels(batch=2, frames=3, seed=1), nothing, IMAGES)
    assert pooled.shape == (0, 8, 7, 7)
    pooled.sum().backward()


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
    module = MultiScaleTemporalRoIAlign(["c4"], channels=8)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert shapes == {"embedding.weight": (8, 2, 3, 3), "embedding.bias": (8,)}


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


def test_wrong_levels():
    x, support = levels(), levels(batch=2, frames=3, seed=1)
    with pytest.raises(ValueError, match="must hold the level 'c2'"):
        MultiScaleTemporalRoIAlign(["c2"], channels=8)(x, support, boxes(), IMAGES)
    with pytest.raises(ValueError, match="half as fine"):
        MultiScaleTemporalRoIAlign(["c3", "c5"], channels=8)(x, support, boxes(), IMAGES)
