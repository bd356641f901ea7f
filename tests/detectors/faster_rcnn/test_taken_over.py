"""Boxes of support frames that are looked at in the target frame too."""

from __future__ import annotations

import pytest
import torch

from tests.detectors.candidates import CANDIDATES
from tests.detectors.faster_rcnn.test_detector import frames, make
from trovid.detectors.building import build_detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.detectors.faster_rcnn.taken_over import best_boxes, with_taken_over
from trovid.errors import OptionError
from trovid.recipes import changed_recipe, load_recipe


def test_the_best_box_of_each_object_is_taken():
    boxes = torch.tensor(
        [[[0.0, 0, 10, 10]], [[1, 0, 11, 10]], [[50, 50, 70, 200]], [[5, 60, 9, 70]]]
    )
    scores = torch.tensor([[0.2, 0.1], [0.1, 0.6], [0.3, 0.0], [0.05, 0.1]])
    best = best_boxes(boxes, scores, (100, 100), 2)
    expected = torch.tensor([[1, 0, 11, 10, 0.6], [50, 50, 70, 100, 0.3]])
    torch.testing.assert_close(best, expected)
    of_classes = torch.stack([boxes[:, 0], boxes[:, 0] + 20], 1)
    second = best_boxes(of_classes, scores, (300, 300), 1)
    assert second[0, :4].tolist() == [21, 20, 31, 30]
    assert best_boxes(boxes[:0], scores[:0], (100, 100), 2).shape == (0, 5)


def test_what_is_looked_at_already_is_not_taken_over():
    proposals = torch.tensor([[0.0, 0, 10, 10], [30, 30, 60, 60]])
    first = torch.tensor([[0.0, 0, 10, 11, 0.9], [70, 0, 90, 20, 0.4]])
    second = torch.tensor([[70.0, 1, 90, 21, 0.8], [20, 70, 40, 130, 0.1]])
    joined = with_taken_over(proposals, [first, second], (100, 100))
    added = [[70, 1, 90, 21], [20, 70, 40, 100]]
    assert joined.tolist() == [*proposals.tolist(), *added]
    assert with_taken_over(proposals, [], (100, 100)).tolist() == proposals.tolist()
    assert len(with_taken_over(proposals[:0], [first, second], (100, 100))) == 3


@pytest.mark.parametrize("name", ["synthvid-single", "synthvid-selsa-troi"])
def test_the_target_frame_is_looked_at_in_more_places(name):
    detector, image = make(name), frames(1, seed=2)
    uses_support = detector.uses_support
    with torch.no_grad():
        plain = detector.detect(image, [detector.encode(frames(3))], options=CANDIDATES)[0]
        detector.support_proposals = 2
        assert detector.uses_support
        support = detector.encode(frames(3))
        more = detector.detect(image, [support], options=CANDIDATES)[0]
        none = detector.detect(image, [support.select([])], options=CANDIDATES)[0]
        alone = detector.detect(image, options=CANDIDATES)[0]
    assert [boxes.shape for boxes in support.found] == [(2, 5)] * 3
    assert len(none) == len(alone) == len(plain)
    assert len(plain) < len(more) <= len(plain) + 6
    torch.testing.assert_close(more.class_scores[: len(plain)], plain.class_scores)
    joined = Support.cat([support.without(0), support.select([0])])
    assert torch.equal(joined.found[-1], support.found[0])
    assert joined.nbytes == support.nbytes
    assert detector.train().uses_support == uses_support


def test_a_recipe_says_how_many():
    recipe = changed_recipe(load_recipe("synthvid-single"), {"inference.support_proposals": 4})
    assert build_detector(recipe).eval().support_proposals == 4
    torchvision = changed_recipe(load_recipe("coco-r50-fpn"), {"inference.support_proposals": 4})
    with pytest.raises(OptionError, match="support_proposals must be 0"):
        build_detector(torchvision)
