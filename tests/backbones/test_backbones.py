"""Backbones at full width: levels, strides, what is trained, torchvision's and timm's parts."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from trovid.backbones import ResNetBackbone, TimmBackbone
from trovid.backbones.reduction import Reduction
from trovid.errors import TrovidError


def resnet(name: str = "resnet18", **options) -> ResNetBackbone:
    torch.manual_seed(0)
    return ResNetBackbone(
        name, **{"levels": ["conv4", "conv5"], "reduction": {"conv5": 32}, **options}
    )


def images(height: int = 96, width: int = 128) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "conv4"), [("resnet18", 256), ("resnet50", 1024), ("resnext101_64x4d", 1024)]
)
def test_conv5_has_the_stride_of_conv4(name, conv4):
    backbone = resnet(name).eval()
    with torch.no_grad():
        levels = backbone(images())
    assert {name: tuple(level.shape) for name, level in levels.items()} == {
        "conv4": (1, conv4, 6, 8),
        "conv5": (1, 32, 6, 8),
    }
    assert backbone.level_channels == {"conv4": conv4, "conv5": 32}
    dilated = {m.dilation for m in backbone.layer4.modules() if isinstance(m, nn.Conv2d)}
    assert dilated == {(1, 1), (2, 2)}
    assert all(m.stride == (1, 1) for m in backbone.layer4.modules() if isinstance(m, nn.Conv2d))


def test_without_dilation_it_is_torchvisions_network():
    network = torchvision.models.resnet50(weights=None).eval()
    backbone = resnet("resnet50", levels=["conv5"], reduction={}, dilated=False).eval()
    missing = backbone.load_state_dict(network.state_dict(), strict=False)
    assert missing.missing_keys == []
    assert missing.unexpected_keys == ["fc.weight", "fc.bias"]
    with torch.no_grad():
        pooled = backbone(images())["conv5"].mean((2, 3))
        torch.testing.assert_close(network.fc(pooled), network(images()))


def test_frozen_stages_and_norms_stay_as_they_are():
    backbone = resnet(frozen_stages=2, trained_norm=False).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=1.0)
    sum(level.square().mean() for level in backbone(images()).values()).backward()
    optimizer.step()
    for name, value in backbone.state_dict().items():
        trained = name.startswith(("layer2", "layer3", "layer4", "reduction"))
        trained &= not any(norm in name for norm in ("bn", "downsample.1"))
        assert torch.equal(value, before[name]) != trained, name


def test_trained_norms_change_but_their_statistics_do_not():
    backbone = resnet(frozen_stages=1, trained_norm=True).train()
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert "layer1.0.bn1.weight" in trained
    assert "bn1.weight" not in trained
    mean = backbone.layer4[0].bn1.running_mean.clone()
    backbone(images())
    assert torch.equal(backbone.layer4[0].bn1.running_mean, mean)


def test_unknown_levels_are_named():
    with pytest.raises(ValueError, match=r"`levels` must be of .*conv5.*, but has \['conv6'\]"):
        resnet(levels=["conv6"], reduction={})
    with pytest.raises(ValueError, match=r"`reduction` must name levels of \['a'\]"):
        Reduction({"a": 4}, {"b": 2})


@pytest.mark.parametrize(
    ("model", "levels", "output_stride", "shapes"),
    [
        ("resnet18d", ["layer3", "layer4"], 16, [(1, 256, 6, 8), (1, 24, 6, 8)]),
        ("mobilenetv3_small_050", ["blocks.3"], None, [(1, 24, 6, 8)]),
        ("convnext_atto", ["stages.1", "stages.2"], None, [(1, 80, 12, 16), (1, 24, 6, 8)]),
    ],
)
def test_networks_of_timm_by_name(model, levels, output_stride, shapes):
    pytest.importorskip("timm", reason="the optional package timm is not installed")
    backbone = TimmBackbone(
        model, levels=levels, reduction={levels[-1]: 24}, output_stride=output_stride
    ).train()
    assert not any(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    maps = backbone(images())
    assert [tuple(level.shape) for level in maps.values()] == shapes
    assert list(maps) == levels
    assert list(backbone.level_channels.values()) == [shape[1] for shape in shapes]


def test_what_timm_does_not_have_is_named():
    pytest.importorskip("timm", reason="the optional package timm is not installed")
    with pytest.raises(TrovidError, match="timm cannot make 'resnet1848'"):
        TimmBackbone("resnet1848", levels=["layer4"], reduction={})
    with pytest.raises(TrovidError, match=r"resnet18 has no level 'conv5'; there are: .*layer4"):
        TimmBackbone("resnet18", levels=["conv5"], reduction={})
