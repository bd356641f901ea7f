"""`trovid.load` of a torchvision detector in memory."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection import retinanet_resnet50_fpn

import trovid
from tests.detectors.torchvision.networks import frame, network, pixels
from trovid.errors import OptionError

MOBILENET = "fasterrcnn_mobilenet_v3_large_320_fpn"
CLASSES = ("kettle", "cup", "spoon")


def test_it_finds_in_frames_what_torchvision_finds():
    network_ = network(MOBILENET, len(CLASSES) + 1)
    network_.roi_heads.score_thresh, network_.roi_heads.detections_per_img = 0.2, 30
    with torch.no_grad():
        (theirs,) = network_([pixels(frame())])
    model = trovid.load(network_, classes=CLASSES, device="cpu")
    assert model.class_names == CLASSES
    found, again = model.detect([frame(), frame()])
    assert len(found) == len(theirs["boxes"]) == 30
    assert torch.equal(found.labels + 1, theirs["labels"])
    assert (found.boxes - theirs["boxes"]).abs().max() < 0.01
    assert (found.scores - theirs["scores"]).abs().max() < 5e-5
    assert torch.equal(found.boxes, again.boxes)
    (few,) = model.detect([frame()], score=0.5, classes=["cup"], max_detections=3)
    assert set(few.names) <= {"cup"}
    assert len(few) <= 3


def test_training_free_it_looks_at_other_frames():
    network_ = network(MOBILENET, len(CLASSES) + 1)
    alone = trovid.load(network_, classes=CLASSES, device="cpu")
    other = [frame(), frame()[:, ::-1].copy()]
    before = [found.boxes.tolist() for found in alone.detect(other)]
    free = trovid.load(network_, classes=CLASSES, device="cpu", temporal="training-free")
    after = [found.boxes.tolist() for found in free.detect(other)]
    assert "training-free" in free.name
    assert before != after


def test_names_of_classes():
    coco = trovid.load(network(MOBILENET), device="cpu")
    assert (len(coco.class_names), coco.class_names[0]) == (80, "person")
    assert trovid.load(network(MOBILENET, 3), device="cpu").class_names == ("class 1", "class 2")
    with pytest.raises(ValueError, match="must name the 2 classes of the box head, but has 3"):
        trovid.load(network(MOBILENET, 3), classes=CLASSES, device="cpu")
    with pytest.raises(OptionError, match="`classes` names those of a module"):
        trovid.load("synthvid-single", classes=CLASSES)
    with pytest.raises(TypeError, match="must be a FasterRCNN of torchvision"):
        trovid.load(retinanet_resnet50_fpn(weights=None, weights_backbone=None))
