"""What the clips look like."""

import math

import numpy as np
import pytest

from trovid.datasets.synthvid import KINDS, make_clip
from trovid.datasets.synthvid.deteriorations import Look, Manner, draw_object
from trovid.datasets.synthvid.glyphs import glyphs, place
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.script import Pose

SIDE = 160


def pose_of(glyph, size=80.0, centre=(80.0, 80.0)):
    matrix = np.eye(2) * size / glyph.grid
    return Pose(size, centre, *(place(p, matrix, centre) for p in (glyph.glyph, glyph.silhouette)))


def draw(glyph, kind, strength=1.3, centre=(80.0, 80.0), seed=4):
    image = np.full((SIDE, SIDE, 3), 0.5, dtype=np.float32)
    look = Look(np.array([0.9, 0.3, 0.1], np.float32), np.array([0.1, 0.1, 0.3], np.float32))
    rng = Rng(seed)
    draw_object(
        image,
        pose_of(glyph, centre=centre),
        look,
        kind=kind,
        strength=strength,
        manner=Manner(0.5, (0.0, 0.0), (look.body, look.ink)),
        rng=rng,
    )
    return image


def by_name(name):
    return next(glyph for glyph in glyphs() if glyph.name == name)


@pytest.mark.parametrize("kind", KINDS)
def test_deterioration_hides_the_difference_of_two_classes(kind):
    star, gear = by_name("star"), by_name("gear")
    clear = np.abs(draw(star, "none") - draw(gear, "none")).mean()
    weak = np.abs(draw(star, kind, 0.5) - draw(gear, kind, 0.5)).mean()
    strong = np.abs(draw(star, kind, 1.5) - draw(gear, kind, 1.5)).mean()
    assert strong < 0.62 * clear
    assert strong < weak


@pytest.mark.parametrize("kind", ["motion_blur", "defocus", "noise"])
def test_deterioration_keeps_the_colour(kind):
    """The middle of the object stays redder than it is blue, as the sticker is."""
    centre = draw(by_name("gear"), kind)[60:100, 60:100].mean(axis=(0, 1))
    assert centre[0] > centre[2] + 0.05


@pytest.mark.parametrize("kind", ["none", *KINDS])
@pytest.mark.parametrize("centre", [(80.0, 80.0), (-20.0, 150.0), (158.0, 3.0), (400.0, 80.0)])
def test_values_stay_in_range_also_at_the_border(kind, centre):
    image = draw(by_name("cup"), kind, centre=centre)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1


def test_defocus_is_a_gaussian():
    """Held against a blur of the sharp picture; the sum of the weights is kept."""
    from scipy.ndimage import gaussian_filter

    sharp, blurred = draw(by_name("heart"), "none"), draw(by_name("heart"), "defocus", 1.0)
    expected = gaussian_filter(sharp, (0.0975 * 80, 0.0975 * 80, 0))
    assert np.abs(blurred - expected).max() < 0.02


def test_motion_blur_runs_along_its_angle():
    image = draw(by_name("star"), "motion_blur", 1.0)
    along = np.array([math.cos(0.5), math.sin(0.5)])
    across = np.array([-along[1], along[0]])
    grey = image[..., 0]

    def change(direction):
        ys, xs = np.mgrid[40:120, 40:120]
        moved = grey[
            (ys + np.rint(4 * direction[1]).astype(int)),
            (xs + np.rint(4 * direction[0]).astype(int)),
        ]
        return np.abs(moved - grey[40:120, 40:120]).mean()

    assert change(along) < 0.7 * change(across)


def test_frames_are_the_same_in_a_second_run():
    first, second = make_clip("val", 3), make_clip("val", 3)
    assert np.array_equal(first.frames, second.frames)
    assert first.frames.shape == (24, 256, 256, 3)
    assert first.frames.dtype == np.uint8


BLOCKS = """
150 128 45 119 119 39 108 118 68 114 108 39 92 67 34 88 59 25 115 126 70 97 115 33 41 48 37 49 47
44 113 70 18 111 97 28 87 50 18 62 60 29 92 93 21 87 115 93 146 111 44 137 110 53 105 105 32 108
103 30 122 80 55 138 103 51 128 142 106 93 126 62 116 94 66 130 107 70 141 130 96 109 97 43 124
66 22 97 98 39 101 99 25 89 114 90 138 105 31 124 121 40 101 98 20 96 103 20 114 90 54 161 116 46
123 149 97 95 103 20 117 117 94 136 117 95 130 89 22 115 92 39 137 86 51 124 127 91 97 97 25 92
112 77
"""


def test_frames_stay_within_a_grey_level_of_the_pinned_ones():
    frames = make_clip("train", 0).frames[::8]
    blocks = frames.reshape(3, 4, 64, 4, 64, 3).mean(axis=(2, 4)).reshape(-1)
    assert np.abs(blocks - np.array(BLOCKS.split(), dtype=float)).max() <= 1.5


def test_colour_does_not_tell_the_class():
    """The nearest neighbour by mean colour names the class as rarely as chance would."""
    colours, labels, clip_of = [], [], []
    for index in range(24):
        clip = make_clip("train", index, height=128, width=128)
        seen = set()
        for a in clip.annotations:
            if a.deterioration == "none" and a.instance not in seen:
                seen.add(a.instance)
                x, y, w, h = a.box
                patch = clip.frames[a.frame_index, y : y + h, x : x + w]
                colours.append(patch[a.mask].mean(axis=0))
                labels.append(a.label)
                clip_of.append(index)
    colours, labels, clip_of = np.array(colours), np.array(labels), np.array(clip_of)
    distance = np.abs(colours[:, None] - colours[None]).sum(axis=2)
    distance[clip_of[:, None] == clip_of[None]] = np.inf
    hits = (labels[distance.argmin(axis=1)] == labels).mean()
    assert hits < 1 / 20 + 4 * (0.05 * 0.95 / len(labels)) ** 0.5


def test_clear_objects_show_their_pictogram_in_two_colours():
    clip = make_clip("test", 1)
    a = next(a for a in clip.annotations if a.deterioration == "none")
    x, y, w, h = a.box
    pixels = clip.frames[a.frame_index, y : y + h, x : x + w][a.mask].astype(float)
    brightness = pixels @ [0.3, 0.59, 0.11]
    assert np.percentile(brightness, 95) - np.percentile(brightness, 5) > 0.25 * 255
