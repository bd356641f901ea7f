"""What is left of an object in the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trovid.errors import OptionError
from trovid.redaction import Redaction, cover, coverage, regions
from trovid.structures import Masks

SIZE = (80, 120)


def scene() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def covered(*boxes, **form) -> np.ndarray:
    return coverage(regions(boxes, size=SIZE, **form), SIZE)


def test_box_with_margin():
    pixels = covered([40, 20, 60, 60], margin=0.2)
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (12, 67, 36, 63)
    assert pixels.sum() == 56 * 28


def test_every_pixel_that_a_box_touches_and_two_beside():
    assert np.flatnonzero(covered([40.6, 20, 60.2, 60]).any(0)).tolist() == list(range(38, 63))


def test_ellipse_lies_within_the_box():
    box, ellipse = (covered([40, 20, 60, 60], by=by, margin=0.2) for by in ("box", "ellipse"))
    assert not (ellipse & ~box).any()
    assert ellipse.sum() / box.sum() == pytest.approx(np.pi / 4, abs=0.02)
    assert not ellipse[12, 36]
    assert ellipse[12, 50]


def test_at_the_border_and_outside():
    assert covered([-50, -50, 10, 10]).sum() == 12 * 12
    assert covered([200, 200, 240, 240]).sum() == 0
    assert covered([float("nan"), 0, 1, 1]).all()


def test_mask_with_what_lies_near_and_an_empty_one_as_box():
    dense = np.zeros((2, *SIZE), dtype=bool)
    dense[0, 30:50, 40:60] = True
    masks = Masks.from_dense(dense)
    boxes = [[40, 30, 60, 50], [90, 10, 100, 20]]
    pixels = coverage(regions(boxes, size=SIZE, by="mask", margin=0.2, masks=masks), SIZE)
    assert pixels[30:50, 40:60].all()
    assert pixels[40, 36]
    assert not pixels[40, 35]
    assert not pixels[26, 36]  # the corner is further away
    assert pixels[8:22, 88:102].all()
    assert covered(*boxes, by="mask")[40, 40]


@pytest.mark.parametrize("fill", ["blur", "pixelate", "solid"])
def test_only_the_region_changes(fill):
    image = scene()
    areas = list(regions([[40, 20, 60, 60]], size=SIZE, by="ellipse"))
    changed = cover(image, areas, fill)
    outside = ~coverage(areas, SIZE)
    assert (changed[outside] == image[outside]).all()
    assert (changed[~outside] != image[~outside]).any(-1).mean() > 0.95


@pytest.mark.parametrize("fill", ["blur", "pixelate", "solid"])
@pytest.mark.parametrize("side", [6, 20, 70])
def test_what_is_finer_than_the_cells_leaves_no_trace(fill, side):
    """Two pictures that differ in everything but their cells' means give the same one."""
    areas = list(regions([[4, 4, 4 + side, 4 + side]], size=SIZE))
    rng = np.random.default_rng(1)
    fine = rng.integers(-60, 61, (40, 60, 3))
    fine = np.kron(fine, np.array([[1, -1], [-1, 1]])[..., None])  # of mean 0 in each 2 x 2
    plain = np.full((*SIZE, 3), 128, np.uint8)
    detailed = (plain + fine).astype(np.uint8)
    one, other = cover(plain, areas, fill), cover(detailed, areas, fill)
    inside = coverage(areas, SIZE)
    difference = np.abs(one[inside].astype(int) - other[inside])
    assert np.abs(detailed[inside].astype(int) - plain[inside]).mean() > 20
    assert difference.max() <= 20  # a cell's edge may cut a square of two
    assert difference.mean() <= 4


@pytest.mark.parametrize(("side", "most"), [(6, 1), (40, 5 * 5), (70, 8 * 8)])
def test_number_of_colours_that_are_left(side, most):
    areas = list(regions([[3, 3, 3 + side, 3 + side]], size=SIZE))
    changed = cover(scene(), areas, "pixelate")
    colours = np.unique(changed[coverage(areas, SIZE)], axis=0)
    assert 1 <= len(colours) <= most


def test_solid_is_black():
    areas = list(regions([[4, 4, 30, 30]], size=SIZE))
    assert cover(scene(), areas, "solid")[coverage(areas, SIZE)].max() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "circle"},
        {"fill": "grey"},
        {"fill_gaps": -1},
        {"margin": -0.1},
        {"margin": float("nan")},
    ],
)
def test_wrong_options(wrong):
    (name,) = wrong
    with pytest.raises(OptionError, match=f"`{name}` must"):
        Redaction(**wrong)


def test_masks_of_a_model_are_tensors():
    masks = Masks.from_dense(torch.ones(1, *SIZE, dtype=torch.bool))
    assert coverage(regions([[0, 0, 9, 9]], size=SIZE, by="mask", masks=masks), SIZE).all()
