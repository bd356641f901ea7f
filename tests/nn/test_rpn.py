"""The RPN's loss: which anchors take part in it."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from trovid.nn.rpn import ProposalNetwork


def network(allowed_border: int | None, **options) -> ProposalNetwork:
    torch.manual_seed(0)
    return ProposalNetwork(
        in_channels=8,
        anchor_sizes=[[32, 64]],
        aspect_ratios=[0.5, 1.0, 2.0],
        pre_nms=(100, 100),
        post_nms=(50, 50),
        allowed_border=allowed_border,
        **options,
    )


def anchors_of(rpn: ProposalNetwork, height: int, width: int) -> torch.Tensor:
    images = torch.zeros(1, 3, height, width)
    levels = [torch.zeros(1, 8, height // 16, width // 16)]
    return rpn.anchor_generator(ImageList(images, [(height, width)]), levels)[0]


@pytest.mark.parametrize("border", [0, 10])
def test_anchors_across_the_edge_have_no_loss(border):
    """The published code's option: they are neither matched nor sampled."""
    rpn, free = network(border), network(None)
    anchors = anchors_of(rpn, 128, 160)
    size = (120, 150)
    target = {"boxes": torch.tensor([[-5.0, -5.0, 20.0, 22.0], [40.0, 30.0, 100.0, 95.0]])}
    labels, deltas = rpn.wanted([anchors], [size], [target])
    x1, y1, x2, y2 = anchors.unbind(1)
    inside = (x1 >= -border) & (y1 >= -border) & (x2 < 150 + border) & (y2 < 120 + border)
    assert 0 < int(inside.sum()) < len(anchors)
    assert (labels[0][~inside] == -1).all()
    usual, wanted = free.wanted([anchors], [size], [target])
    assert (usual[0][~inside] != -1).any()
    second = box_iou(anchors, target["boxes"]).argmax(1) == 1
    same = inside & second & (usual[0] == 1)
    assert same.any()
    assert torch.equal(labels[0][same], usual[0][same])
    assert torch.equal(deltas[0][same], wanted[0][same])
    # the best of the anchors inside stands for the object at the corner
    overlaps = box_iou(target["boxes"][:1], anchors)[0] * inside
    assert labels[0][overlaps.argmax()] == 1


@pytest.mark.parametrize("lowest", [0.0, 0.3])
def test_an_objects_best_anchor_is_positive_from_a_bound_on(lowest):
    """One object that an anchor fits well, a small one that the best anchor overlaps by 0.1."""
    rpn = network(None, lowest_iou=lowest)
    anchors = anchors_of(rpn, 128, 160)
    small, fitting = torch.tensor([[70.0, 70.0, 80.0, 80.0]]), anchors[7:8] + 1.0
    overlaps = box_iou(torch.cat([small, fitting]), anchors)
    assert overlaps[0].max() < 0.3
    assert overlaps[1].max() > 0.7
    (labels,), _ = rpn.wanted([anchors], [(128, 160)], [{"boxes": torch.cat([small, fitting])}])
    best = overlaps[0] == overlaps[0].max()
    assert (labels[best] == (0 if lowest else 1)).all()
    assert labels[overlaps[1].argmax()] == 1
    (labels,), _ = rpn.wanted([anchors], [(128, 160)], [{"boxes": small}])
    assert int((labels == 1).sum()) == (0 if lowest else int(best.sum()))


def test_an_image_smaller_than_every_anchor_has_no_loss_and_a_finite_gradient():
    rpn = network(0).train()
    images = ImageList(torch.zeros(1, 3, 32, 32), [(20, 20)])
    features = {"0": torch.randn(1, 8, 2, 2)}
    target = {"boxes": torch.tensor([[1.0, 1.0, 18.0, 18.0]])}
    _, losses = rpn(images, features, [target])
    assert {name: loss.item() for name, loss in losses.items()} == {
        "rpn_objectness": 0,
        "rpn_boxes": 0,
    }
    sum(losses.values()).backward()
