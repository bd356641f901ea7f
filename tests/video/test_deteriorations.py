"""What spoils frames: how much, and that it depends on the source of chance alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from trovid.video.deteriorations import (
    KINDS,
    RANGES,
    covered,
    defocused,
    deteriorated,
    drawn_strength,
    motion_blurred,
)


def scene(height: int = 60, width: int = 90) -> np.ndarray:
    rng = np.random.default_rng(0)
    cells = rng.integers(30, 220, (height // 6, width // 6, 3))
    return np.kron(cells, np.ones((6, 6, 1))).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stronger_one_changes_more_and_the_same_chance_changes_alike(kind):
    frame = scene()
    before = frame.copy()
    weak, strong = (
        deteriorated(frame, kind, strength, random.Random(3)) for strength in RANGES[kind]
    )
    assert np.array_equal(frame, before)
    assert weak.dtype == strong.dtype == np.uint8
    assert weak.shape == strong.shape == frame.shape
    less, more = (np.abs(out - frame.astype(float)).mean() for out in (weak, strong))
    assert 0 < less < more
    again = deteriorated(frame, kind, RANGES[kind][1], random.Random(3))
    assert np.array_equal(strong, again)
    for seed in range(20):
        first, last = sorted(RANGES[kind])
        assert first <= drawn_strength(kind, random.Random(seed)) <= last


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"must be one of .*motion_blur.*, but is 'rain'"):
        deteriorated(scene(), "rain", 1.0, random.Random(0))


def test_motion_blur_goes_along_its_line_alone():
    frame = np.zeros((41, 41, 3), np.uint8)
    frame[20, 20] = 255
    lit = motion_blurred(frame, 9, 0.0)[..., 0] > 0
    assert lit.any(1).sum() == 1
    assert 8 <= lit.any(0).sum() <= 10
    assert np.array_equal(motion_blurred(frame, 9, np.pi / 2)[..., 0] > 0, lit.T)
    even = np.full((20, 30, 3), 77, np.uint8)
    assert np.array_equal(motion_blurred(even, 12.5, 0.7), even)
    assert np.array_equal(defocused(even, 3.0), even)


def test_an_occlusion_covers_its_box_and_not_the_rest():
    frame = scene(120, 180)
    box = (30.0, 20.0, 80.0, 60.0)
    for seed in range(10):
        changed = (covered(frame, 0.7, random.Random(seed), box=box) != frame).any(2)
        inside = changed[20:60, 30:80]
        assert 0.35 < inside.mean() < 1
        assert not changed[:, 130:].any()
        assert not changed[100:].any()
