import math
import time

import pytest

from trovid.benchmarks.timing import Timing, interleave


def test_contenders_take_turns():
    order = []
    contenders = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    timings = interleave(contenders, rounds=3, budget=math.inf)
    assert order == list("ababab")
    assert list(timings) == ["a", "b"]
    assert len(timings["a"].seconds) == 3
    assert min(timings["b"].seconds) >= 0


def test_budget_ends_the_rounds_but_not_before_the_second():
    assert len(interleave({"a": lambda: time.sleep(0.01)}, rounds=9, budget=0)["a"].seconds) == 2
    many = interleave({"a": lambda: time.sleep(0.02)}, rounds=50, budget=0.2)["a"].seconds
    assert 2 <= len(many) <= 10


def test_summary():
    timing = Timing((3.0, 1.0, 2.0, 6.0))
    assert (timing.minimum, timing.median, timing.spread) == (1.0, 2.5, 2.0)
    with pytest.raises(ValueError, match="`rounds` must be at least 1"):
        interleave({}, rounds=0)
