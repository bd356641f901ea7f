"""Box coding and suppression against torchvision's own."""

from __future__ import annotations

import pytest
import torch

from trovid.nn.box_head import BoxCoder

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 300
    return torch.cat([corners, corners + 1 + 200 * torch.rand(count, 2, generator=generator)], 1)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_it_codes_as_torchvision_does(count, classes, weights):
    utils = pytest.importorskip("torchvision.models.detection._utils")
    if not hasattr(utils, "BoxCoder"):
        pytest.skip("this torchvision has no BoxCoder to compare with")
    theirs, ours = utils.BoxCoder(weights), BoxCoder(weights)
    targets, anchors = boxes(count, 0), boxes(count, 1)
    deltas = ours.encode(targets, anchors)
    assert torch.equal(deltas, theirs.encode_single(targets, anchors))
    generator = torch.Generator().manual_seed(2)
    deltas = 9 * torch.randn(count, 4 * classes, generator=generator)
    decoded = ours.decode(deltas, anchors)
    assert decoded.shape == (count, classes, 4)
    assert torch.equal(decoded.flatten(1), theirs.decode_single(deltas, anchors))
    assert decoded.isfinite().all()


def test_decoding_undoes_coding():
    targets, anchors = boxes(40, 0), boxes(40, 1)
    coder = BoxCoder(WEIGHTS)
    again = coder.decode(coder.encode(targets, anchors), anchors)[:, 0]
    torch.testing.assert_close(again, targets, atol=1e-3, rtol=0)
