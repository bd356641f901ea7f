"""MaskTrack R-CNN on a pyramid: levels, support frames, masks of a frame, what is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from trovid.detectors.building import build_detector
from trovid.detectors.masktrack.instances import Instances, pasted
from trovid.nn import LevelPooler, RoIAlign
from trovid.recipes import Recipe, load_recipe
from trovid.structures import Detections, DetectOptions

OPTIONS = DetectOptions(score=0.0, nms=0.5, max_detections=5, support="uniform:2")
OPTIONS = replace(OPTIONS, target_among_support=False)


def small(name: str, **roi) -> Recipe:
    """The recipe with a ResNet-18, narrow heads and three classes."""
    recipe = load_recipe(name)
    model = recipe.model
    head = model.box_head
    temporal = model.roi.temporal and replace(model.roi.temporal, num_heads=2)
    model = replace(
        model,
        classes=("a", "b", "c"),
        backbone=replace(model.backbone, name="resnet18", pyramid=8),
        rpn=replace(model.rpn, post_nms=(20, 20)),
        roi=replace(model.roi, temporal=temporal, **roi),
        box_head=replace(head, hidden=(16, 16), selsa_heads=2 if head.selsa_heads else 0),
        mask_head=replace(model.mask_head, channels=4, convolutions=1),
        track_head=replace(model.track_head, hidden=(8,)),
    )
    return replace(recipe, model=model)


def built(recipe: Recipe):
    torch.manual_seed(0)
    detector = build_detector(recipe).eval()
    torch.nn.init.normal_(detector.box_head.class_logits.weight, std=3)
    return detector


def test_boxes_go_to_the_levels_that_torchvision_takes():
    levels = {f"p{k}": torch.randn(1, 3, 512 >> k, 640 >> k) for k in (2, 3, 4, 5)}
    sides = torch.tensor([20, 60, 111, 112, 150, 223, 224.0, 300, 447, 448, 500])
    corners = torch.linspace(0, 100, len(sides))[:, None].repeat(1, 2)
    boxes = [torch.cat([corners, corners + sides[:, None]], 1)]
    pooler = LevelPooler(RoIAlign(7, sampling_ratio=2), list(levels))
    theirs = MultiScaleRoIAlign(list(levels), 7, 2)
    found = pooler(levels, boxes, [(512, 640)])
    torch.testing.assert_close(found, theirs(levels, boxes, [(512, 640)]), atol=1e-5, rtol=1e-4)
    (chosen,) = pooler.levels(boxes, pooler.scales(levels, [(512, 640)]))
    assert {*chosen.tolist()} == {0, 1, 2, 3}


@pytest.mark.parametrize("searched", ["own", "last"])
@pytest.mark.parametrize("method", ["troi", "selsa-troi"])
def test_support_frames_on_a_pyramid(method, searched):
    detector = built(small(f"paper/masktrack-{method}-r50-ytvis19", searched=searched))
    images = torch.randn(3, 3, 128, 160)
    wanted = replace(OPTIONS, masks=True, track="embedding")
    with torch.inference_mode():
        support = detector.encode(images[1:])
        assert {*support.maps} == ({"p2", "p3", "p4", "p5"} if searched == "own" else {"p5"})
        (alone,) = detector.detect(images[:1], options=wanted)
        (helped,) = detector.detect(images[:1], [support], options=wanted)
    assert len(alone) == len(helped) == 5
    assert not alone.detections.scores.equal(helped.detections.scores)
    found = helped.scaled((64, 80))
    assert found.masks.size == (64, 80)
    assert found.embeddings.shape == (5, 8)


@pytest.mark.parametrize("part", ["mask_head", "track_head"])
def test_other_branches_may_search_support_frames(part):
    recipe = small("paper/masktrack-troi-r50-ytvis19")
    temporal = replace(getattr(recipe.model, part), temporal=True)
    detector = built(replace(recipe, model=replace(recipe.model, **{part: temporal})))
    plain = built(recipe)
    plain.load_state_dict(detector.state_dict(), strict=False)
    images = torch.randn(3, 3, 128, 160)
    wanted = replace(OPTIONS, masks=True, track="embedding")
    found = []
    with torch.inference_mode():
        for variant in (plain, detector):
            (instances,) = variant.detect(images[:1], [variant.encode(images[1:])], options=wanted)
            found.append(instances)
    assert found[0].detections.boxes.equal(found[1].detections.boxes)
    same_masks = found[0].probabilities.equal(found[1].probabilities)
    same_tracks = found[0].detections.embeddings.equal(found[1].detections.embeddings)
    assert (same_masks, same_tracks) == (part != "mask_head", part != "track_head")


def test_only_what_is_asked_for_is_computed():
    detector = built(small("mmtracking/masktrack-r50-ytvis19"))
    assert (detector.segments, detector.embeds, detector.uses_support) == (True, True, False)
    images = torch.randn(1, 3, 128, 160)
    with torch.inference_mode():
        (found,) = detector.detect(images, options=OPTIONS)
        (tracked,) = detector.detect(images, options=replace(OPTIONS, track="embedding"))
        (masked,) = detector.detect(images, options=replace(OPTIONS, masks=True))
        (nothing,) = detector.detect(images, options=replace(OPTIONS, masks=True, score=1.0))
    assert isinstance(found, Detections)
    assert found.embeddings is None
    assert tracked.embeddings is not None
    assert isinstance(masked, Instances)
    assert len(nothing.scaled((128, 160)).masks) == 0


def test_masks_keep_to_the_frame_and_follow_its_size():
    boxes = torch.tensor([[-4.0, -4.0, 4.0, 4.0], [6.0, 2.0, 14.0, 12.0], [3.0, 3.0, 3.0, 3.0]])
    masks = pasted(torch.ones(3, 4, 4), boxes, (8, 10))
    assert masks.boxes.tolist() == [[0, 0, 4, 4], [6, 2, 10, 8], [0, 0, 0, 0]]
    assert masks.areas.tolist() == [16, 24, 0]
    half = torch.zeros(1, 2, 2)
    half[0, :, 0] = 1.0
    left = pasted(half, torch.tensor([[0.0, 0.0, 8.0, 8.0]]), (8, 8))
    assert left.boxes.tolist() == [[0, 0, 4, 8]]
