import torch
from torchvision.ops import box_iou

from trovid.benchmarks.inputs import OperatorSize, make_inputs

SIZE = OperatorSize(rois=60, frames=3, channels=16, height=20, width=30)


def test_seeded_and_alike_in_all_forms():
    first, again = make_inputs(SIZE), make_inputs(SIZE)
    other = make_inputs(SIZE, seed=1)
    for name in ("features", "support", "boxes", "grad_output"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    average = make_inputs(OperatorSize(**{**SIZE.values(), "form": "average"}))
    assert average.weight is None
    assert torch.equal(first.boxes, average.boxes)
    assert torch.equal(first.support, average.support)


def test_boxes_are_clustered_and_within_the_image():
    boxes = make_inputs(SIZE).boxes
    assert boxes.shape == (60, 4)
    assert (boxes[:, 2:] - boxes[:, :2]).min() > 1
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 30 * 16
    assert boxes[:, 3].max() <= 20 * 16
    near = box_iou(boxes, boxes).fill_diagonal_(0).amax(dim=1)
    assert near.median() > 0.5


def test_support_resembles_the_target_and_no_vector_is_zero():
    inputs = make_inputs(SIZE)
    rows = torch.nn.functional.normalize(inputs.support.flatten(2).transpose(1, 2), dim=2)
    target = torch.nn.functional.normalize(inputs.features.flatten(2).transpose(1, 2)[0], dim=1)
    best = (target @ rows.flatten(0, 1).t()).amax(dim=1)
    assert best.median() > 0.9
    assert inputs.support.amax(dim=1).min() > 0
    assert inputs.features.min() == 0
