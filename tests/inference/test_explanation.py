"""`explain` on a feature pyramid: the level of each proposal, and where its cell is found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import trovid
from tests.cli.tiny_model import save_tiny_model
from tests.detectors.torchvision.networks import frame, network, predictor
from trovid.detectors.torchvision.detector import from_torchvision
from trovid.errors import OptionError, TrovidError
from trovid.inference import Predictor
from trovid.inference.explanation import explain
from trovid.video.opening import open_video

BOXES = {"0": [60.0, 50, 90, 75], "1": [30.0, 20, 140, 100], "2": [2.0, 2, 199, 148]}


@pytest.fixture(scope="module", params=["own", "last"])
def model(request) -> Predictor:
    detector = from_torchvision(network("fasterrcnn_resnet50_fpn"), searched=request.param)
    return predictor(detector, "coco-r50-fpn", 80)


@pytest.mark.parametrize("level", BOXES)
def test_a_cell_is_found_again_where_it_is(model, level):
    """Nothing moves, so the most similar place is the cell's own."""
    reader = open_video(np.stack([frame()] * 3))
    found = explain(model, reader, frame=1, box=torch.tensor(BOXES[level]), support="uniform:3")
    assert found.level == level
    same_level = model.detector.roi_features.searched == "own"
    assert found.searched_level == (level if same_level else "3")
    assert [f.index for f in found.support] == [0, 2]
    assert found.weights.sum() == pytest.approx(1)
    assert (found.similarities <= 1 + 1e-5).all()
    torch.testing.assert_close(found.points[0], found.points[1])
    if same_level:
        stride = 4 * 2 ** int(level) * 150 / 256  # in pixels of the source
        centre = (found.cell[:2] + found.cell[2:]) / 2
        assert (found.points - centre).abs().max() < 2 * stride
        assert (found.similarities > 0.8).all()


@pytest.mark.parametrize("name", ["synthvid-masktrack-troi", "synthvid-masktrack-selsa-troi"])
def test_a_segmenter_is_explained_as_a_detector_is(tmp_path, name):
    model = trovid.load(save_tiny_model(tmp_path / "tiny.safetensors", name=name), device="cpu")
    video = np.stack([frame()] * 4)
    found = model.explain(
        video, frame=2, boxes=torch.tensor([[30.0, 20, 140, 100]]), support="uniform:3"
    )
    rows, columns = model.detector.roi_features.output_size
    assert found.points.shape[1:] == (len(found.support), 4, rows, columns, 2)
    torch.testing.assert_close(found.weights.sum(1), torch.ones_like(found.weights[:, 0]))
    torch.testing.assert_close(found.points[:, 0], found.points[:, 1])


def test_boxes_may_be_whatever_makes_a_tensor(tmp_path):
    model = trovid.load(
        save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-selsa-troi"), device="cpu"
    )
    video, boxes = np.stack([frame()] * 3), [[30, 20, 140, 100]]
    found = [
        model.explain(video, frame=1, boxes=given, support="uniform:3")
        for given in (torch.tensor(boxes), boxes, np.array(boxes, np.float64))
    ]
    for other in found[1:]:
        assert other.points.equal(found[0].points)
        assert other.boxes.tolist() == boxes
    for wrong in ([30, 20, 140, 100], [[30, 20, 140]], [], [["a"] * 4]):
        with pytest.raises(OptionError, match="`boxes` must"):
            model.explain(video, frame=1, boxes=wrong)


def test_a_segmenter_of_single_frames_has_nothing_to_explain(tmp_path):
    path = save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-masktrack")
    model = trovid.load(path, device="cpu")
    with pytest.raises(TrovidError, match="no Temporal RoI Align: nothing to explain"):
        model.explain(np.stack([frame()] * 3), frame=1, boxes=torch.tensor([[30.0, 20, 140, 99]]))


def test_weights_that_nothing_can_be_computed_with_are_said(tmp_path):
    path = save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-selsa-troi")
    model = trovid.load(path, device="cpu")
    backbone = model.running.backbone
    backbone.register_forward_hook(
        lambda module, given, maps: {k: v * 1e25 for k, v in maps.items()}
    )
    with pytest.raises(TrovidError, match="other weights are needed"):
        model.explain(np.stack([frame()] * 3), frame=1, boxes=torch.tensor([[30.0, 20, 140, 99]]))


class Nothing(torch.nn.Module):
    """In the place of an aggregation: a level where no feature is left."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self.level = level

    def forward(self, features, support):
        assert len(support[0].rows) == 2
        return {**features, self.level: features[self.level] * 0}


def test_what_is_explained_is_what_the_detector_pools(tmp_path, monkeypatch):
    """Support by `encode`, without the target frame, and levels as they are after aggregation."""
    path = save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-selsa-troi")
    model = trovid.load(path, device="cpu")
    asked, encode = [], model.encode
    monkeypatch.setattr(model, "encode", lambda frames: asked.extend(frames) or encode(frames))
    wanted = {"frame": 1, "boxes": [[30, 20, 140, 100]], "support": "uniform:3"}
    found = model.explain(np.stack([frame()] * 3), **wanted)
    assert [f.index for f in asked] == [0, 1, 2]
    assert [f.index for f in found.support] == [0, 2]
    assert (found.similarities[:, :, 0] > 0.5).all()
    monkeypatch.setattr(model.running, "aggregation", Nothing(found.levels[0]))
    found = model.explain(np.stack([frame()] * 3), **wanted)
    assert not found.similarities.any()
