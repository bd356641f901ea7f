import numpy as np
import pytest

from trovid.datasets.synthvid.rng import Rng

PINNED = [0.3103436104699976, 0.13137471770272546, 0.10572789200427912]
PINNED_SAMPLE = [3, 1, 7, 0]


def test_stream_is_frozen():
    rng = Rng(1, 0, 2, 3)
    assert [rng.uniform() for _ in range(3)] == PINNED
    assert Rng(7).sample(range(10), 4) == PINNED_SAMPLE


@pytest.mark.parametrize("key", [(1, 0, 2, 4), (1, 1, 2, 3), (1, 0, 1, 3), (1, 0, 2, 3, 1)])
def test_another_key_gives_another_stream(key):
    assert Rng(*key).uniform() != Rng(1, 0, 2, 3).uniform()


def test_integer_reaches_both_ends_and_no_further():
    rng = Rng(5)
    drawn = [rng.integer(-1, 2) for _ in range(400)]
    assert set(drawn) == {-1, 0, 1, 2}


def test_sample_gives_different_items():
    for seed in range(50):
        drawn = Rng(seed).sample("abcde", 4)
        assert len(set(drawn)) == 4


def test_field_is_standard():
    field = Rng(3).field(200, 50, 2)
    assert field.dtype == np.float32
    assert abs(float(field.mean())) < 0.02
    assert abs(float(field.std()) - 1) < 0.02
