"""MaskTrack R-CNN against an independent implementation, stage by stage and as a chain.

The case are four frames of a video under the published code, with weights made from their names.
What is left open is three times the noise of float32 that the case's README states.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from tests.shared import SHARED
from trovid.detectors.faster_rcnn.conversion import convert_published
from trovid.detectors.masktrack.conversion import RULES
from trovid.detectors.masktrack.instances import pasted
from trovid.inference import Predictor
from trovid.nn.box_head import select_boxes
from trovid.nn.mask_head import maps_of
from trovid.nn.track_head import match_logits
from trovid.recipes import Recipe, load_recipe
from trovid.storage.hashes import sha256_of
from trovid.storage.tensor_files import save_tensors
from trovid.structures import Detections
from trovid.tracking import EmbeddingTracker, PublishedTracker
from trovid.video.transforms import FrameTransform
from trovid.zoo.weights import load_weights

CASE = SHARED / "parity" / "masktrack_r50"
pytestmark = pytest.mark.skipif(
    not CASE.exists(), reason="the numerical case (../shared/parity/masktrack_r50) is not here"
)
SIZE, SOURCE = (180, 320), (480, 854)
FRAMES = pytest.mark.parametrize("k", range(4))
NOISE = {"proposals": 3e-4, "boxes": 8e-4, "logits": 3e-4, "masks": 8e-4}
NOISE |= {"embeddings": 2e-5, "match": 1.5e-4, "pixels": 2}


def near(found: Tensor, wanted: Tensor, kind: str) -> None:
    torch.testing.assert_close(found, wanted, atol=3 * NOISE[kind], rtol=0)


def recipe_of(classes: list[str]) -> Recipe:
    recipe = load_recipe("mmtracking/masktrack-r50-ytvis19")
    model = dataclasses.replace(recipe.model, classes=tuple(classes))
    return dataclasses.replace(recipe, model=model)


class Case:
    """The case's arrays, and the detector converted from its checkpoint."""

    def __init__(self, folder) -> None:
        spec = importlib.util.spec_from_file_location("make_weights", CASE / "make_weights.py")
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.keys = json.loads((CASE / "keys.json").read_text())
        self.checkpoint = module.make_checkpoint(self.keys)
        path = folder / "published.pth"
        torch.save(self.checkpoint, path)
        self.recipe = recipe_of(self.keys["meta"]["CLASSES"])
        self.tensors, metadata = convert_published(path, self.recipe, RULES)
        assert json.loads(metadata["facts"])["source_sha256"] == sha256_of(path)
        save_tensors(folder / "masktrack.safetensors", self.tensors, metadata)
        self.detector, card = load_weights(folder / "masktrack.safetensors")
        self.predictor = Predictor(self.detector, card.recipe, device="cpu")
        self.predictor.transform = FrameTransform(180, 320, antialias=False, divisor=32)
        with np.load(CASE / "case.npz") as arrays:
            self.arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        self._levels: dict[int, dict[str, Tensor]] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def levels(self, k: int) -> dict[str, Tensor]:
        if k not in self._levels:
            self._levels[k] = self.detector.backbone(self[f"f{k}_image"][None])
        return self._levels[k]

    def rois(self, k: int) -> list[Tensor]:
        """The detections in pixels of the resized frame."""
        return [self[f"f{k}_det_bboxes"][:, :4] * self[f"f{k}_scale_factor"]]

    def detections(self, k: int) -> Detections:
        boxes = self[f"f{k}_det_bboxes"]
        return Detections(
            boxes=boxes[:, :4],
            scores=boxes[:, 4],
            labels=self[f"f{k}_det_labels"],
            class_names=self.recipe.model.classes,
            frame_index=k,
            image_size=SOURCE,
            embeddings=self[f"f{k}_embeddings"],
        )

    def masks(self, k: int) -> np.ndarray:
        packed = self[f"f{k}_masks"].numpy()
        return np.unpackbits(packed, axis=1).reshape(len(packed), *SOURCE)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with torch.inference_mode():
        yield Case(tmp_path_factory.mktemp("converted"))


def test_every_published_key_has_its_place(case):
    published = {k: v for k, v in case.checkpoint["state_dict"].items() if "num_batches" not in k}
    state = {k: v for k, v in case.detector.state_dict().items() if "num_batches" not in k}
    assert len(case.tensors) == len(published) == len(state)
    assert {*case.tensors} == {*state}
    total = sum(float(value.double().sum()) for value in published.values())
    assert sum(float(value.double().sum()) for value in state.values()) == pytest.approx(total)


def test_the_pyramid(case):
    for name in ("p3", "p4", "p5", "p6"):
        wanted = case[f"f0_features_{name}"]
        error = (case.levels(0)[name] - wanted).abs().max() / wanted.abs().max()
        assert error < 1e-5, name


@FRAMES
def test_proposals(case, k):
    same_proposals(case, k, case[f"f{k}_image"][None], case.levels(k))


