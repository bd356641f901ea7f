"""Every full-size recipe at full width: a training step and a frame with support."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trovid.detectors.building import build_detector
from trovid.inference import Predictor
from trovid.recipes import Recipe, load_recipe, recipe_names
from trovid.structures.training_batch import TrainingBatch
from trovid.training.loop import make_optimizer, training_step
from trovid.video.opening import Frame

HEIGHT, WIDTH = 160, 256


def batch(recipe: Recipe) -> TrainingBatch:
    """A target frame of two objects; where objects are tracked, a reference frame beside it."""
    generator = torch.Generator().manual_seed(0)
    tracked = recipe.model.track_head is not None
    count = recipe.training.support_frames + tracked
    boxes = torch.tensor([[20.0, 24.0, 120.0, 110.0], [130.0, 40.0, 230.0, 150.0]])
    labels, ids = torch.tensor([0, len(recipe.model.classes) - 1]), torch.tensor([1, 2])
    target = {"boxes": boxes, "labels": labels, "instance_ids": ids}
    if recipe.model.mask_head is not None:
        masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
        masks[0, 24:110, 20:120] = masks[1, 40:150, 130:230] = True
        target["masks"] = masks
    return TrainingBatch(
        torch.randn(count + 1, 3, HEIGHT, WIDTH, generator=generator),
        [list(range(count + 1))],
        1,
        [target],
        references=[count] if tracked else [],
        reference_targets=[{"boxes": boxes + 3, "instance_ids": ids}] if tracked else [],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipe_names() if "/" in name])
def test_a_training_step_and_a_frame(name):
    torch.manual_seed(0)
    recipe = load_recipe(name)
    detector = build_detector(recipe).train()
    before = {n: p.detach().clone() for n, p in detector.named_parameters()}
    losses = training_step(
        detector, make_optimizer(detector, recipe.training), batch(recipe), recipe.training
    )
    heads = {"masks": recipe.model.mask_head, "track": recipe.model.track_head}
    branches = {name for name, head in heads.items() if head is not None}
    assert set(losses) == {"rpn_objectness", "rpn_boxes", "class", "boxes"} | branches
    for key, parameter in detector.named_parameters():
        assert torch.isfinite(parameter).all(), key
        if not parameter.requires_grad:
            assert torch.equal(parameter, before[key]), key
    del before

    small = replace(recipe, image=replace(recipe.image, shorter=HEIGHT, longer=WIDTH))
    predictor = Predictor(detector, small, device="cpu")
    pixels = torch.randint(0, 256, (3, HEIGHT, WIDTH, 3), dtype=torch.uint8).numpy()
    frames = [Frame(i, i / 25, image) for i, image in enumerate(pixels)]
    bank = predictor.encode(frames[:2]) if detector.uses_support else None
    options = predictor.options(selection="candidates")
    (scored,) = predictor.detect_frames([frames[2]], [bank], options)
    assert len(scored.boxes) == len(scored.class_scores) <= recipe.model.rpn.post_nms[1]
    assert scored.class_scores.shape[1] == len(recipe.model.classes)
    assert torch.isfinite(scored.boxes).all()
