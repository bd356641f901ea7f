"""Panels: what is drawn beside what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trovid import viz
from trovid.structures import Detections, GroundTruth
from trovid.video.opening import Frame
from trovid.viz import class_colour
from trovid.viz.panels import Panels

FRAME = Frame(3, 0.3, np.full((120, 160, 3), 100, np.uint8))
CLASSES = ("cup", "telephone")
BOX = torch.tensor([[30.0, 40.0, 120.0, 100.0]])


def detections(label: int) -> Detections:
    return Detections(BOX, torch.tensor([0.9]), torch.tensor([label]), CLASSES, frame_index=3)


def has(picture: np.ndarray, name: str) -> bool:
    return bool((picture == class_colour(name, CLASSES)).all(axis=2).any())


def truths() -> list[GroundTruth]:
    one = GroundTruth(BOX, torch.tensor([0]), torch.tensor([0]), CLASSES)
    return [one] * 4


def test_alone_it_is_the_drawing():
    assert np.array_equal(Panels().picture(FRAME, detections(0)), viz.draw(FRAME, detections(0)))


def test_the_source_stands_on_the_left_without_detections():
    picture = Panels(source=True, title="model").picture(FRAME, detections(0))
    assert not has(picture[:, :160], "cup")
    assert has(picture[:, 160:], "cup")


def test_ground_truth_is_drawn_thin_in_every_panel_but_beyond_its_end():
    panels = Panels(source=True, truth=truths())
    with_truth = panels.picture(FRAME, detections(0))
    without = Panels(source=True).picture(FRAME, detections(0))
    changed = (with_truth != without).any(axis=2)
    assert changed[30:, :160].any()
    assert changed[30:, 170:].any()
    late = Frame(4, 0.4, FRAME.image)
    assert np.array_equal(
        panels.picture(late, detections(0))[30:],
        Panels(source=True).picture(late, detections(0))[30:],
    )


def test_other_runs_have_their_own_panel():
    panels = Panels(beside={"other": {3: detections(1)}}, title="mine")
    picture = panels.picture(FRAME, detections(0))
    assert has(picture[:, :160], "telephone")
    assert not has(picture[:, :160], "cup")
    assert has(picture[:, 160:], "cup")
    assert not has(picture[:, 160:], "telephone")
    empty = panels.picture(Frame(9, 0.9, FRAME.image), detections(0))
    assert not has(empty[:, :160], "telephone")


@pytest.mark.parametrize("others", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("source", [False, True])
def test_the_size_is_that_of_the_picture(others, source):
    beside = {str(k): {3: detections(1)} for k in range(others)}
    panels = Panels(source=source, beside=beside)
    picture = panels.picture(FRAME, detections(0))
    assert picture.shape[:2] == panels.size(120, 160)
    count = 1 + source + others
    if count > 3:
        assert picture.shape[0] > 230


def test_public_names_of_viz():
    assert viz.__all__ == [
        *(
            "LabelStyle",
            "Panels",
            "Timeline",
            "class_colour",
            "contact_sheet",
            "draw",
            "grid",
            "side_by_side",
        )
    ]
    assert all(getattr(viz, name) is not None for name in viz.__all__)
