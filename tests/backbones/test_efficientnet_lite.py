"""EfficientNet-Lite: timm's networks, their sizes, what is trained, the published file's names."""

from __future__ import annotations

import pytest
import torch

from trovid.backbones import EfficientNetLiteBackbone
from trovid.backbones.efficientnet_lite import InvertedResidual, margins_of, stages_of
from trovid.detectors.building import build_backbone
from trovid.nn.inference_form import InferenceForm
from trovid.recipes import EfficientNetLiteBackboneRecipe


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return EfficientNetLiteBackbone(pyramid=8).eval()


@pytest.mark.parametrize("size", range(5))
def test_it_is_timms_network(size):
    timm = pytest.importorskip("timm")
    torch.manual_seed(4)
    network = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False).eval()
    levels = ("conv2", "conv3", "conv4", "conv5")
    backbone = EfficientNetLiteBackbone(size=size, levels=levels, pyramid=8).eval()
    state = {backbone.network_key(name): v for name, v in network.state_dict().items()}
    missing, _ = backbone.load_state_dict(state, strict=False)
    assert all(name.startswith("pyramid.") for name in missing)
    stages = {}
    backbone.pyramid.register_forward_pre_hook(lambda _, inputs: stages.update(inputs[0]))
    x = torch.randn(2, 3, 96, 70, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        backbone(x)
        expected = network.forward_intermediates(x, intermediates_only=True)[1:]
    for name, their in zip(levels, expected, strict=True):
        torch.testing.assert_close(stages[name], their, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [64, 75, 96])
def test_levels_are_rounded_up(backbone, side):
    with torch.no_grad():
        levels = backbone(torch.zeros(1, 3, side, 64))
    assert list(levels) == list(backbone.level_channels) == ["p3", "p4", "p5", "p6"]
    assert [level.shape[2] for level in levels.values()][:3] == [
        -(-side // stride) for stride in (8, 16, 32)
    ]


def test_padding_lies_below_and_right():
    ones = torch.ones(1, 1, 4, 5)
    padded = torch.nn.functional.pad(ones, margins_of(ones, 3, 2))
    assert padded[0, 0].tolist() == [
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(("frozen", "first"), [(0, "stem"), (1, "blocks.0"), (2, "blocks.3")])
def test_frozen_stages_end_where_they_are_said_to(frozen, first):
    backbone = EfficientNetLiteBackbone(pyramid=8, frozen_stages=frozen).train()
    trained = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    assert trained[0].startswith(f"{first}.")
    before = {k: v.clone() for k, v in backbone.state_dict().items() if "running" in k}
    backbone(torch.rand(2, 3, 64, 64))
    assert all(
        torch.equal(backbone.state_dict()[name], statistic) for name, statistic in before.items()
    )


def test_names_of_the_published_file(backbone):
    names = set(backbone.network_state())
    for published, name in {
        "_conv_stem.weight": "stem.0.weight",
        "_bn0.running_var": "stem.1.running_var",
        "_blocks.0._depthwise_conv.weight": "blocks.0.depthwise.0.weight",
        "_blocks.1._bn0.bias": "blocks.1.expand.1.bias",
        "_blocks.15._bn2.weight": "blocks.15.project.1.weight",
    }.items():
        assert backbone.network_key(published) == name
        assert name in names
    assert backbone.network_key("_conv_head.weight") not in names


def test_folded_batch_norm_computes_the_same():
    torch.manual_seed(2)
    backbone = EfficientNetLiteBackbone(pyramid=8)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    backbone.eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = backbone(x)
        found = backbone.inference_form(InferenceForm())(x)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 6)])
def test_padding_before_the_channels_are_many_computes_the_same(kernel, size):
    torch.manual_seed(3)
    block = InvertedResidual(4, 6, kernel=kernel, stride=2, expansion=6).eval()
    torch.nn.init.uniform_(block.expand[1].bias, 0.5, 1)
    x = torch.randn(2, 4, *size)
    with torch.no_grad():
        expected = block(x)
        block.pads_first = True
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)


def test_unknown_levels_are_refused():
    with pytest.raises(ValueError, match="conv6"):
        EfficientNetLiteBackbone(levels=("conv5", "conv6"))


def test_unknown_sizes_are_refused():
    with pytest.raises(ValueError, match="0 to 4"):
        EfficientNetLiteBackbone(size=5)


def test_a_recipe_names_the_size():
    recipe = EfficientNetLiteBackboneRecipe(
        name="efficientnet_lite2", levels=("conv4",), pyramid=8, frozen_stages=0
    )
    assert build_backbone(recipe).stages == stages_of(2)
