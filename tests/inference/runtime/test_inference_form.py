"""The form for inference gives what the detector gives, and leaves the detector alone."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from tests.detectors.candidates import CANDIDATES
from tests.zoo.published_files import small_recipe
from trovid.backbones import ResNetBackbone
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.inference.runtime.inference_form import for_inference
from trovid.nn.batch_norm import fold_batch_norm
from trovid.nn.low_precision import LowPrecision
from trovid.recipes import load_recipe


def randomise_norms(module: nn.Module) -> None:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)


def detector(name: str):
    torch.manual_seed(0)
    recipe = small_recipe("selsa-troi") if name == "published" else load_recipe(name)
    made = build_detector(recipe).eval()
    randomise_norms(made.backbone)
    return made


def run(model) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, 96, 128, generator=generator)
    with torch.inference_mode():
        bank = model.encode(images[:2])
        (scored,) = model.detect(images[2:], [bank], options=CANDIDATES)
    return scored.boxes, scored.class_scores


@pytest.mark.parametrize(
    "name", ["synthvid-single", "synthvid-selsa", "synthvid-selsa-troi", "published"]
)
def test_float32_gives_the_same_boxes_and_the_original_stays(name):
    original = detector(name)
    state = {key: value.clone() for key, value in original.state_dict().items()}
    boxes, scores = run(original)
    fast = for_inference(original)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.backbone.modules())
    fast_boxes, fast_scores = run(fast)
    torch.testing.assert_close(fast_boxes, boxes, atol=1e-2, rtol=0)
    torch.testing.assert_close(fast_scores, scores, atol=1e-5, rtol=0)
    assert list(original.state_dict()) == list(state)
    for key, value in original.state_dict().items():
        assert torch.equal(value, state[key]), key
    torch.testing.assert_close(run(original)[1], scores, atol=1e-5, rtol=0)


def test_bf16_leaves_the_small_backbone_in_float32():
    fast = for_inference(detector("synthvid-selsa-troi"), precision="bf16")
    assert {p.dtype for p in fast.backbone.parameters()} == {torch.float32}
    assert isinstance(fast.box_head.layers[0], LowPrecision)


def test_bf16_computes_convolutions_in_it_and_returns_float32():
    original = detector("published")
    fast = for_inference(original, precision="bf16")
    with torch.inference_mode():
        images = torch.randn(1, 3, 96, 128)
        exact, rounded = (model.backbone(images)["conv5"] for model in (original, fast))
    low = {n for n, p in fast.backbone.named_parameters() if p.dtype == torch.bfloat16}
    parts = re.compile(r"(.*\.)?(layer3|layer4|reduction)\.")
    assert low == {n for n, _ in fast.backbone.named_parameters() if parts.match(n)} != set()
    assert isinstance(fast.box_head.layers[0], LowPrecision)
    assert {p.dtype for p in fast.rpn.parameters()} == {torch.float32}
    assert rounded.dtype == torch.float32
    error = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-5 < error < 0.02
    boxes, scores = run(fast)
    assert boxes.dtype == scores.dtype == torch.float32
    assert {p.dtype for p in original.parameters()} == {torch.float32}


def test_what_a_device_cannot_do_is_refused():
    with pytest.raises(TrovidError, match="fp16 needs a GPU"):
        for_inference(detector("synthvid-single"), precision="fp16")
    with pytest.raises(TrovidError, match="one of float32, bf16, fp16, but is 'int4'"):
        for_inference(detector("synthvid-single"), precision="int4")


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_folded_norms_change_nothing(name):
    torch.manual_seed(0)
    backbone = ResNetBackbone(name, levels=["conv4", "conv5"], reduction={"conv5": 16}).eval()
    randomise_norms(backbone)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = backbone(images)
        fold_batch_norm(backbone)
        after = backbone(images)
    for level, value in before.items():
        torch.testing.assert_close(after[level], value, atol=1e-4 * value.abs().max(), rtol=0)
