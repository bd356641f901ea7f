"""SteadyClock: clocks that start again are told from single frames with wrong times."""

from __future__ import annotations

import pytest

from trovid.video.clock import SteadyClock

LINE = [float(time) for time in range(40)]


def shown(times: list[float]) -> tuple[list[float], int | None]:
    clock = SteadyClock(1.0)
    return [clock(time) for time in times], clock.restart


@pytest.mark.parametrize("count", [3, 12, 16, 17, 40])
@pytest.mark.parametrize("late", [0.0, 5.25])
def test_times_go_on(count, late):
    first = [late + time for time in LINE[:count]]
    assert shown(first + first + LINE) == (
        [late + time for time in range(2 * count + len(LINE))],
        count,
    )


@pytest.mark.parametrize("wrong", [1e6, -1e6, 0.0, 22.0, 30.0])
@pytest.mark.parametrize("place", [0, 1, 20])
def test_frames_behind_one_with_a_wrong_time_keep_their_own(wrong, place):
    times, restart = shown([*LINE[:place], wrong, *LINE[place + 1 :]])
    assert times[place + 1 :] == LINE[place + 1 :]
    assert restart is None


def test_frames_in_another_order_keep_their_times():
    times = [2.0, 0.0, 1.0, 3.0, 6.0, 4.0, 5.0, *LINE[7:], 45.0, 41.0, 42.0, 46.0]
    assert shown(times) == (times, None)
