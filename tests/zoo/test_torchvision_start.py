"""Mask R-CNN as torchvision publishes it, as the start of MaskTrack R-CNN."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn

from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import load_recipe
from trovid.training.start import check_names, initial_detector
from trovid.zoo.published import convert_file
from trovid.zoo.torchvision_start import in_own_names
from trovid.zoo.weights import ModelCard

COCO, MASKTRACK = load_recipe("coco-mask-r50-fpn"), "mmtracking/masktrack-r50-ytvis19"
PERSON = COCO.model.classes.index("person")


@pytest.fixture
def published(tmp_path):
    """torchvision's Mask R-CNN with statistics that make eps felt, and its weights converted."""
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # as with the published weights
            with torch.no_grad():
                module.running_var.uniform_(1e-5, 1e-3)
                module.weight.mul_(0.01)
    torch.save(network.state_dict(), tmp_path / "made.pth")
    return network, convert_file(tmp_path / "made.pth", COCO.name, tmp_path / "w.safetensors")


@torch.no_grad()
def test_masktrack_begins_with_mask_rcnn(published):
    network, file = published
    said: list[str] = []
    recipe = load_recipe(MASKTRACK)
    detector = initial_detector(recipe, seed=1, start=file, say=said.append).eval()
    image = torch.randn(1, 3, 64, 96)
    maps, found = network.backbone(image), detector.backbone(image)
    assert list(found) == ["p2", "p3", "p4", "p5", "p6"]
    for theirs, own in zip(maps.values(), found.values(), strict=True):
        assert theirs.std() > 1e-3
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))
    levels = [torch.randn(1, 256, 4, 6)]
    for theirs, own in zip(network.rpn.head(levels), detector.rpn.head(levels), strict=True):
        torch.testing.assert_close(own, theirs)
    heads, rois = network.roi_heads, torch.randn(2, 256, 14, 14)
    hidden, logits, _ = detector.box_head(rois[..., :7, :7], [2])
    features = heads.box_head(rois[..., :7, :7])
    torch.testing.assert_close(hidden, features)
    person = recipe.model.classes.index("person")
    theirs = heads.box_predictor.cls_score(features)[:, [1 + PERSON, 0]]
    torch.testing.assert_close(logits[:, [person, -1]], theirs)
    masks = heads.mask_predictor(heads.mask_head(rois))[:, 1 + PERSON]
    torch.testing.assert_close(detector.mask_head(rois)[:, person], masks)
    assert len(said) == 1
    assert said[0].startswith("begins with w.safetensors: ")
    assert "at random: track_head.layers and the rows of giant_panda, lizard, parrot" in said[0]
    alone = initial_detector(recipe, seed=1, start=None).track_head.state_dict()
    assert all(alone[k].equal(v) for k, v in detector.track_head.state_dict().items())


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        (MASKTRACK, True),
        ("paper/masktrack-selsa-troi-r50-ytvis19", True),
        ("mmtracking/masktrack-r101-ytvis19", False),
        ("mmtracking/masktrack-x101-ytvis19", False),
        ("paper/selsa-troi-r50", False),
    ],
)
def test_published_weights_fit_the_same_network_alone(name, fits):
    recipe = load_recipe(name)
    if fits:
        check_names(recipe, start=COCO.name, backbone=None)
    else:
        with pytest.raises(TrovidError, match="another architecture"):
            check_names(recipe, start=COCO.name, backbone=None)


def test_an_embedding_is_taken_over_where_it_was_trained():
    recipe = load_recipe("paper/masktrack-troi-r50-ytvis19")
    with torch.device("meta"):
        tensors, state = (build_detector(r).state_dict() for r in (COCO, recipe))
    key = "roi_features.extractor.embedding.weight"
    published = ModelCard(COCO, {"temporal_trained": False})
    assert key not in in_own_names(tensors, published, recipe, state)
    assert in_own_names(tensors, ModelCard(COCO, {}), recipe, state)[key] is tensors[key]
