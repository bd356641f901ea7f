"""Convolutions that bound their own result give what the plain ones give."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from trovid.backbones import EfficientNetLiteBackbone
from trovid.backbones.fused_convolution import FusedConvolution
from trovid.nn import onednn
from trovid.nn.inference_form import InferenceForm

pytestmark = pytest.mark.skipif(not onednn.available(), reason="this torch is without oneDNN")


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    plain = EfficientNetLiteBackbone(pyramid=8).eval()
    for norm in plain.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 1.0, 3.0)  # so that ReLU6 has something to bound
            torch.nn.init.uniform_(norm.bias, -1.0, 1.0)
    fused = copy.deepcopy(plain).inference_form(InferenceForm(onednn=True))
    return plain, fused


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_level_is_the_same_for_every_size(networks, layout):
    plain, fused = networks
    whole = sum(isinstance(module, torch.nn.Conv2d) for module in plain.modules())
    assert sum(isinstance(module, FusedConvolution) for module in fused.modules()) == whole
    for size in ((2, 3, 64, 96), (1, 3, 75, 64), (2, 3, 64, 96)):
        images = torch.randn(size).contiguous(memory_format=layout)
        with torch.inference_mode():
            wanted, found = plain(images), fused(images)
        for level, value in wanted.items():
            bound = 1e-5 * value.abs().max().item()
            torch.testing.assert_close(found[level], value, atol=bound, rtol=1e-5)


def test_one_that_was_used_is_copied_and_pickled(networks):
    _, fused = networks
    images = torch.randn(1, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        wanted = fused(images)["p3"]
        for other in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
            assert torch.equal(other(images)["p3"], wanted)
