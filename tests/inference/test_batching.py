"""FrameBatcher: what shares a batch, and what an error of one video leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from trovid.inference.batching import FrameBatcher
from trovid.inference.session import Target
from trovid.video.opening import Frame


def target(number: int, *, width: int = 4, support: int = 0, found: object = None) -> Target:
    frame = Frame(number, 0.0, np.zeros((4, width, 3), np.uint8))
    return Target(frame, ["frame"] * support or None, found)


class Looker:
    """Finds the numbers of the frames; notes its batches; refuses some of them."""

    def __init__(self, *, most: int = 99, wrong: int = -1) -> None:
        self.batches: list[list[int]] = []
        self.most, self.wrong = most, wrong
        self.batcher = FrameBatcher(self.look, lambda frame: frame.image.shape[:2])

    def look(self, frames: list[Frame], supports: list) -> list[str]:
        numbers = [frame.index for frame in frames]
        self.batches.append(numbers)
        if len(frames) > self.most:
            raise MemoryError("too many")
        if self.wrong in numbers:
            raise ValueError("wrong")
        return [
            f"{n} with {len(support or ())}" for n, support in zip(numbers, supports, strict=True)
        ]


def test_frames_of_one_size_and_number_of_support_frames_share_a_batch():
    looker = Looker()
    targets = [target(0), target(1, width=8), target(2), target(3, support=2), target(4, width=8)]
    turns = looker.batcher.next_frames([iter([t]) for t in targets])
    assert [(frame.index, found) for frame, found in turns] == [
        *((0, "0 with 0"), (1, "1 with 0"), (2, "2 with 0"), (3, "3 with 2"), (4, "4 with 0"))
    ]
    assert sorted(looker.batches) == [[0, 2], [1, 4], [3]]


def test_each_video_gives_one_frame_and_says_when_it_ends():
    looker = Looker()
    videos = [iter([target(0), target(1)]), iter([target(5)])]
    assert [turn[1] for turn in looker.batcher.next_frames(videos)] == ["0 with 0", "5 with 0"]
    first, second = looker.batcher.next_frames(videos)
    assert (first[1], second) == ("1 with 0", None)
    assert looker.batcher.next_frames(videos) == [None, None]
    assert looker.batcher.next_frames([]) == []
    assert len(looker.batches) == 2


def test_what_was_found_before_is_not_looked_at():
    looker = Looker()
    ((frame, found),) = looker.batcher.next_frames([iter([target(3, found="a cup")])])
    assert (frame.index, found) == (3, "a cup")
    assert looker.batches == []


@pytest.mark.parametrize("kind", [{"most": 1}, {"wrong": 1}])
def test_an_error_of_a_batch_is_looked_into_frame_by_frame(kind):
    looker = Looker(**kind)
    turns = looker.batcher.next_frames([iter([target(n)]) for n in range(3)])
    assert looker.batches == [[0, 1, 2], [0], [1], [2]]
    said = [repr(turn) if isinstance(turn, Exception) else turn[1] for turn in turns]
    middle = "ValueError('wrong')" if "wrong" in kind else "1 with 0"
    assert said == ["0 with 0", middle, "2 with 0"]


def test_an_error_of_one_video_leaves_the_others():
    def broken() -> Iterator[Target]:
        raise OSError("no such file")
        yield

    looker = Looker()
    first, second = looker.batcher.next_frames([broken(), iter([target(1)])])
    assert isinstance(first, OSError)
    assert second[1] == "1 with 0"
