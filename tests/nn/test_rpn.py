"""The RPN's loss: which anchors take part in it."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_iou

from trovid.nn.rpn import Anchors, ProposalNetwork


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
    return rpn.anchors([torch.zeros(1, 8, height // 16, width // 16)], (height, width))


@pytest.mark.parametrize("border", [0, 10])
def test_anchors_across_the_edge_have_no_loss(border):
    """The published code's option: they are neither matched nor sampled."""
    rpn, free = network(border), network(None)
    anchors = anchors_of(rpn, 128, 160)
    size = (120, 150)
    target = {"boxes": torch.tensor([[-5.0, -5.0, 20.0, 22.0], [40.0, 30.0, 100.0, 95.0]])}
    labels, deltas = rpn.loss.wanted(anchors, size, target["boxes"])
    x1, y1, x2, y2 = anchors.unbind(1)
    inside = (x1 >= -border) & (y1 >= -border) & (x2 < 150 + border) & (y2 < 120 + border)
    assert 0 < int(inside.sum()) < len(anchors)
    assert (labels[~inside] == -1).all()
    usual, wanted = free.loss.wanted(anchors, size, target["boxes"])
    assert (usual[~inside] != -1).any()
    second = box_iou(anchors, target["boxes"]).argmax(1) == 1
    same = inside & second & (usual == 1)
    assert same.any()
    assert torch.equal(labels[same], usual[same])
    assert torch.equal(deltas[same], wanted[same])
    # the best of the anchors inside stands for the object at the corner
    overlaps = box_iou(target["boxes"][:1], anchors)[0] * inside
    assert labels[overlaps.argmax()] == 1


@pytest.mark.parametrize("lowest", [0.0, 0.3])
def test_an_objects_best_anchor_is_positive_from_a_bound_on(lowest):
    """One object that an anchor fits well, a small one that the best anchor overlaps by 0.1."""
    rpn = network(None, lowest_iou=lowest)
    anchors = anchors_of(rpn, 128, 160)
    small, fitting = torch.tensor([[70.0, 70.0, 80.0, 80.0]]), anchors[7:8] + 1.0
    overlaps = box_iou(torch.cat([small, fitting]), anchors)
    assert overlaps[0].max() < 0.3
    assert overlaps[1].max() > 0.7
    labels, _ = rpn.loss.wanted(anchors, (128, 160), torch.cat([small, fitting]))
    best = overlaps[0] == overlaps[0].max()
    assert (labels[best] == (0 if lowest else 1)).all()
    assert labels[overlaps[1].argmax()] == 1
    labels, _ = rpn.loss.wanted(anchors, (128, 160), small)
    assert int((labels == 1).sum()) == (0 if lowest else int(best.sum()))


def test_an_image_smaller_than_every_anchor_has_no_loss_and_a_finite_gradient():
    rpn = network(0).train()
    features = {"0": torch.randn(1, 8, 2, 2)}
    target = {"boxes": torch.tensor([[1.0, 1.0, 18.0, 18.0]])}
    _, losses = rpn(torch.zeros(1, 3, 32, 32), features, [(20, 20)], [target])
    assert {name: loss.item() for name, loss in losses.items()} == {
        "rpn_objectness": 0,
        "rpn_boxes": 0,
    }
    sum(losses.values()).backward()


def test_anchors_are_torchvisions():
    sizes, ratios = ((24, 48), (64, 96)), ((0.5, 1.0, 2.0),) * 2
    levels = [torch.zeros(1, 8, 12, 17), torch.zeros(1, 8, 6, 9)]
    images = ImageList(torch.zeros(1, 3, 99, 140), [(90, 140)])
    (theirs,) = AnchorGenerator(sizes, ratios)(images, levels)
    assert torch.equal(Anchors(sizes, ratios)(levels, (99, 140)), theirs)
    assert torch.equal(Anchors(sizes, ratios[0])(levels, (99, 140)), theirs)
    exact = Anchors(sizes, ratios, rounded=False)(levels, (99, 140))
    assert 0 < (exact - theirs).abs().max() <= 0.5


def test_the_losses_are_torchvisions():
    """The same samples, drawn by the same numbers."""
    rpn = network(None, samples=60).train()
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 8, 8, 10, generator=generator)
    corners = torch.rand(2, 4, 2, generator=generator) * 80
    targets = [{"boxes": torch.cat([c, c + 40], 1)} for c in corners]
    targets.append({"boxes": torch.empty(0, 4)})
    features = torch.cat([features, features[:1]])
    sizes = [(128, 160)] * 3
    theirs = RegionProposalNetwork(
        AnchorGenerator(((32, 64),), ((0.5, 1.0, 2.0),)),
        rpn.head,
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=60,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 100, "testing": 100},
        post_nms_top_n={"training": 50, "testing": 50},
        nms_thresh=0.7,
    ).train()
    images = torch.zeros(3, 3, 128, 160)
    torch.manual_seed(2)
    boxes, wanted = theirs(ImageList(images, sizes), {"0": features}, targets)
    torch.manual_seed(2)
    found, losses = rpn(images, {"0": features}, sizes, targets)
    for proposals, other in zip(found, boxes, strict=True):
        assert torch.equal(proposals, other)
    torch.testing.assert_close(losses["rpn_objectness"], wanted["loss_objectness"])
    torch.testing.assert_close(losses["rpn_boxes"], wanted["loss_rpn_box_reg"])


def test_a_proposals_lowest_score_counts_at_test_alone():
    torch.manual_seed(0)
    boxes = torch.rand(1, 60, 2) * 100
    boxes = torch.cat([boxes, boxes + 10 + 20 * torch.rand(1, 60, 2)], 2)
    scores = torch.linspace(-3, 3, 60)[None]
    rpn = network(None, lowest_score=0.5)
    found = {}
    for training in (True, False):
        (found[training],) = rpn.train(training).filter_proposals(boxes, scores, [(150, 150)], [60])
    assert 0 < len(found[False]) < len(found[True])
    assert torch.equal(found[True][: len(found[False])], found[False])
    rpn.lowest_score = 0.0
    (every,) = rpn.filter_proposals(boxes, scores, [(150, 150)], [60])
    assert torch.equal(every, found[True])
