"""Online: what supports what, bounded memory, and the boxes of offline for equal support."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from tests.cli.runs import images
from tests.cli.tiny_model import save_tiny_model
from trovid.detectors.faster_rcnn.support import Support
from trovid.inference import Predictor, load
from trovid.structures.support_sampling import evenly_thinned
from trovid.video.opening import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Predictor:
    return load(save_tiny_model(tmp_path_factory.mktemp("m") / "tiny.safetensors"), device="cpu")


@pytest.mark.parametrize("count", [1, 2, 5, 14])
def test_thinned_memory_is_full_even_and_never_asks_for_what_was_dropped(count):
    held: set[int] = set()
    for length in range(1, 300):
        chosen = evenly_thinned(length, count)
        assert len(chosen) == min(length, count)
        assert set(chosen) <= held | {length - 1}
        held = set(chosen)
        gaps = np.diff(chosen)
        assert len(gaps) == 0 or gaps.max() <= 2 * gaps.min()


def same(found, expected) -> None:
    found, expected = list(found), list(expected)
    assert [d.frame_index for d in found] == [d.frame_index for d in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.boxes.tolist() == theirs.boxes.tolist()
        assert ours.scores.tolist() == theirs.scores.tolist()


EQUAL_SUPPORT = [("uniform:8", 8), ("consecutive:4", 2), ("stride:2x4", 4)]


@pytest.mark.parametrize(("support", "lookahead"), EQUAL_SUPPORT)
def test_equal_support_gives_the_boxes_of_offline(model, monkeypatch, support, lookahead):
    """To the last bit, where offline too encodes one support frame at a time.

    With "uniform" it encodes several together otherwise, and a convolution of several images
    rounds otherwise than of one (see the test that follows).
    """
    home = sys.modules[Predictor.encode.__module__]
    monkeypatch.setattr(home, "PIXELS_AT_A_TIME", {"cpu": 1, "gpu": 1})
    clip = images(8)
    online = model.detect(clip, support=support, online=True, lookahead=lookahead, score=0.2)
    same(online, model.detect(clip, support=support, score=0.2))


def test_several_frames_encoded_together_differ_by_rounding_alone(model):
    frames = list(open_video(images(8)))
    together = model.encode(frames)
    alone = Support.cat([model.encode([frame]) for frame in frames])
    for level, packed in alone.maps.items():
        rows = together.maps[level].rows
        torch.testing.assert_close(packed.rows, rows, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("support", "lookahead"),
    [
        ("uniform:3", 2),
        ("consecutive:4", 0),
        ("stride:2x3", 2),
        pytest.param("uniform:3", 0, marks=pytest.mark.slow),
        pytest.param("consecutive:4", 2, marks=pytest.mark.slow),
        pytest.param("stride:2x3", 0, marks=pytest.mark.slow),
    ],
)
def test_later_frames_change_nothing(model, support, lookahead):
    clip = images(9)
    other = clip.copy()
    other[5 + lookahead :] = 255 - other[5 + lookahead :]
    options = {"support": support, "online": True, "lookahead": lookahead, "score": 0.2}
    first, second = (list(model.detect(video, **options)) for video in (clip, other))
    same(first[:5], second[:5])
    assert any(a.boxes.tolist() != b.boxes.tolist() for a, b in zip(first, second, strict=True))


def test_some_targets_equal_those_of_the_whole(model):
    clip = images(9)
    options = {"support": "uniform:3", "online": True, "lookahead": 1, "score": 0.2}
    whole = list(model.detect(clip, **options))
    same(model.detect(clip, frames=range(4, 9, 2), **options), whole[4:9:2])


def test_an_endless_generator_is_taken_frame_by_frame(model):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield images(taken)[-1]

    found = model.detect(endless(), online=True, lookahead=1, score=0.2)
    assert [next(found).frame_index for _ in range(3)] == [0, 1, 2]
    assert taken == 4
