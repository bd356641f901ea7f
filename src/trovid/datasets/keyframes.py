"""Boxes between the key frames of a track, as labelling tools make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class KeyFrame:
    """A frame in which somebody placed an object.

    Attributes:
        frame: Its index, from 0.
        box: x1, y1, x2, y2 in pixels.
        shown: Whether the object is there in this frame.
        goes_on: Whether it is there in the frames after it, up to the next key frame.
    """

    frame: int
    box: Box
    shown: bool = True
    goes_on: bool = True


def track_boxes(keys: Sequence[KeyFrame], num_frames: int) -> Iterator[tuple[int, Box]]:
    """The object's box in each frame in which it is there.

    Between two key frames each side moves evenly; after the last one the object stays where it is
    to the end of the video, if it goes on.

    Args:
        keys: In rising order.
        num_frames: Length of the video.

    Example:
        >>> keys = [KeyFrame(0, (0, 0, 4, 4)), KeyFrame(2, (2, 0, 6, 4), goes_on=False)]
        >>> list(track_boxes(keys, 9))
        [(0, (0, 0, 4, 4)), (1, (1.0, 0.0, 5.0, 4.0)), (2, (2, 0, 6, 4))]
    """
    for key, after in pairwise(keys):
        if key.shown:
            yield key.frame, key.box
        if key.goes_on:
            for frame in range(key.frame + 1, after.frame):
                share = (frame - key.frame) / (after.frame - key.frame)
                yield frame, _between(key.box, after.box, share)
    if keys:
        last = keys[-1]
        if last.shown:
            yield last.frame, last.box
        if last.goes_on:
            for frame in range(last.frame + 1, num_frames):
                yield frame, last.box


def _between(one: Box, other: Box, share: float) -> Box:
    x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return x1, y1, x2, y2
