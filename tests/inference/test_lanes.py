"""Frames looked at side by side: in order, with the same results, and errors at their place."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

import trovid
from trovid.inference.session import Target, in_lanes
from trovid.video.opening import Frame

PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def targets(count, *, fails=None, closed=None):
    try:
        for index in range(count):
            if index == fails:
                raise ValueError(f"frame {index}")
            yield Target(Frame(index, index / 10, PICTURE))
    finally:
        if closed is not None:
            closed.append(True)


def number(target) -> int:
    return target.frame.index


def lanes_alive() -> int:
    return sum(thread.name.startswith("trovid-lane") for thread in threading.enumerate())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_targets_come_in_order_with_what_was_found(two_threads, count):
    def look(target):
        time.sleep(0.002 * (target.frame.index % 3))
        return target.frame.index, torch.get_num_threads()

    found = list(in_lanes(targets(count), look, 2))
    assert [target.frame.index for target in found] == list(range(count))
    alone = count == 1
    assert [target.found for target in found] == [(i, 2 if alone else 1) for i in range(count)]
    assert torch.get_num_threads() == 2
    of_a_new_thread = []
    thread = threading.Thread(target=lambda: of_a_new_thread.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert of_a_new_thread == [2]
    assert not lanes_alive()


def test_frames_are_looked_at_at_the_same_time(two_threads):
    both = threading.Barrier(2)
    found = list(in_lanes(targets(6), lambda target: both.wait(20) is not None, 2))
    assert [target.found for target in found] == [True] * 6


def test_what_was_found_before_is_kept(two_threads):
    given = (target._replace(found=-1) for target in targets(3))
    assert [t.found for t in in_lanes(given, lambda target: 1, 2)] == [-1] * 3


@pytest.mark.parametrize("fails", [0, 1, 2, 5])
def test_an_error_of_the_video_comes_at_its_place(two_threads, fails):
    closed: list[bool] = []
    seen = []
    with pytest.raises(ValueError, match=f"frame {fails}"):
        seen.extend(t.found for t in in_lanes(targets(9, fails=fails, closed=closed), number, 2))
    assert (seen, closed, lanes_alive()) == (list(range(fails)), [True], 0)


def test_an_error_of_a_frame_comes_at_its_place(two_threads):
    def look(target):
        if target.frame.index == 3:
            raise MemoryError
        return target.frame.index

    closed: list[bool] = []
    seen = []
    with pytest.raises(MemoryError):
        seen.extend(target.found for target in in_lanes(targets(9, closed=closed), look, 2))
    assert (seen, closed, lanes_alive()) == ([0, 1, 2], [True], 0)


def test_one_that_is_left_lets_go_of_the_video(two_threads):
    closed: list[bool] = []
    found = in_lanes(targets(100, closed=closed), lambda target: target.frame.index, 2)
    assert next(found).found == 0
    found.close()
    assert (closed, lanes_alive()) == ([True], 0)


@pytest.mark.parametrize(
    "support", ["uniform:4", pytest.param("consecutive:3", marks=pytest.mark.slow)]
)
def test_a_video_gives_what_its_frames_give_one_by_one(two_threads, support):
    model = trovid.load("synthvid-selsa-troi")
    video = np.random.default_rng(0).integers(0, 255, (6, 96, 96, 3), dtype=np.uint8)
    names = set()

    def watched(frames, supports, options, detect=model.detect_frames):
        names.add(threading.current_thread().name)
        return detect(frames, supports, options)

    model.detect_frames = watched
    side_by_side = list(model.detect(video, support=support, score=0.0, track="iou"))
    assert all(name.startswith("trovid-lane") for name in names)
    names.clear()
    model.deterministic = True
    one_by_one = list(model.detect(video, support=support, score=0.0, track="iou"))
    assert names == {threading.current_thread().name}
    for first, second in zip(side_by_side, one_by_one, strict=True):
        assert (first.frame_index, len(first)) == (second.frame_index, len(second))
        torch.testing.assert_close(first.boxes, second.boxes, rtol=0, atol=1e-2)
        torch.testing.assert_close(first.scores, second.scores, rtol=0, atol=1e-4)
    assert any(len(found) for found in side_by_side)


def test_frames_that_come_as_they_happen_wait_for_no_other(two_threads):
    model = trovid.load("synthvid-single")
    taken = []

    def live():
        for index in range(5):
            taken.append(index)
            yield np.zeros((64, 64, 3), np.uint8)

    for index, _ in enumerate(model.detect(live(), online=True)):
        assert taken == list(range(index + 1))
