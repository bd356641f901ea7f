"""Drawing: where boxes and labels come to lie, and how pictures are put together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trovid.errors import TrovidError
from trovid.structures import Detections, GroundTruth
from trovid.viz import class_colour, contact_sheet, draw, side_by_side
from trovid.viz.canvas import Canvas, LabelStyle

CLASSES = ("cup", "telephone")
GREY = 100


def picture(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def detections(boxes, scores=None, labels=None) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.linspace(0.9, 0.5, count) if scores is None else torch.tensor(scores),
        torch.zeros(count, dtype=torch.long) if labels is None else torch.tensor(labels),
        CLASSES,
    )


def truth(box) -> GroundTruth:
    return GroundTruth(torch.tensor([box]), torch.tensor([1]), torch.tensor([0]), CLASSES)


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GREY).any(axis=2)


def test_a_box_is_drawn_in_its_class_colour_and_the_inside_left_alone():
    image = picture()
    drawn = draw(image, detections([[100, 80, 200, 180]]))
    assert (image == GREY).all()
    assert (drawn.dtype, drawn.shape) == (np.uint8, image.shape)
    for y, x in ((80, 150), (179, 150), (130, 100), (130, 199)):
        assert tuple(drawn[y, x]) == class_colour("cup", CLASSES)
    assert (drawn[84:176, 104:196] == GREY).all()
    assert (drawn[:50] == GREY).all()
    assert (drawn[185:] == GREY).all()


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), "cup"])
def test_an_outline_shows_on_any_ground_its_own_colour_too(ground):
    colour = class_colour("cup", CLASSES) if ground == "cup" else ground
    image = np.full((240, 320, 3), colour, np.uint8)
    drawn = draw(image, detections([[100, 80, 200, 180]])).astype(int)
    difference = np.abs(drawn - colour).sum(axis=2)[130]
    assert difference[95:106].max() > 200
    assert difference[194:205].max() > 200


def test_without_objects_the_picture_stays_as_it_is():
    assert np.array_equal(draw(picture(), detections([])), picture())


def test_ground_truth_is_dashed_white_and_thinner_than_detections():
    drawn = draw(picture(), detections([]), ground_truth=truth([100.0, 80.0, 200.0, 180.0]))
    edge = {tuple(pixel) for pixel in drawn[80, 102:198].tolist()}
    assert edge == {(0, 0, 0), (255, 255, 255)}
    both = draw(picture(), detections([[20, 80, 80, 180]]), ground_truth=truth([100, 80, 200, 180]))
    column = changed(both)[130]
    assert column[15:40].sum() > column[95:120].sum() - 1


def test_lines_and_text_grow_with_the_picture():
    box = np.array([0.3, 0.3, 0.7, 0.7])
    shares = []
    for height, width in ((480, 640), (1440, 1920)):
        scaled = (box * [width, height, width, height]).tolist()
        shares.append(changed(draw(picture(height, width), detections([scaled]))).mean())
    assert 0.5 < shares[0] / shares[1] < 2


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 40, 30],
        [290, 0, 320, 30],
        [280, 220, 320, 240],
        [-50, -50, 400, 300],
        [500, 9, 600, 99],
    ],
    ids=["top-left", "top-right", "bottom-right", "around", "outside"],
)
def test_labels_stay_inside(box):
    canvas = Canvas(picture())
    canvas.label(box, "telephone 0.99", (255, 0, 0))
    left, top, right, bottom = canvas.taken[0]
    assert left >= 0
    assert top >= 0
    assert right <= 320
    assert bottom <= 240
    assert (np.asarray(canvas.picture)[top, left:right] == (255, 0, 0)).all()


@pytest.mark.parametrize("place", [(50.4, 2.0), (-1e30, 9.0), (1e30, 1e19), (3e9, -3e9)])
def test_a_tag_stays_inside_wherever_it_is_wanted(place):
    canvas = Canvas(picture(), objects=[[100, 100, 180, 180]])
    canvas.tag(place, "cup 3", (255, 0, 0), [100, 100, 180, 180])
    ((left, top, right, bottom),) = canvas.taken
    assert 0 <= left < right <= 320
    assert 0 <= top < bottom <= 240


def test_labels_of_nearby_boxes_do_not_cover_each_other():
    canvas = Canvas(picture())
    boxes = [[100, 100, 180, 180], [102, 99, 182, 181], [98, 101, 179, 183], [101, 101, 181, 179]]
    for box in boxes:
        canvas.label(box, "cup 0.50", (255, 0, 0))
    covered = np.zeros((240, 320), int)
    for left, top, right, bottom in canvas.taken:
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1
    assert canvas.taken[0][3] == 100


def test_tiny_pictures_and_long_names_can_be_drawn():
    drawn = draw(picture(16, 17), detections([[2, 2, 9, 9]]), ground_truth=truth([1.0, 1, 9, 9]))
    assert drawn.shape == (16, 17, 3)
    assert changed(drawn).any()
    assert draw(picture(1, 1), detections([[0, 0, 1, 1]])).shape == (1, 1, 3)


def small_crowd() -> list[list[float]]:
    """Small objects all around a large one and each other."""
    rows = [[x, y, x + 9, y + 9] for x in range(4, 300, 22) for y in range(4, 220, 24)]
    return [[100, 60, 220, 180], *rows]


@pytest.mark.parametrize("boxes", [small_crowd(), [[150, 110, 158, 120]], [[0, 0, 9, 9]]])
def test_labels_never_cover_small_objects(boxes):
    canvas = Canvas(picture(), objects=boxes)
    for box in boxes:
        canvas.label(box, "telephone 0.99", (255, 0, 0))
    for left, top, right, bottom in canvas.taken:
        for x1, y1, x2, y2 in boxes:
            if (x2 - x1) * (y2 - y1) < 200:
                assert min(right, x2) <= max(left, x1) or min(bottom, y2) <= max(top, y1)
    assert len(boxes) > 1 or len(canvas.taken) == 1


def test_a_label_further_away_is_joined_to_its_box():
    boxes = [[150, 120, 160, 130]]
    around = [[x, y, x + 9, y + 9] for x in range(60, 250, 11) for y in (96, 106, 116, 133, 143)]
    canvas = Canvas(picture(), objects=[*boxes, *around])
    canvas.label(boxes[0], "cup 0.9", (255, 0, 0))
    ((_, top, _, bottom),) = canvas.taken
    assert bottom < 96 or top > 152
    drawn = (np.asarray(canvas.picture) == (255, 0, 0)).all(axis=2)
    between = drawn[bottom:120] if bottom < 120 else drawn[130:top]
    assert between.any(axis=1).all()


def test_labels_of_a_size_and_none():
    image, found = picture(), detections([[100, 80, 200, 180]])
    plain = changed(draw(image, found, style=LabelStyle(shown=False)))
    assert not plain[:74].any()
    small, large = (changed(draw(image, found, style=LabelStyle(size=s)))[:76] for s in (8, 32))
    assert 0 < small.sum() < large.sum() / 4
    for size in (3, 401):
        with pytest.raises(TrovidError, match=r"`label_size` must lie in 4\.\.400"):
            LabelStyle(size=size)


def test_another_type_or_shape_is_refused():
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\], but got float64 \[4, 4, 3\]"):
        draw(np.zeros((4, 4, 3)), detections([]))


def test_side_by_side_has_titles_above_and_even_measures():
    red, blue = np.zeros((61, 81, 3), np.uint8), np.zeros((61, 80, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    joined = side_by_side([red, blue], ["left", "a title that is much too long for this width"])
    assert joined.shape[0] % 2 == joined.shape[1] % 2 == 0
    assert (joined == (255, 0, 0)).all(axis=2).sum() >= 61 * 81
    assert (joined == (0, 0, 255)).all(axis=2).sum() >= 61 * 80
    bar = joined[: joined.shape[0] - 62]
    assert (bar[:, :81] == 255).any()
    assert (bar[:, 90:] == 255).any()
    with pytest.raises(ValueError, match="are 2 and 1"):
        side_by_side([red, blue], ["left"])


def test_a_contact_sheet_keeps_every_picture_whole():
    tints = [(10 * k, 200, 0) for k in range(1, 6)]
    sizes = [(20, 30), (25, 10), (15, 40), (20, 20), (30, 50)]
    a, b, c, d, e = (
        np.full((*size, 3), tint, np.uint8) for size, tint in zip(sizes, tints, strict=True)
    )
    sheet = contact_sheet([[a, b], [c], [d, e]])
    for size, tint in zip(sizes, tints, strict=True):
        ys, xs = np.nonzero((sheet == tint).all(axis=2))
        assert len(ys) == size[0] * size[1]
        assert (np.ptp(ys) + 1, np.ptp(xs) + 1) == size
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([[]])
