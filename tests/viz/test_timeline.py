"""Timeline: where scores are drawn, and that tracks stay apart."""

from __future__ import annotations

import numpy as np
import torch

from trovid.structures import Detections
from trovid.viz import Timeline, class_colour
from trovid.viz.colours import readable

CLASSES = ("cup", "telephone")
WIDTH, HEIGHT = 400, 240


def found(time: float, scores, labels, tracks=None) -> Detections:
    count = len(scores)
    boxes = torch.arange(count)[:, None] * 100.0 + torch.tensor([0.0, 0, 50, 50])
    return Detections(
        boxes,
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(labels, dtype=torch.long),
        CLASSES,
        time=time,
        track_ids=None if tracks is None else torch.tensor(tracks, dtype=torch.long),
    )


def strips(*frames: Detections, **options) -> list[np.ndarray]:
    timeline = Timeline(WIDTH, HEIGHT, start=0.0, end=10.0, **options)
    picture = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
    shown = [timeline.under(picture, frame) for frame in frames]
    assert all(image.shape == (HEIGHT + timeline.height, WIDTH, 3) for image in shown)
    assert all((image[:HEIGHT] == 7).all() for image in shown)
    return [image[HEIGHT:] for image in shown]


def places(strip: np.ndarray, name: str) -> np.ndarray:
    """Rows of the plot, from the legend's end on, that hold the class's colour, by column."""
    return np.argwhere((strip == readable(class_colour(name, CLASSES))).all(axis=2))


def test_a_sure_score_lies_above_an_unsure_one_and_time_goes_right():
    frames = [found(t, [0.9, 0.2], [0, 1]) for t in (2.0, 4.0, 6.0)]
    strip = strips(*frames)[-1]
    legend = 20
    cup = places(strip[legend - 8 :], "cup")
    telephone = places(strip[legend - 8 :], "telephone")
    assert cup[:, 0].max() < telephone[:, 0].min()
    for drawn in (cup, telephone):
        assert drawn[:, 1].min() >= 0.2 * WIDTH - 4
        assert drawn[:, 1].max() <= 0.6 * WIDTH + 4


def test_the_cursor_is_at_the_frames_time():
    for strip, time in zip(strips(found(0.0, [], []), found(5.0, [], [])), (0.0, 5.0), strict=True):
        column = round(time / 10 * (WIDTH - 1))
        white = (strip == 255).all(axis=(0, 2))
        assert white[max(0, column - 1) : column + 2].any()
        assert white.sum() <= 2


def test_a_track_that_was_away_is_not_joined_by_a_line():
    ids = [7]
    frames = [found(1.0, [0.9], [0], ids), found(5.0, [], [], []), found(9.0, [0.9], [0], ids)]
    columns = set(places(strips(*frames)[-1][12:], "cup")[:, 1].tolist())
    assert not columns & set(range(120, 340))


def test_two_tracks_of_a_class_cross_without_changing_places():
    frames = [found(1.0, [0.9, 0.1], [0, 0], [1, 2]), found(9.0, [0.1, 0.9], [0, 0], [1, 2])]
    strip = strips(*frames)[-1]
    middle = places(strip[:, 195:205], "cup")
    assert np.ptp(middle[:, 0]) < strip.shape[0] / 3


def test_tiny_videos_and_one_instant_can_be_drawn():
    timeline = Timeline(2, 2, start=3.0, end=3.0)
    drawn = timeline.under(np.zeros((2, 2, 3), np.uint8), found(3.0, [0.5], [0]))
    assert drawn.shape == (2 + timeline.height, 2, 3)
    assert timeline.height % 2 == 0
