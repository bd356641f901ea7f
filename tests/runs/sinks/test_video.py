"""VideoSink: every frame is shown, whatever times a damaged file states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trovid.runs.sinks.video import LONGEST_FRAME, VideoSink
from trovid.structures import Detections, Video
from trovid.video.opening import Frame, open_video
from trovid.viz import Timeline

NOTHING = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long), ("cup",))


def shown_at(path, times: list[float]) -> list[float]:
    strip = Timeline(64, 48, start=0.0, end=1.0)
    output = VideoSink(path, Video("a", len(times), 48, 64, 25.0), timeline=strip)
    for index, time in enumerate(times):
        output.write(Frame(index, time, np.zeros((48, 64, 3), np.uint8)), NOTHING)
    output.finish(complete=True, problems=())
    output.publish()
    return [frame.time for frame in open_video(path)]


def test_the_times_are_the_sources_from_0_on(tmp_path):
    assert shown_at(tmp_path / "a.mp4", [5.0, 5.1, 5.5]) == pytest.approx([0, 0.1, 0.5], abs=1e-4)


def test_times_that_run_backwards_or_jump_by_ages_lose_no_frame(tmp_path):
    times = shown_at(tmp_path / "a.mp4", [0.0, 1e12, 3.0, -4.0])
    assert times == pytest.approx([0, LONGEST_FRAME, LONGEST_FRAME, LONGEST_FRAME], abs=0.01)
    assert sorted(times) == times
