"""The mask head of torchvision's Mask R-CNN, taken over."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection.roi_heads import paste_masks_in_image

from trovid.detectors.masktrack.instances import pasted
from trovid.detectors.torchvision.detector import from_torchvision
from trovid.structures import Masks

SIZE = (128, 160)


@pytest.mark.parametrize(
    "name",
    ["maskrcnn_resnet50_fpn", pytest.param("maskrcnn_resnet50_fpn_v2", marks=pytest.mark.slow)],
)
def test_the_masks_are_torchvisions(name):
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=5)
    detector = from_torchvision(model.eval(), unused=(2,), temporal=False)
    levels = {str(i): torch.randn(1, 256, 32 >> i, 40 >> i) for i in range(4)}
    boxes = [torch.tensor([[10.0, 8, 60, 70], [0, 0, 160, 128], [90, 30, 98, 36]])]
    with torch.inference_mode():
        heads = model.roi_heads
        features = heads.mask_head(heads.mask_roi_pool(levels, boxes, [SIZE]))
        theirs = heads.mask_predictor(features)
        logits = detector.mask_head(detector.mask_features(levels, boxes, [SIZE]))
    torch.testing.assert_close(logits, theirs[:, [1, 3, 4]], atol=1e-5, rtol=1e-5)


def test_maps_are_laid_on_boxes_as_torchvision_lays_them():
    """Up to its rounding of boxes to whole pixels."""
    boxes = torch.tensor([[10.3, 8.4, 60.2, 70.9], [-5.0, 3.0, 160.0, 128.0]])
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    discs = (4 * (0.8 - x**2 - y**2)).sigmoid().expand(2, 1, 28, 28)
    whole = paste_masks_in_image(discs, boxes, SIZE)[:, 0] >= 0.5
    assert pasted(discs[:, 0], boxes, SIZE).iou(Masks.from_dense(whole)).diagonal().min() > 0.94


def test_masks_may_be_left_behind():
    model = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
    assert not from_torchvision(model, masks=False).segments
