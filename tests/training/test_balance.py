"""Rare classes are drawn more often."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from tests.training.test_camera import pictures
from tests.training.tiny import tiny_recipe
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.structures import Video
from trovid.training.balance import repeat_factors
from trovid.training.clips import TrainingClips
from trovid.video.transforms import FrameTransform


def test_a_factor_is_that_of_the_rarest_class():
    """Of 100 pictures all hold class 0, one class 1 as well, two class 2; one holds nothing."""
    rows = ObjectRows()
    for number in range(100):
        rows.add(number, 0, 0, (0, 0, 5, 5))
    rows.add(7, 0, 1, (0, 0, 5, 5))
    for number in (7, 8):
        rows.add(number, 0, 2, (0, 0, 5, 5))
    entries = [VideoEntry(Video(f"v{n}", 1, 9, 9), f"v{n}", [0]) for n in range(101)]
    dataset = Dataset(["a", "b", "c"], entries, rows.objects())
    factors = repeat_factors(dataset, [video.name for video in dataset.videos])
    assert factors[7] == pytest.approx(math.sqrt(0.1 * 101))
    assert factors[8] == pytest.approx(math.sqrt(0.1 * 101 / 2))
    assert {f for n, f in enumerate(factors) if n not in (7, 8)} == {1.0}


def test_pictures_are_drawn_by_their_factors(tmp_path):
    dataset = pictures(tmp_path, rare=1, frequent=39)
    clips = TrainingClips(dataset, FrameTransform(48, 64), cache=tmp_path / "frames")
    drawn = {}
    for draw in ("clips", "balanced"):
        settings = tiny_recipe(batch=50, support_frames=0, mutual_support=False, draw=draw).training
        names = [n for step in range(24) for n in clips.draw(settings, seed=0, step=step).videos]
        drawn[draw] = Counter(name.startswith("rare") for name in names)[True]
    assert 15 < drawn["clips"] < 45 < drawn["balanced"] < 85
