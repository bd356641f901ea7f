"""Random support frames of a training step."""

from __future__ import annotations

import random

import pytest

from trovid.training.support_frames import training_support


@pytest.mark.parametrize("target", [0, 3, 19])
def test_training_support_never_holds_the_target(target):
    rng = random.Random(0)
    for _ in range(200):
        chosen = training_support(20, target, 2, window=None, rng=rng)
        assert target not in chosen
        assert len(set(chosen)) == 2


def test_training_support_within_a_window_takes_both_sides():
    rng = random.Random(0)
    for _ in range(200):
        before, after = training_support(40, 20, 2, window=9, rng=rng)
        assert 11 <= before < 20 < after <= 29
    assert training_support(40, 0, 2, window=1, rng=rng) == [1, 1]
    assert training_support(1, 0, 2, window=None, rng=rng) == [0, 0]


def test_a_video_that_is_too_short_repeats_its_frames():
    chosen = training_support(3, 1, 5, window=None, rng=random.Random(0))
    assert len(chosen) == 5
    assert set(chosen) <= {0, 2}
    assert chosen == sorted(chosen)


def test_the_source_of_chance_alone_decides():
    one, same, other = (
        training_support(50, 7, 4, window=None, rng=random.Random(seed)) for seed in (1, 1, 2)
    )
    assert one == same != other
