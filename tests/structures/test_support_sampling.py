"""Which frames support which."""

from __future__ import annotations

import pytest

from trovid.errors import TrovidError
from trovid.structures import DetectOptions
from trovid.structures.support_sampling import SupportSampling


def test_uniform_reaches_both_ends_like_the_published_rule():
    indices = SupportSampling.parse("uniform:14").indices(100)
    assert indices == [round(i * 99 / 13) for i in range(14)]
    assert (indices[0], indices[-1]) == (0, 99)


def test_uniform_in_a_short_video_takes_each_frame_once():
    assert SupportSampling.parse("uniform:14").indices(5) == [0, 1, 2, 3, 4]
    assert SupportSampling.parse("uniform:0").indices(5) == []


def test_consecutive_leaves_out_the_target_and_repeats_at_the_ends():
    sampling = SupportSampling.parse("consecutive:6")
    assert sampling.indices(100, 50) == [47, 48, 49, 51, 52, 53]
    assert sampling.indices(100, 1) == [0, 0, 0, 2, 3, 4]
    assert sampling.indices(100, 99) == [96, 97, 98, 99, 99, 99]


def test_stride_counts_in_steps():
    assert SupportSampling.parse("stride:8x4").indices(100, 50) == [34, 42, 58, 66]
    assert SupportSampling.parse("stride:8x3").indices(100, 50) == [42, 58, 66]


def test_a_bare_number_is_spread_over_the_video():
    assert SupportSampling.parse("4") == SupportSampling.parse("uniform:4")
    assert DetectOptions(support="4") == DetectOptions(support="uniform:4")


@pytest.mark.parametrize("text", ["uniform:14", "consecutive:6", "stride:8x26"])
def test_it_is_written_as_it_is_read(text):
    assert str(SupportSampling.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-4",
        "4:",
        "uniform",
        "uniform:x",
        "often:3",
        "stride:8",
        "stride:0x3",
        "stride:-4x3",
        "uniform:-1",
    ],
)
def test_what_is_not_understood_is_said(text):
    with pytest.raises(TrovidError, match=r"uniform:14 \(or 14\), consecutive:6 or stride:8x26"):
        SupportSampling.parse(text)