def same_proposals(case: Case, k: int, images: Tensor, levels: dict[str, Tensor]) -> None:
    (found,), _ = case.detector.rpn(images, levels, [SIZE])
    boxes, scores = case[f"f{k}_proposals"].split([4, 1], dim=1)
    same = torch.cdist(boxes, found, p=torch.inf).argmin(1)
    assert sorted(same.tolist()) == list(range(len(found)))
    near(found[same], boxes, "proposals")
    # Only those whose scores rounding cannot tell apart may stand in another order.
    moved = same != torch.arange(len(same))
    assert ((scores - scores[same])[moved].abs() < 1e-6).all()


@FRAMES
def test_class_logits_and_boxes(case, k):
    proposals = [case[f"f{k}_proposals"][:, :4].contiguous()]
    _, logits, deltas = case.detector._heads(case.levels(k), proposals, [SIZE], None)
    near(logits, case[f"f{k}_cls_score"], "logits")
    near(deltas, case[f"f{k}_bbox_pred"], "logits")
    boxes = case.detector.box_coder.decode(case[f"f{k}_bbox_pred"], proposals[0])
    scores = case[f"f{k}_cls_score"].softmax(-1)[:, :-1]
    found = Detections(
        *select_boxes(boxes, scores, SIZE, case.predictor.options()),
        case.recipe.model.classes,
        image_size=SIZE,
    ).scaled(SOURCE)
    same_detections(case, k, found)


def rows_as_the_case(found: Detections) -> Detections:
    order = sorted(range(len(found)), key=lambda i: (int(found.labels[i]), -float(found.scores[i])))
    return found[order]


def same_detections(case: Case, k: int, found: Detections) -> None:
    found, wanted = rows_as_the_case(found), case[f"f{k}_det_bboxes"]
    assert found.labels.tolist() == case[f"f{k}_det_labels"].tolist()
    near(found.boxes, wanted[:, :4], "boxes")
    near(found.scores, wanted[:, 4], "boxes")


@FRAMES
def test_mask_logits_and_masks(case, k):
    detector, labels = case.detector, case[f"f{k}_det_labels"]
    logits = maps_of(
        detector.mask_head(detector.mask_features(case.levels(k), case.rois(k), [SIZE])), labels
    )
    near(logits, case[f"f{k}_mask_logits"], "masks")
    boxes = case[f"f{k}_det_bboxes"][:, :4]
    masks = pasted(case[f"f{k}_mask_logits"].sigmoid(), boxes, SOURCE)
    different = (masks.dense().numpy() != case.masks(k)).sum((1, 2))
    assert different.max() <= 3 * NOISE["pixels"]


@FRAMES
def test_embeddings(case, k):
    features = case.detector.track_features(case.levels(k), case.rois(k), [SIZE])
    near(case.detector.track_head(features), case[f"f{k}_embeddings"], "embeddings")


def published(case: Case, k: int) -> list[int]:
    return [number for number in case[f"f{k}_track_ids"].tolist() if number >= 0]


def test_the_memory_with_the_cases_own_detections(case):
    tracker = PublishedTracker(case.recipe.inference.tracking)
    for k in range(4):
        detections = case.detections(k)
        if k:
            assert tracker.known == case[f"f{k}_memory_ids"].tolist()
            memory = torch.stack([track.embedding for track in tracker._memory.values()])
            near(match_logits(detections.embeddings, memory), case[f"f{k}_match_logits"], "match")
            near(tracker.match_scores(detections), case[f"f{k}_match_scores"], "match")
        found = tracker.update(detections)
        assert found.track_ids.tolist() == published(case, k)


def test_the_default_gives_each_identity_once_a_frame(case):
    tracker = EmbeddingTracker()
    for k in range(4):
        found = tracker.update(case.detections(k))
        ids = found.track_ids.tolist()
        assert len({*ids}) == len(ids) > 0
        overlaps = box_iou(found.boxes, found.boxes).fill_diagonal_(0)
        assert not (overlaps > 0.7)[found.labels[:, None] != found.labels].any()


def test_the_chain_from_the_resized_frames(case):
    options = case.predictor.options(masks=True, track="embedding")
    tracker = PublishedTracker(case.recipe.inference.tracking)
    for k in range(4):
        resized = np.ascontiguousarray(case[f"f{k}_frame"].numpy()[..., ::-1])
        images = case.predictor.transform.normalise([resized])
        torch.testing.assert_close(images[0], case[f"f{k}_image"], atol=1e-5, rtol=0)
        same_proposals(case, k, images, case.detector.backbone(images))
        (instances,) = case.predictor.running.detect(
            images, None, options=options, image_sizes=[SIZE]
        )
        found = instances.scaled(SOURCE)
        order = sorted(
            range(len(found)), key=lambda i: (int(found.labels[i]), -float(found.scores[i]))
        )
        same_detections(case, k, found)
        different = found.masks[order].dense().numpy() != case.masks(k)
        assert different.sum((1, 2)).max() <= 3 * NOISE["pixels"]
        near(found.embeddings[order], case[f"f{k}_embeddings"], "embeddings")
        tracked = rows_as_the_case(tracker.update(found))
        assert tracked.track_ids.tolist() == published(case, k)
