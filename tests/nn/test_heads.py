"""Feature pyramid, mask head and track head: shapes, values, losses."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from trovid.nn.fpn import FeaturePyramid
from trovid.nn.mask_head import MaskHead, mask_loss, mask_targets
from trovid.nn.track_head import TrackHead, match_logits, track_loss


def test_a_pyramid_adds_what_is_coarser():
    torch.manual_seed(0)
    pyramid = FeaturePyramid({"conv4": 3, "conv5": 5}, 2)
    stages = {"conv4": torch.rand(1, 3, 7, 9), "conv5": torch.rand(1, 5, 4, 5)}
    levels = pyramid(stages)
    assert pyramid.level_channels == {"p4": 2, "p5": 2, "p6": 2}
    fine, coarse = pyramid.network.inner_blocks
    top = coarse(stages["conv5"])
    up = torch.nn.functional.interpolate(top, size=(7, 9), mode="nearest")
    wanted = pyramid.network.layer_blocks[0](fine(stages["conv4"]) + up)
    torch.testing.assert_close(levels["p4"], wanted)
    assert levels["p6"].equal(levels["p5"][..., ::2, ::2])


def test_stages_of_a_pyramid_follow_each_other():
    with pytest.raises(ValueError, match="must name stages that follow each other"):
        FeaturePyramid({"conv3": 3, "conv5": 5}, 2)


def test_the_mask_head_is_torchvisions():
    torch.manual_seed(0)
    head = MaskHead(6, channels=4, convolutions=2, num_classes=3)
    layers, predictor = MaskRCNNHeads(6, (4, 4), 1), MaskRCNNPredictor(4, 4, 3)
    for layer, theirs in zip(head.layers, layers, strict=True):
        theirs[0].load_state_dict(layer.state_dict())
    predictor.conv5_mask.load_state_dict(head.upsample.state_dict())
    predictor.mask_fcn_logits.load_state_dict(head.mask_logits.state_dict())
    rois = torch.rand(5, 6, 14, 14)
    torch.testing.assert_close(head(rois), predictor(layers(rois)))
    assert head(rois[:0]).shape == (0, 3, 28, 28)


def squares() -> tuple[torch.Tensor, torch.Tensor]:
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[0, 4:20, 8:24] = True
    masks[1, 10:30, 30:50] = True
    boxes = torch.tensor([[8.0, 4, 24, 20], [30, 10, 50, 30], [30, 0, 50, 20]])
    return masks, boxes


def test_the_mask_loss_is_that_of_the_objects_own_part_and_class():
    masks, boxes = squares()
    objects, labels = torch.tensor([0, 1, 1]), torch.tensor([2, 0, 1])
    wanted = mask_targets(masks, objects, boxes, 8)
    assert wanted[:2].min() == 1  # the box is the object
    assert wanted[2, :4].max() == 0  # its upper half lies above it
    assert wanted[2, 4:].min() == 1
    logits = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    chosen = torch.stack([logits[0, 2], logits[1, 0], logits[2, 1]]).sigmoid()
    by_hand = -(wanted * chosen.log() + (1 - wanted) * (1 - chosen).log()).mean()
    torch.testing.assert_close(mask_loss(logits, labels, wanted), by_hand)
    one = logits[:, :1]
    torch.testing.assert_close(mask_loss(one, labels, wanted), mask_loss(one, 0 * labels, wanted))


def test_losses_of_nothing_are_zero_and_have_a_gradient():
    masks, boxes = squares()
    logits = torch.zeros(0, 4, 8, 8, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long)
    loss = mask_loss(logits, none, mask_targets(masks, none, boxes[:0], 8))
    loss.backward()
    assert loss == 0
    embeddings = torch.zeros(0, 4, requires_grad=True)
    loss = track_loss([match_logits(embeddings, torch.rand(3, 4))], [none])
    loss.backward()
    assert loss == 0


def test_the_track_loss_prefers_the_same_object():
    head = TrackHead(2 * 9, hidden=(8, 4))
    assert (head(torch.rand(5, 2, 3, 3)) >= 0).all()
    memory = 3 * torch.eye(3, 4)
    logits = match_logits(memory[[1, 0]], memory)
    assert logits.tolist() == [[0, 0, 9, 0], [0, 9, 0, 0]]
    right, wrong = torch.tensor([2, 1]), torch.tensor([1, 1])
    assert track_loss([logits], [right]) < 0.01 < track_loss([logits], [wrong])
    # a sum over the RoIs, divided by the number of those with a match
    unmatched = torch.zeros(4, dtype=torch.long)
    apart = match_logits(torch.zeros(4, 4), memory)
    both = track_loss([logits, apart], [right, unmatched])
    alone = 4 * torch.log(torch.tensor(4.0)) / 2
    torch.testing.assert_close(both, track_loss([logits], [right]) + alone)
