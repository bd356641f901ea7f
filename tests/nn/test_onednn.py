"""What oneDNN computes is what torch computes."""

from __future__ import annotations

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
