"""What oneDNN computes is what torch computes."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from trovid.nn import onednn, selsa
from trovid.nn.inference_form import InferenceForm

WITHOUT = pytest.mark.skipif(not onednn.available(), reason="torch is without oneDNN here")


def test_this_torch_has_what_the_fast_forms_call():
    """Where a torch with oneDNN lacks it, plain ways serve: this says that they do."""
    assert onednn.available() == torch.backends.mkldnn.is_available()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 37])
@WITHOUT
def test_linear(rows, bias):
    torch.manual_seed(0)
    layer = selsa.Linear(6 * 7 * 7, 50, bias=bias)
    x = torch.randn(rows, 7, 7, 6).permute(0, 3, 1, 2)
    with torch.inference_mode():
        wanted = layer(x)
        found = layer.inference_form(InferenceForm(onednn=True))(x)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
        low = layer.bfloat16()(x.bfloat16())
    assert low.dtype == torch.bfloat16


@pytest.mark.parametrize("scores", [selsa.SCORES, 100])
@pytest.mark.parametrize("support", [1, 90])
@WITHOUT
def test_attention(scores, support):
    torch.manual_seed(0)
    queries = 3 * torch.randn(41, 2, 24)[:, 0]
    keys, values = 3 * torch.randn(support, 24), torch.randn(support, 24)
    with torch.inference_mode():
        found = selsa.attend_by_onednn(queries, keys, values, 3, scores_at_once=scores)
        wanted = selsa.attend(queries, keys, values, 3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("computes", [True, False])
def test_whether_bfloat16_is_fused_the_processor_says(monkeypatch, computes):
    monkeypatch.setattr(onednn, "computes_bfloat16", lambda: computes)
    maps = torch.zeros(1, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    assert onednn.fuses(maps)
    assert onednn.fuses(maps.bfloat16()) == computes
    assert not onednn.fuses(maps.contiguous().bfloat16())


@pytest.mark.parametrize("slow", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("computes", [True, False])
def test_bfloat16_gains_where_it_is_computed_and_faster(monkeypatch, computes, slow):
    def conv2d(maps, weight):
        time.sleep(0.02 * (maps.dtype == slow))

    monkeypatch.setattr(onednn, "computes_bfloat16", lambda: computes)
    monkeypatch.setattr(onednn, "functional", SimpleNamespace(conv2d=conv2d))
    gains = onednn.gains_from_bfloat16.__wrapped__()
    assert gains == (computes and slow == torch.float32)
