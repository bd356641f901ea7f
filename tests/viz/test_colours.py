"""Colours of classes: how far they lie from each other in CIELAB, and on what they show."""

from __future__ import annotations

import numpy as np
import pytest

from trovid.recipes import load_recipe
from trovid.viz import class_colour
from trovid.viz.colours import brightness, ink_on, palette_colour, readable


def lab(colours: list[tuple[int, int, int]]) -> np.ndarray:
    """CIE 1976 L*, a*, b* of sRGB colours under D65."""
    values = np.array(colours) / 255
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    to_xyz = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1, 1.0888]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def nearest(colours: list[tuple[int, int, int]]) -> float:
    places = lab(colours)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    return float(distances[~np.eye(len(colours), dtype=bool)].min())


@pytest.mark.parametrize(("count", "distance"), [(20, 24), (30, 18), (80, 11)])
def test_as_many_classes_can_be_told_apart_in_light_and_dark(count, distance):
    colours = [palette_colour(place) for place in range(count)]
    assert nearest(colours) > distance
    assert nearest([readable(colour) for colour in colours]) > distance
    for ground in ((255, 255, 255), (0, 0, 0), (24, 24, 24)):
        shades = [readable(c) if sum(ground) < 100 else c for c in colours]
        assert min(nearest([ground, colour]) for colour in shades) > 15


@pytest.mark.parametrize("name", ["synthvid-selsa-troi", "coco-r50-fpn"])
def test_every_class_of_a_model_has_a_colour_of_its_own(name):
    names = load_recipe(name).model.classes
    assert len({class_colour(class_name, names) for class_name in names}) == len(names)


def test_text_is_read_on_every_colour_and_a_strip_shows_it():
    for place in range(80):
        colour = palette_colour(place)
        assert abs(brightness(ink_on(colour)) - brightness(colour)) > 100
        assert brightness(readable(colour)) >= 128
    assert palette_colour(80) == palette_colour(0)
