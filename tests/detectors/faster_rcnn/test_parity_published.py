"""trovid's detectors against an independent implementation, stage by stage and as a chain.

The cases are two frames of a video under the published code, with random weights. Rows are matched
as sets, since equal scores may come in another order. Float32 leaves open which of two nearly equal
similarities is among the K highest; such rows are bounded and counted.

From the decoded frame to the resized one, one grey level is left open (another decoder, another
rounding in the resize). Random weights magnify it beyond any comparison of boxes, so the chains
begin with the case's own resized frame or image.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.detectors.candidates import AMONG
from tests.shared import SHARED
from tests.zoo.published_files import small_recipe
from trovid.detectors.candidates import Candidates
from trovid.detectors.faster_rcnn.conversion import convert_published
from trovid.detectors.faster_rcnn.support import Support, supports_of
from trovid.inference import Predictor
from trovid.storage.tensor_files import save_tensors
from trovid.video.opening import Frame, open_video
from trovid.video.transforms import FrameTransform
from trovid.zoo.weights import load_weights

CASES = SHARED / "parity"
CLIP = SHARED / "data" / "vid_clip" / "ILSVRC2015_val_00007010"
pytestmark = pytest.mark.skipif(
    not (CASES / "selsa_r18").exists(), reason="the numerical cases (../shared/parity) are not here"
)

SIZE = (225, 400)
NEAR_TIES = 0.03  # of all rows at most
KINDS = pytest.mark.parametrize("kind", ["selsa", "selsa-troi"], scope="module")
FRAMES = pytest.mark.parametrize("k", [0, 1], ids=["frame0", "frame5"])


class Case:
    """A numerical case and the detector converted from its checkpoint."""

    def __init__(self, kind: str, folder: Path) -> None:
        source = CASES / ("selsa_troi_r18" if kind == "selsa-troi" else "selsa_r18")
        recipe = small_recipe(kind)
        converted = folder / f"{kind}.safetensors"
        save_tensors(converted, *convert_published(source / "weights.pth", recipe))
        self.detector, card = load_weights(converted)
        self.predictor = Predictor(self.detector, card.recipe, device="cpu")
        self.predictor.transform = FrameTransform(240, 400, antialias=False)
        with np.load(source / "case.npz") as arrays:
            self.arrays = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def features(self, k: int) -> dict[str, Tensor]:
        return self.detector.backbone(self[f"f{k}_image"][None])

    def propose(self, k: int) -> list[Tensor]:
        return self.detector.rpn(self[f"f{k}_image"][None], self.features(k), [SIZE])[0]

    def bank(self, k: int) -> Support:
        """The four support frames and the target frame, with the case's own support proposals."""
        images = torch.cat([self["support_images"], self[f"f{k}_image"][None]])
        rows = self[f"f{k}_support_proposals"].float()
        proposals = [rows[rows[:, 0] == i, 1:5].contiguous() for i in range(5)]
        levels = self.detector.backbone(images)
        return supports_of(self.detector, levels, proposals, [SIZE] * 5, [range(5)])[0]


@pytest.fixture(scope="module")
def case(kind, tmp_path_factory):
    with torch.inference_mode():
        yield Case(kind, tmp_path_factory.mktemp("converted"))


def unmatched(found: Tensor, wanted: Tensor, tolerance: float) -> Tensor:
    """The largest difference of each row of `found` that is in no row of `wanted`."""
    nearest = torch.cdist(found.double(), wanted.double(), p=float("inf")).amin(1)
    return nearest[nearest > tolerance]


def test_preprocessing_agrees_within_one_grey_level_and_exactly_after_the_resize():
    with np.load(CASES / "selsa_r18" / "case.npz") as arrays, open_video(CLIP) as reader:
        transform = FrameTransform(240, 400, antialias=False)
        for k, frame in enumerate(reader.read([0, 5])):
            wanted = np.ascontiguousarray(arrays[f"f{k}_frame"][..., ::-1])
            resized = transform.resize(frame.image)
            difference = np.abs(resized.astype(int) - wanted)
            assert difference.max() <= 1
            assert (difference == 0).mean() > 0.9
            images = transform.normalise([wanted])[0].numpy()
            np.testing.assert_allclose(images, arrays[f"f{k}_image"], atol=1e-5)


@KINDS
def test_features_after_the_reduction(case):
    wanted = case["f0_features"]
    error = (case.features(0)["conv5"] - wanted).abs().max() / wanted.abs().max()
    assert error < 1e-4


@KINDS
@FRAMES
def test_proposals(case, k):
    (found,) = case.propose(k)
    wanted = case[f"f{k}_proposals"][:, :4]
    assert len(found) == len(wanted) == 300
    assert len(unmatched(found, wanted, 0.01)) <= NEAR_TIES * 300


