"""Random numbers whose stream is the same in every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Rng:
    """A stream of random numbers that a few integers determine.

    All draws come from `RandomState.random_sample`, the Mersenne Twister's 53-bit doubles, which
    numpy has frozen; choices and shuffles are made of those here, so none of numpy's own
    algorithms (which may change) decides about a label.

    Args:
        key: Integers in 0..2**32 - 1; another key gives an independent stream.
    """

    def __init__(self, *key: int) -> None:
        self._state = np.random.RandomState(list(key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self._state.random_sample())

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, both included."""
        return low + int(self._state.random_sample() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely."""
        return items[self.integer(0, len(items) - 1)]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items in random order."""
        pool = list(items)
        return [pool.pop(self.integer(0, len(pool) - 1)) for _ in range(count)]

    def field(self, *shape: int) -> np.ndarray:
        """float32 array of this shape, uniform with mean 0 and standard deviation 1."""
        return ((self._state.random_sample(shape) - 0.5) * 12**0.5).astype(np.float32)
