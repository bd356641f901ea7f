import math

import numpy as np
import pytest

from trovid.datasets.synthvid.glyphs import SUBPIXEL, class_names, coverage, glyphs, mask, place


def test_there_are_at_least_twenty_classes():
    assert len(class_names()) >= 20
    assert list(class_names()) == sorted(set(class_names()))


def turned(polygons, grid, degrees, size, centre):
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) * size / grid
    return place(polygons, matrix, centre)


def shoelace(polygon):
    x, y = polygon[:, 0] / SUBPIXEL, polygon[:, 1] / SUBPIXEL
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


@pytest.mark.parametrize("glyph", glyphs(), ids=lambda glyph: glyph.name)
def test_glyph_lies_on_its_sticker(glyph):
    longest = np.ptp(np.concatenate(glyph.silhouette), axis=0).max()
    assert longest == pytest.approx(glyph.grid, abs=1)
    sticker, ink = (
        coverage(turned(part, glyph.grid, 20, 80, (60.3, 59.8)), 0, 0, (120, 120), 1.0)
        for part in (glyph.silhouette, glyph.glyph)
    )
    assert (ink <= sticker + 1e-5).all()
    assert 0.1 < ink.sum() / sticker.sum() < 0.8


@pytest.mark.parametrize("glyph", glyphs(), ids=lambda glyph: glyph.name)
def test_both_rasterisations_agree_with_the_area(glyph):
    polygons = turned(glyph.silhouette, glyph.grid, -35, 70, (50.25, 60.5))
    inside, left, top = mask(polygons)
    soft = coverage(polygons, left, top, inside.shape, 1.0)
    area = sum(shoelace(p) for p in polygons)
    assert soft.sum() == pytest.approx(area, rel=0.003)
    assert inside.sum() == pytest.approx(area, rel=0.02)
    assert ((soft > 0.75) <= inside).all()
    assert ((soft < 0.25) <= ~inside).all()


def test_mask_takes_the_pixels_whose_centre_is_inside():
    square = (np.array([[128, 128], [640, 128], [640, 640], [128, 640]]),)
    inside, left, top = mask(square)
    assert (left, top) == (0, 0)
    assert inside.tolist() == [[True, True, False]] * 2 + [[False] * 3]


def test_a_contour_the_other_way_round_is_a_hole():
    outer = np.array([[0, 0], [8, 0], [8, 8], [0, 8]]) * SUBPIXEL
    hole = np.array([[2, 2], [2, 4], [4, 4], [4, 2]]) * SUBPIXEL
    inside, _, _ = mask((outer, hole))
    soft = coverage((outer, hole), 0, 0, (8, 8), 1.0)
    assert inside.sum() == 60
    assert not inside[2:4, 2:4].any()
    assert np.array_equal(soft[:, :8] > 0.5, inside[:8, :8])


def test_mask_moves_with_whole_pixels():
    glyph = glyphs()[0]
    here = mask(turned(glyph.silhouette, glyph.grid, 10, 60, (40.5, 50.25)))
    there = mask(turned(glyph.silhouette, glyph.grid, 10, 60, (40.5 - 100, 50.25 + 7)))
    assert np.array_equal(here[0], there[0])
    assert (there[1] - here[1], there[2] - here[2]) == (-100, 7)


def test_coverage_is_cut_at_the_window():
    glyph = glyphs()[3]
    polygons = turned(glyph.silhouette, glyph.grid, 0, 90, (50, 50))
    whole = coverage(polygons, 0, 0, (100, 100), 1.0)
    part = coverage(polygons, 30, 40, (25, 20), 1.0)
    assert np.allclose(part, whole[40:65, 30:50], atol=1e-5)


def test_coarse_cells_are_means_of_fine_ones():
    glyph = glyphs()[5]
    polygons = turned(glyph.silhouette, glyph.grid, 15, 90, (60, 60))
    fine = coverage(polygons, 0, 0, (120, 120), 1.0)
    coarse = coverage(polygons, 0, 0, (30, 30), 4.0)
    assert np.allclose(coarse, fine.reshape(30, 4, 30, 4).mean(axis=(1, 3)), atol=0.12)
