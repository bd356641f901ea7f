"""What the operators refuse, so that nothing is silently wrong; what is alike in all backends."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torchvision.ops import roi_align as torchvision_roi_align

from tests.ops.compare import EVERY, Problem
from tests.ops.large_values import check_at_scale
from trovid.ops import (
    most_similar_roi_align,
    pack_support,
    roi_align,
    temporal_attention,
    temporal_roi_align,
)

PROBLEM = Problem(rois=(3,), channels=8)


TENSORS = {name: leaf.detach() for name, leaf in PROBLEM.tensors().items()}


def values():
    return TENSORS["features"].clone(), [TENSORS["support0"]], [TENSORS["boxes0"]]


def run(backend="auto", *, features=None, support=None, boxes=None, scale=0.5, ratio=2):
    defaults = values()
    return temporal_roi_align(
        defaults[0] if features is None else features,
        defaults[1] if support is None else support,
        defaults[2] if boxes is None else boxes,
        7,
        scale,
        ratio,
        backend=backend,
    )


@pytest.mark.parametrize("backend", EVERY)
def test_forward_mode_is_refused_and_not_silently_zero(backend):
    features, _, boxes = values()
    for function in (
        lambda maps: run(backend, features=maps),
        lambda maps: run(backend, support=[maps]),
        lambda maps: roi_align(maps, boxes, 7),
    ):
        with pytest.raises(NotImplementedError, match="no forward-mode derivatives"):
            torch.func.jvp(function, (features,), (features,))


def test_forward_mode_is_refused_in_the_parts_too():
    roi_features, support = torch.rand(2, 8, 7, 7), torch.rand(3, 8, 9, 9)
    with pytest.raises(NotImplementedError):
        torch.func.jvp(
            lambda maps: most_similar_roi_align(roi_features, maps)[0], (support,), (support,)
        )
    sets, weight = torch.rand(3, 2, 8, 7, 7), torch.rand(8, 2, 3, 3)
    with pytest.raises(NotImplementedError):
        torch.func.jvp(
            lambda w: temporal_attention(roi_features, sets, num_heads=4, weight=w)[0],
            (weight,),
            (weight,),
        )


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("scale", [1e19, 1e25, 1e37])
def test_features_beyond_float32_are_refused(backend, scale):
    features, (support,), _ = values()
    with pytest.raises(ValueError, match=r"`features` must lie within 6.5e\+18, where the squared"):
        run(backend, features=features * scale)
    with pytest.raises(ValueError, match=r"`support_features` must lie within"):
        run(backend, support=[support * scale])
    with pytest.raises(ValueError, match=r"`roi_features` must lie within"):
        most_similar_roi_align(torch.rand(1, 8, 7, 7) * scale * 10, support, backend=backend)


@pytest.mark.parametrize("backend", EVERY)
def test_infinities_still_propagate(backend):
    features, _, _ = values()
    features[0, 0, :, :] = math.inf
    assert run(backend, features=features).isnan().all()


@pytest.mark.parametrize("backend", EVERY)
def test_boxes_of_any_size_are_alike_in_every_backend(backend):
    boxes = torch.tensor([[4.0, 4, 20, 20], [-1e9, -1e9, 1e9, 1e9], [0.0, 0, 1e9, 8]])
    near = torch.tensor([[4.0, 4, 20, 20]])
    found = run(backend, boxes=[boxes], ratio=0)
    torch.testing.assert_close(found[:1], run(backend, boxes=[near], ratio=0))
    features, _, _ = values()
    pooled = roi_align(features, [boxes], 7, 0.5, 0)
    assert not pooled[1:].any()
    assert torch.equal(pooled[:1], torchvision_roi_align(features, [near], 7, 0.5, 0))
    reference = run("reference", boxes=[boxes], ratio=0)
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": math.nan}, "`spatial_scale` must be finite, but is nan"),
        ({"scale": math.inf}, "`spatial_scale` must be finite, but is inf"),
        ({"ratio": 10**9}, "`sampling_ratio` must be at most 128, but is 1000000000"),
    ],
)
def test_pooling_has_bounds(backend, change, message):
    with pytest.raises(ValueError, match=message):
        run(backend, **change)
    features, _, boxes = values()
    settings = {"scale": 0.5, "ratio": 2, **change}
    with pytest.raises(ValueError, match=message):
        roi_align(features, boxes, 7, settings["scale"], settings["ratio"])


@pytest.mark.parametrize("backend", EVERY)
def test_a_packed_support_whose_parts_do_not_belong_together_is_refused(backend):
    packed = pack_support(values()[1])
    for change, message in (
        ({"inverse_norms": packed.inverse_norms[:, :3]}, "`inverse_norms` .* must have shape"),
        ({"inverse_norms": packed.inverse_norms[:1]}, "`inverse_norms` .* must have shape"),
        ({"lengths": (5,)}, "must have rows of shape"),
        ({"lengths": (3, -1)}, "must have rows of shape"),
        ({"size": (99, 99)}, "must have rows of shape"),
        ({"size": (-13, -17)}, "must have rows of shape"),
        ({"rows": packed.rows[:, :3]}, "must have rows of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            run(backend, support=replace(packed, **change))


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize(
    ("heads", "embedding", "scale", "scaled"),
    [
        (1, "dense", 1e3, ("feat", "supp")),
        (5, "dense", 1e3, ("feat", "supp")),
        (5, "grouped", 1e3, ("feat", "supp")),
        (5, "dense", 1e4, ("supp",)),
    ],
)
def test_at_large_scales_the_error_is_that_of_float32_itself(
    backend, heads, embedding, scale, scaled
):
    """Logits of 1e6 decide by rounding between frames that nearly tie, whoever computes them.

    The equations in float32, or in float64 from inputs that are rounded otherwise, are as far off.
    """
    problem = Problem(frames=(2,), rois=(3,), channels=20, heads=heads, embedding=embedding)
    check_at_scale(problem, backend, scale, scaled)
