"""FGFA's aggregation without flow: the published sum and gradients, and a detector with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests import shared
from tests.detectors.candidates import CANDIDATES
from tests.ops.compare import DEVICES, NOT_THE_SAME_TWICE, assert_close
from trovid.detectors.building import build_detector
from trovid.nn import RoIAlign, SimilarityAggregation
from trovid.ops import pack_support, similarity_aggregation
from trovid.recipes import load_recipe
from trovid.structures import TrainingBatch

CASE = shared.SHARED / "parity" / "fgfa" / "aggregate_gradients.npz"


@pytest.mark.parametrize("device", DEVICES)
def test_the_published_sum_and_its_gradients(device):
    if not CASE.exists():
        pytest.skip(f"{CASE} is absent")
    with np.load(CASE) as arrays:
        case = {key: torch.from_numpy(arrays[key]).to(device) for key in arrays}
    names = ("current", "warped", "weight", "bias")
    leaves = [case[key].requires_grad_() for key in names]
    current, warped, weight, bias = leaves

    def embed(maps):
        return torch.nn.functional.conv2d(maps, weight, bias, padding=1)

    output = similarity_aggregation(warped, embed(warped), embed(current)[0])
    assert_close(output, case["output"][0], 1e-12)
    output.backward(case["grad_output"][0])
    for name, leaf in zip(names, leaves, strict=True):
        assert_close(leaf.grad, case[f"grad_{name}"], 1e-12, name)


@pytest.mark.parametrize("device", DEVICES)
def test_gradcheck(device):
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 2, 4, 5), (3, 3, 4, 5), (3, 4, 5)
    leaves = [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        for shape in shapes
    ]
    assert torch.autograd.gradcheck(similarity_aggregation, leaves, nondet_tol=NOT_THE_SAME_TWICE)


def test_the_sum_includes_the_current_frame_and_goes_place_by_place():
    torch.manual_seed(0)
    stage = SimilarityAggregation(4, "c4")
    target, support = torch.rand(2, 4, 5, 6), torch.rand(2, 3, 4, 5, 6)
    packed = [pack_support(support[0]), pack_support(support[1, :0])]
    levels = {"c3": torch.rand(2, 4, 10, 12), "c4": target}
    found = stage(levels, packed)
    assert found["c3"] is levels["c3"]
    assert_close(found["c4"][1], target[1], 1e-6)  # no support frame
    everything = torch.cat([target[:1], support[0]])
    embedded = stage.embedding(everything)
    for y, x in ((0, 0), (2, 5)):
        cosines = torch.cosine_similarity(embedded[:, :, y, x], embedded[:1, :, y, x], dim=1)
        expected = cosines.softmax(0) @ everything[:, :, y, x]
        assert_close(found["c4"][0, :, y, x], expected, 1e-5)


def test_what_a_position_takes_is_what_its_place_was_summed_from():
    torch.manual_seed(0)
    stage, target, maps = (
        SimilarityAggregation(4, "c4"),
        torch.rand(4, 5, 6),
        torch.rand(3, 4, 5, 6),
    )
    boxes = torch.tensor([[20.0, 4.0, 84.0, 52.0], [-900.0, -900.0, 900.0, 900.0]])
    pooling = RoIAlign((3, 2), aligned=True)
    cells = pooling.cells(boxes, 1 / 16, (5, 6))
    assert cells.tolist() == [[[2, 4], [8, 10], [14, 16]], [[0, 5], [0, 5], [24, 29]]]
    with torch.no_grad():
        seen = stage.sight(target, pack_support(maps), cells)
        summed = stage({"c4": target[None]}, [pack_support(maps)])["c4"][0]
    assert seen.cells.shape == seen.similarities.shape == (3, 2, 1, 3, 2)
    assert (seen.cells == cells.unsqueeze(1)).all()
    rows = torch.cat([target[None], maps]).flatten(2)[:, :, cells]  # [T + 1, C, R, h, w]
    weighted = (seen.weights.transpose(1, 2) * rows).sum(0)
    assert_close(weighted, summed.flatten(1)[:, cells], 1e-6)


def test_operations_are_those_of_the_embedding_and_of_the_sum():
    stage = SimilarityAggregation(4, "c4")
    maps = torch.rand(3, 4, 5, 6)
    with FlopCounterMode(display=False) as counter:
        stage.embedding(maps)
    assert stage.operations((4, 5, 6), 2) == counter.get_total_flops() + 6 * maps.numel()


def test_wrong_shapes():
    maps = torch.rand(3, 4, 5, 6)
    with pytest.raises(ValueError, match=r"must have shapes \[3, 4, 5, 6\] and \[4, 5, 6\]"):
        similarity_aggregation(maps, maps[:2], maps[0])


def test_a_detector_with_it_trains_and_detects():
    torch.manual_seed(0)
    detector = build_detector(load_recipe("synthvid-fgfa"))
    assert (detector.searched_levels, detector.roi_features.searched_levels) == (("0",), ())
    images = torch.rand(3, 3, 64, 96)
    target = {"boxes": torch.tensor([[20.0, 10.0, 70.0, 50.0]]), "labels": torch.tensor([3])}
    losses = detector.train()(TrainingBatch(images, [[0, 1, 2]], 1, [target]))
    sum(losses.values()).backward()
    assert detector.aggregation.embedding.weight.grad.abs().max() > 0
    detector.eval()
    with torch.no_grad():
        support = detector.encode(images[1:])
        (alone,) = detector.detect(images[:1], options=CANDIDATES)
        (helped,) = detector.detect(images[:1], [support], options=CANDIDATES)
    assert alone.boxes.shape != helped.boxes.shape or not torch.equal(alone.boxes, helped.boxes)