@KINDS
@FRAMES
def test_proposals_of_the_support_frames(case, k):
    bank = case.detector.encode(case["support_images"], image_sizes=[SIZE] * 4)
    target = case.detector.encode(case[f"f{k}_image"][None], image_sizes=[SIZE])
    bank = Support.cat([bank, target])
    rows = case[f"f{k}_support_proposals"]
    for frame, found in enumerate(bank.proposals):
        wanted = rows[rows[:, 0] == frame, 1:5]
        assert len(found) == len(wanted) == 300
        assert len(unmatched(found, wanted, 0.01)) <= NEAR_TIES * 300


@pytest.mark.parametrize("kind", ["selsa-troi"], scope="module")
@FRAMES
def test_temporal_roi_features(case, k):
    proposals = [case[f"f{k}_proposals"][:, :4].contiguous()]
    features = {"conv5": case["f0_features"]} if k == 0 else case.features(k)
    found = case.detector.pool(features, proposals, [SIZE], [case.bank(k)])
    wanted = case[f"f{k}_roi_feats"]
    error = (found - wanted).abs()
    rows = error.flatten(1).amax(1)
    assert (rows > 1e-3).float().mean() <= NEAR_TIES
    assert (error > 1e-3).float().mean() < 1e-3
    assert error.max() < 1.5  # another choice among nearly equal cells
    assert rows.median() < 1e-4


@KINDS
@FRAMES
def test_class_logits_and_deltas(case, k):
    bank = case.bank(k)
    proposals = [case[f"f{k}_proposals"][:, :4].contiguous()]
    if case.detector.searches_maps:
        roi_features = case[f"f{k}_roi_feats"]
    else:
        roi_features = case.detector.pool(case.features(k), proposals, [SIZE], [bank])
    _, logits, deltas = case.detector.box_head(roi_features, [300], [bank.embedding])
    for found, wanted in ((logits, f"f{k}_cls_score"), (deltas, f"f{k}_bbox_pred")):
        error = (found - case[wanted]).abs().amax(1)
        assert (error > 1e-3).float().mean() <= NEAR_TIES
        assert error.max() < 0.2


def detections(case: Case, k: int, scored: Candidates) -> Tensor:
    """Tensor[N, 6] as the case writes them, in pixels of the source frame."""
    factor = case[f"f{k}_scale_factor"]
    source = dataclasses.replace(scored, boxes=scored.boxes / factor, image_size=(720, 1280))
    found = source.select(case.predictor.options())
    return torch.cat([found.boxes, found.scores[:, None], found.labels[:, None].float()], 1)


def agreeing(found: Tensor, wanted: Tensor) -> int:
    """Detections of the case that are found: within 0.05 pixel and 1e-3 in score, each once."""
    boxes = torch.cdist(wanted[:, :4].double(), found[:, :4].double(), p=float("inf")) < 0.05
    scores = (wanted[:, None, 4] - found[None, :, 4]).abs() < 1e-3
    same = boxes & scores & (wanted[:, None, 5] == found[None, :, 5])
    return min(int(same.any(1).sum()), int(same.any(0).sum()))


@KINDS
@FRAMES
def test_final_boxes_from_the_logits_and_deltas_of_the_case(case, k):
    proposals = [case[f"f{k}_proposals"][:, :4].contiguous()]
    boxes = case.detector.box_coder.decode(case[f"f{k}_bbox_pred"], torch.cat(proposals))
    scores = case[f"f{k}_cls_score"].softmax(-1)[:, :-1]
    scored = Candidates(boxes.view(300, -1, 4), scores, case.detector.class_names)
    assert agreeing(detections(case, k, scored), case[f"f{k}_det_bboxes"]) >= 99


@KINDS
@FRAMES
def test_the_chain_from_the_normalised_images(case, k):
    bank = case.detector.encode(case["support_images"], image_sizes=[SIZE] * 4)
    image = case[f"f{k}_image"][None]
    (scored,) = case.detector.detect(image, [bank], options=AMONG, image_sizes=[SIZE])
    assert agreeing(detections(case, k, scored), case[f"f{k}_det_bboxes"]) >= 97


@KINDS
@FRAMES
def test_the_chain_from_the_resized_uint8_frame(case, k):
    bank = case.detector.encode(case["support_images"], image_sizes=[SIZE] * 4)
    frame = Frame(0, 0.0, np.ascontiguousarray(case[f"f{k}_frame"].numpy()[..., ::-1]))
    (scored,) = case.predictor.detect_frames([frame], [bank], AMONG)
    assert agreeing(detections(case, k, scored), case[f"f{k}_det_bboxes"]) >= 97
