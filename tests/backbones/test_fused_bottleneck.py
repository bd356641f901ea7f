"""Bottlenecks that add in place give what torchvision's give, and every level stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torchvision.models.resnet import Bottleneck

from trovid.backbones import ResNetBackbone
from trovid.backbones.fused_bottleneck import FusedBottleneck, fuse_residuals
from trovid.nn import onednn
from trovid.nn.batch_norm import fold_batch_norm

LEVELS = ["conv2", "conv3", "conv4", "conv5"]

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch is without oneDNN here"
)


def backbones(name: str) -> tuple[ResNetBackbone, ResNetBackbone]:
    torch.manual_seed(0)
    plain = ResNetBackbone(name, levels=LEVELS, reduction={"conv5": 16}).eval()
    fold_batch_norm(plain)
    fused = copy.deepcopy(plain)
    fuse_residuals(fused)
    return plain, fused


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_level_is_the_same(dtype, layout):
    plain, fused = (network.to(dtype, memory_format=layout) for network in backbones("resnet50"))
    assert sum(isinstance(m, FusedBottleneck) for m in fused.modules()) == 16
    images = torch.randn(2, 3, 64, 96).to(dtype).contiguous(memory_format=layout)
    before = images.clone()
    with torch.inference_mode():
        wanted, found = plain(images), fused(images)
    assert torch.equal(images, before)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    for level, value in wanted.items():
        assert found[level].dtype == dtype
        bound = tolerance * value.abs().max().item()
        torch.testing.assert_close(found[level], value, atol=bound, rtol=0)


def test_networks_of_other_blocks_stay_as_they_are():
    _, fused = backbones("resnet18")
    assert not any(isinstance(m, FusedBottleneck) for m in fused.modules())


def test_batch_norm_that_is_not_folded_stays():
    network = ResNetBackbone("resnet50", levels=LEVELS, reduction={"conv5": 16}).eval()
    fuse_residuals(network)
    assert not any(isinstance(m, FusedBottleneck) for m in network.modules())


@pytest.mark.parametrize("computes", [True, False])
def test_bfloat16_is_fused_where_the_processor_computes_it(monkeypatch, computes):
    """Elsewhere the block computes as torchvision's does."""
    called = []

    class Noting:
        @staticmethod
        def binary(shortcut, *_):
            called.append(shortcut)
            return shortcut

    monkeypatch.setattr(onednn, "computes_bfloat16", lambda: computes)
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise_", Noting)
    network = torch.nn.Sequential(Bottleneck(16, 4)).eval()
    fold_batch_norm(network)
    fused = copy.deepcopy(network)
    fuse_residuals(fused)
    x = torch.randn(1, 16, 5, 6).bfloat16().contiguous(memory_format=torch.channels_last)
    layout = {"dtype": torch.bfloat16, "memory_format": torch.channels_last}
    with torch.inference_mode():
        wanted, found = network.to(**layout)(x), fused.to(**layout)(x.clone())
    assert len(called) == computes
    if not computes:
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0.02)
