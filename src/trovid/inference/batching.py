"""The next frames of several videos, looked at together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from trovid.inference.session import Target
from trovid.video.opening import Frame

Turn = tuple[Frame, Any] | Exception | None
"""A frame with what was found in it; what went wrong; None at the end of the video."""


class FrameBatcher:
    """Takes one frame of each video in turn, so that frames of several videos share a batch.

    Args:
        detect: Looks at frames of one size after resizing, with for each its Support or None, all
            of equally many frames.
        size: Size of a frame after resizing.
    """

    def __init__(
        self,
        detect: Callable[[list[Frame], list[Any]], list[Any]],
        size: Callable[[Frame], Hashable],
    ) -> None:
        self._detect = detect
        self._size = size

    def next_frames(self, videos: Sequence[Iterator[Target]]) -> list[Turn]:
        """What comes of the next frame of each video, as if it were looked at alone.

        What goes wrong in a batch may be due to one of its videos, or to their number: its frames
        are then looked at one by one.

        Args:
            videos: The target frames of each.

        Returns:
            A turn a video; an error of one leaves the others as they are.
        """
        turns: list[Turn] = [None] * len(videos)
        batches: dict[Hashable, dict[int, Target]] = {}
        for place, video in enumerate(videos):
            try:
                target = next(video, None)
            except Exception as error:
                turns[place] = error
                continue
            if target is None:
                continue
            if target.found is not None:
                turns[place] = target.frame, target.identified(target.found)
                continue
            key = self._size(target.frame), len(target.support or ())
            batches.setdefault(key, {})[place] = target
        for batch in batches.values():
            for place, turn in zip(batch, self._look(list(batch.values())), strict=True):
                turns[place] = turn
        return turns

    def _look(self, targets: list[Target]) -> list[Turn]:
        frames = [target.frame for target in targets]
        try:
            found = self._detect(frames, [target.support for target in targets])
        except Exception as error:
            if len(targets) == 1:
                return [error]
            return [turn for target in targets for turn in self._look([target])]
        pairs = zip(targets, found, strict=True)
        return [(target.frame, target.identified(detections)) for target, detections in pairs]
