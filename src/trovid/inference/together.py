"""Several videos at once: their frames share a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trovid.detectors.faster_rcnn.support import Support
from trovid.inference.frame_runner import FrameRunner
from trovid.structures import DetectOptions
from trovid.video.opening import Frame

Pair = tuple[Frame, Support | None]


@dataclass(eq=False)
class _Video:
    """A video's target frames with their banks, and what came of the next one."""

    pairs: Iterator[Pair]
    options: DetectOptions
    found: tuple[Frame, Any] | None = None
    error: Exception | None = None
    ended: bool = False

    @property
    def waits(self) -> bool:
        """Whether its next frame is still to be scored."""
        return self.found is None and self.error is None and not self.ended


Waiting = tuple[_Video, Frame, Support | None]


class SharedBatch:
    """Scores the next frames of several videos together, while these are gone through in turns.

    Whenever one video asks for its next frame, so do all that have taken their last one. Frames
    of one size after resizing whose banks hold equally many support frames share a batch. What
    goes wrong with one video is raised where that one is gone through.

    Args:
        runner: The model.
    """

    def __init__(self, runner: FrameRunner) -> None:
        self._runner = runner
        self._videos: list[_Video] = []

    def found(self, pairs: Iterator[Pair], options: DetectOptions) -> Iterator[tuple[Frame, Any]]:
        """Takes part with one more video until it ends or is closed.

        Args:
            pairs: Its target frames with their banks.
            options: Resolved; videos with equal ones share batches.

        Yields:
            Each frame with its detections.
        """
        video = _Video(pairs, options)
        self._videos.append(video)
        try:
            while True:
                if video.waits:
                    self._score_next()
                if video.error is not None:
                    raise video.error
                if video.found is None:
                    return
                found, video.found = video.found, None
                yield found
        finally:
            self._videos.remove(video)

    def _score_next(self) -> None:
        batches: dict[tuple, list[Waiting]] = {}
        for video in self._videos:
            if not video.waits:
                continue
            try:
                pair = next(video.pairs, None)
            except Exception as error:
                video.error = error
                continue
            if pair is None:
                video.ended = True
                continue
            frame, bank = pair
            size = self._runner.transform.size(*frame.image.shape[:2])
            key = (*size, 0 if bank is None else len(bank), video.options)
            batches.setdefault(key, []).append((video, frame, bank))
        for batch in batches.values():
            try:
                self._score(batch)
            except Exception as error:
                if len(batch) == 1:
                    batch[0][0].error = error
                    continue
                self._score_alone(batch)

    def _score(self, batch: Sequence[Waiting]) -> None:
        videos, frames, banks = zip(*batch, strict=True)
        found = self._runner.detect_frames(frames, banks, videos[0].options)
        for video, frame, own in zip(videos, frames, found, strict=True):
            video.found = frame, own

    def _score_alone(self, batch: Sequence[Waiting]) -> None:
        """One by one, after an error that may be due to one video, or to their number."""
        for waiting in batch:
            try:
                self._score([waiting])
            except Exception as error:
                waiting[0].error = error
