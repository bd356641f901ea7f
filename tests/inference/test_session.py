"""VideoSession: target frames, their Support by one schedule, and memory that is bounded."""

from __future__ import annotations

import gc
import threading
from itertools import count

import numpy as np
import pytest

from tests.cli.runs import images, video
from trovid.errors import OptionError, TrovidError
from trovid.inference import load
from trovid.inference.session import VideoSession
from trovid.inference.target_frames import target_frames
from trovid.structures import DetectOptions
from trovid.video.opening import Frame, open_video


def test_a_loop_that_is_left_early_leaves_no_thread(tmp_path):
    """Also without Python's search for unreachable cycles, which may come late."""
    model = load("synthvid-single", device="cpu")
    clip = video(tmp_path / "a.mp4", count=20)
    gc.collect()
    gc.disable()
    try:
        for runs in (model.detect(clip), model.detect_together([clip])):
            next(runs)
            assert decoding()
            runs.close()
            assert not decoding()
    finally:
        gc.enable()


def decoding() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("trovid-ahead")]


class Indices(tuple):
    """A Support that knows its frames alone."""

    @property
    def frame_indices(self) -> Indices:
        return self

    def select(self, positions) -> Indices:
        return Indices(self[position] for position in positions)

    def without(self, index: int) -> Indices:
        return Indices(i for i in self if i != index)

    @staticmethod
    def cat(parts) -> Indices:
        return Indices(i for part in parts for i in part)


class Encoder:
    """Makes Supports; notes which frames were encoded together, and what was held then."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.held: list[int] = []
        self.session: VideoSession | None = None

    def __call__(self, frames) -> Indices:
        self.calls.append([frame.index for frame in frames])
        self.held.append(self.session.held)
        return Indices(self.calls[-1])


def session(source, *, frames=None, among=False, **options) -> tuple[VideoSession, Encoder]:
    encoder = Encoder()
    wanted = DetectOptions(target_among_support=among, **options)
    encoder.session = VideoSession(source, encode=encoder, options=wanted, frames=frames)
    return encoder.session, encoder


def pairs(source, **options) -> list[tuple[int, tuple[int, ...] | None]]:
    targets, _ = session(source, **options)
    return [(target.frame.index, target.support) for target in targets]


def pictures(length: int) -> np.ndarray:
    return np.zeros((length, 4, 4, 3), np.uint8)


@pytest.mark.parametrize("among", [False, True])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    ("support", "lookahead"),
    [("uniform:8", 8), ("consecutive:1", 1), ("consecutive:4", 2), ("stride:2x5", 6)],
)
def test_online_that_sees_as_far_ahead_is_offline(support, lookahead, stride, among):
    options = {"support": support, "stride": stride, "among": among}
    offline = pairs(pictures(8), **options)
    assert len(offline) == len(range(0, 8, stride))
    assert pairs(pictures(8), online=True, lookahead=lookahead, **options) == offline
    assert pairs(pictures(8), online=True, lookahead=99, **options) == offline


def test_the_support_frames_of_the_whole_video_are_encoded_once_and_together():
    targets, encoder = session(pictures(9), support="uniform:3")
    assert [target.support for target in targets][3:6] == [(0, 4, 8), (0, 8), (0, 4, 8)]
    assert encoder.calls == [[0, 4, 8]]


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("support", ["consecutive:4", "stride:3x4"])
def test_others_are_encoded_once_each_when_first_asked_for(support, online):
    targets, encoder = session(pictures(30), support=support, online=online)
    first = next(targets)
    assert all(max(call) <= 6 for call in encoder.calls)
    wanted = {i for target in [first, *targets] for i in target.support or ()}
    encoded = [index for call in encoder.calls for index in call]
    assert len(encoded) == len(set(encoded)) == len(encoder.calls)
    assert wanted <= set(encoded)


@pytest.mark.parametrize(
    ("support", "online", "most"),
    [
        ("uniform:4", True, 5),
        ("consecutive:4", True, 6),
        ("consecutive:4", False, 5),
        ("stride:3x4", False, 13),
    ],
)
@pytest.mark.parametrize("frames", [None, range(0, 300, 7), range(0)])
def test_memory_is_bounded(support, online, most, frames):
    """Whatever the length: offline the frames around the target, online also those that come."""
    targets, encoder = session(pictures(300), support=support, online=online, frames=frames)
    assert len(list(targets)) == (300 if frames is None else len(frames))
    assert max(encoder.held, default=0) <= most
    assert targets.held <= most


@pytest.mark.parametrize(("support", "copies"), [("uniform:14", 1), ("consecutive:3", 3)])
def test_a_picture_supports_itself(support, copies):
    assert pairs(pictures(1), support=support) == [(0, (0,) * copies)]
    assert pairs(pictures(2), support=support)[0][1].count(0) == 0
    (first, *_), _ = session(pictures(1), support="uniform:14", online=True)
    assert not first.support


@pytest.mark.parametrize(
    "options", [{"support": "uniform:0"}, {"support": "uniform:0", "online": True}]
)
def test_no_support_frames(options):
    assert pairs(pictures(3), **options) == [(0, None), (1, None), (2, None)]


def test_a_support_that_was_made_elsewhere_serves_every_frame():
    options = DetectOptions(support="uniform:3", target_among_support=False)
    support = Indices((0, 1, 7))
    targets = VideoSession(pictures(3), encode=Encoder(), options=options, support=support)
    assert [target.support for target in targets] == [support] * 3


@pytest.mark.parametrize("support", ["uniform:3", "consecutive:4"])
@pytest.mark.parametrize("length", [1, 9])
def test_frames_that_are_encoded_already_serve_as_those_that_it_encodes(support, length):
    options = DetectOptions(support=support, target_among_support=False)
    encoder, known = Encoder(), Indices(range(length))
    targets = VideoSession(pictures(length), encode=encoder, options=options, encoded=known)
    found = [(target.frame.index, target.support) for target in targets]
    assert found == pairs(pictures(length), support=support)
    assert encoder.calls == []


def test_part_of_a_video_by_time_and_stride(tmp_path):
    options = {"support": "uniform:2", "start": 0.5, "end": 1.5, "stride": 3, "among": True}
    whole = [6, 9, 12, 15]
    path = video(tmp_path / "a.mp4", count=24)
    for source in (path, str(path), open_video(path), open_video(images(24), frame_rate=12)):
        assert [index for index, _ in pairs(source, **options)] == whole
        assert [index for index, _ in pairs(source, online=True, **options)] == whole
    assert dict(pairs(path, **options))[6] == (0, 23)
    assert [index for index, _ in pairs(path, frames=[2, 20], **options)] == [2, 20]
    with pytest.raises(TrovidError, match=r"change `start` or `end`$"):
        list(session(path, support="uniform:2", start=9.0)[0])
    with pytest.raises(OptionError, match="give the folder's `frame_rate`"):
        target_frames(open_video(images(24)), DetectOptions(start=1.0))


def test_part_of_a_stream():
    def stream():
        for index in count():
            yield Frame(index, 100 + index / 10, pictures(1)[0])

    options = {"support": "consecutive:2", "online": True, "end": 1.0}
    assert [index for index, _ in pairs(stream(), stride=4, **options)] == [0, 4, 8]
    with pytest.raises(OptionError, match="`start` needs a video"):
        pairs(stream(), start=0.5, **options)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    targets, _ = session(tmp_path / "absent.mp4", support="uniform:2")
    with pytest.raises(TrovidError, match="no such file"):
        next(targets)
