"""The four detectors from one class: forward, losses, support banks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.detectors.candidates import AMONG, CANDIDATES
from trovid.detectors.building import build_detector
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.recipes import load_recipe
from trovid.structures import DetectOptions, TrainingBatch

FOUR = ["synthvid-single", "synthvid-single-troi", "synthvid-selsa", "synthvid-selsa-troi"]
WITH_SUPPORT = FOUR[1:]


def make(name: str, seed: int = 0) -> Detector:
    torch.manual_seed(seed)
    detector = build_detector(load_recipe(name)).eval()
    for parameter in detector.box_head.class_logits.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return detector


def frames(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 96, 128, generator=torch.Generator().manual_seed(seed))


def target() -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[10.0, 12.0, 50.0, 50.0], [60.0, 20.0, 110.0, 80.0]])
    return {"boxes": boxes, "labels": torch.tensor([3, 7])}


@pytest.mark.parametrize("name", FOUR)
def test_scored_boxes_have_a_row_for_each_proposal(name):
    detector = make(name)
    with torch.no_grad():
        bank = detector.encode(frames(3))
        first, second = detector.detect(frames(2, seed=2), [bank, bank], options=CANDIDATES)
    for scored in (first, second):
        assert scored.boxes.shape == (len(scored.class_scores), 1, 4)
        assert scored.class_scores.shape[1] == 20
        assert torch.isfinite(scored.boxes).all()
        assert (scored.class_scores.sum(1) < 1).all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("synthvid-selsa-troi", None),
        ("synthvid-single-md-attention", "models with DeformableRoIAlign cannot be exported: "),
        ("coco-r50-fpn", "only models that search one level of the support frames can be exported"),
    ],
)
def test_a_detector_says_why_it_cannot_be_exported(name, reason):
    with torch.device("meta"):
        obstacle = build_detector(load_recipe(name)).export_obstacle
    assert obstacle is None if reason is None else str(obstacle).startswith(reason)


@pytest.mark.parametrize("name", FOUR)
def test_losses_reach_every_trained_parameter(name):
    detector = make(name).train()
    batch = TrainingBatch(frames(6), [[0, 1, 2], [0, 3, 4]], 1, [target(), target()])
    losses = detector(batch)
    assert sorted(losses) == ["boxes", "class", "rpn_boxes", "rpn_objectness"]
    sum(losses.values()).backward()
    untouched = [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert untouched == []


@pytest.mark.parametrize("name", WITH_SUPPORT)
def test_support_changes_the_scores_and_its_absence_is_allowed(name):
    detector, image = make(name), frames(1, seed=2)
    with torch.no_grad():
        alone = detector.detect(image, options=CANDIDATES)[0]
        support = detector.encode(frames(2))
        empty = detector.detect(image, [support.select([])], options=CANDIDATES)[0]
        helped = detector.detect(image, [support], options=CANDIDATES)[0]
    assert torch.equal(alone.class_scores, empty.class_scores)
    assert not torch.allclose(alone.class_scores, helped.class_scores, atol=1e-4)


@pytest.mark.parametrize("name", FOUR)
def test_an_image_without_objects_has_finite_losses(name):
    detector = make(name).train()
    nothing = {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.long)}
    losses = detector(TrainingBatch(frames(3), [[0, 1, 2]], 1, [nothing]))
    assert all(torch.isfinite(loss) for loss in losses.values())


def assert_equal_banks(first: Support, second: Support, *, atol: float) -> None:
    assert first.frame_indices == second.frame_indices
    for name, packed in first.maps.items():
        torch.testing.assert_close(packed.rows, second.maps[name].rows, atol=atol, rtol=0)
    for one, other in zip(first.embedding, second.embedding, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, atol=atol, rtol=0)


@pytest.mark.parametrize("name", WITH_SUPPORT)
def test_a_bank_serves_every_target_as_if_it_were_made_anew(name):
    detector, support, targets = make(name), frames(4), frames(3, seed=5)
    with torch.no_grad():
        kept = detector.encode(support)
        for image in targets.split(1):
            anew = detector.encode(support)
            assert_equal_banks(kept, anew, atol=0)
            (one,) = detector.detect(image, [kept], options=CANDIDATES)
            (other,) = detector.detect(image, [anew], options=CANDIDATES)
            assert torch.equal(one.boxes, other.boxes)
            assert torch.equal(one.class_scores, other.class_scores)


@pytest.mark.parametrize("name", WITH_SUPPORT)
def test_frames_encoded_one_by_one_make_the_same_bank(name):
    detector, support = make(name), frames(4)
    with torch.no_grad():
        together = detector.encode(support, [2, 5, 7, 9])
        parts = [
            detector.encode(image, [i])
            for image, i in zip(support.split(1), [2, 5, 7, 9], strict=True)
        ]
        joined = Support.cat(parts)
    assert_equal_banks(together, joined, atol=1e-5)
    assert joined.nbytes == together.nbytes > 0


@pytest.mark.parametrize("name", WITH_SUPPORT)
def test_without_leaves_out_exactly_one_frame(name):
    detector, support = make(name), frames(3)
    with torch.no_grad():
        bank = detector.encode(support, [0, 4, 8])
        rest = detector.encode(support[[0, 2]], [0, 8])
    assert bank.without(5) is bank
    assert_equal_banks(bank.without(4), rest, atol=1e-5)


@pytest.mark.parametrize("name", WITH_SUPPORT)
def test_two_videos_in_a_batch_do_not_see_each_other(name):
    detector = make(name)
    images = frames(2, seed=6)
    with torch.no_grad():
        first = detector.encode(frames(3, seed=7))
        second = detector.encode(frames(2, seed=8))
        batch = detector.detect(images, [first, second], options=CANDIDATES)
        alone = [
            detector.detect(image, [bank], options=CANDIDATES)[0]
            for image, bank in zip(images.split(1), (first, second), strict=True)
        ]
    for together, single in zip(batch, alone, strict=True):
        torch.testing.assert_close(together.boxes, single.boxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(together.class_scores, single.class_scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize("cluster", [1, 40], ids=["apart", "clustered"])
def test_a_first_look_at_the_best_boxes_finds_the_same_proposals(cluster):
    rpn = make("synthvid-single").rpn
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 1600 // cluster, 2, generator=generator) * 400
    corners = corners.repeat(1, cluster, 1) + torch.rand(2, 1600, 2, generator=generator)
    boxes = torch.cat([corners, corners + 40], 2)
    scores = torch.randn(2, 1600, generator=generator)
    sizes = [(480, 480), (300, 480)]
    first = rpn.filter_proposals(boxes, scores, sizes, [1600])
    whole = rpn.filter_proposals(boxes, scores, sizes, [1600], first_look=1000)
    for one, other in zip(first, whole, strict=True):
        assert torch.equal(one, other)


def test_a_frame_without_proposals_has_no_boxes():
    recipe = load_recipe("synthvid-selsa-troi")
    head = replace(recipe.model.box_head, class_agnostic=False)
    recipe = replace(recipe, model=replace(recipe.model, box_head=head))
    detector = build_detector(recipe).eval()
    detector.rpn.lowest_score = 1.0
    with torch.no_grad():
        bank = detector.encode(frames(2))
        (scored,) = detector.detect(frames(1, seed=2), [bank], options=AMONG)
    assert scored.boxes.shape == (0, 20, 4)
    assert scored.class_scores.shape == (0, 20)


def test_selsa_needs_a_pooling_for_support_proposals():
    detector = make("synthvid-selsa")
    with pytest.raises(ValueError, match="support_roi_features"):
        Detector(
            class_names=detector.class_names,
            backbone=detector.backbone,
            rpn=detector.rpn,
            roi_features=detector.roi_features,
            box_head=detector.box_head,
        )


@pytest.mark.parametrize("track", [None, "embedding"])
def test_detect_wraps_the_tensors_of_its_one_method(track):
    detector, images = make("synthvid-single"), frames(2)
    inference = load_recipe("synthvid-single").inference
    options = DetectOptions(score=0.05, track=track).resolved(inference)
    with torch.no_grad():
        chosen, further = detector.chosen(
            images, None, options=options, image_sizes=[(96, 128)] * 2
        )
        found = detector.detect(images, options=options)
    assert list(further) == (["embeddings"] if track else [])
    embeddings = further["embeddings"].split(list(map(len, found))) if track else (None, None)
    for detections, (boxes, scores, labels), embedding in zip(
        found, chosen, embeddings, strict=True
    ):
        assert len(detections)
        assert torch.equal(detections.boxes, boxes)
        assert torch.equal(detections.scores, scores)
        assert torch.equal(detections.labels, labels)
        assert embedding is None or torch.equal(detections.embeddings, embedding)
