"""Several videos at once: their frames share a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trovid.data.video_io import Frame
from trovid.inference.frame_runner import FrameRunner
from trovid.models.postprocess import ScoredBoxes
from trovid.models.support import SupportBank

Pair = tuple[Frame, SupportBank | None]


def scored_together(
    runner: FrameRunner, videos: Sequence[Iterator[Pair]], *, target_among_support: bool
) -> Iterator[tuple[int, Frame, ScoredBoxes]]:
    """The next frame of every video in turn, until all have ended.

    Frames of one size after resizing whose banks hold equally many support frames share a batch.

    Args:
        runner: The model.
        videos: For each video its target frames with their banks.
        target_among_support: Whether each target frame is also its own last support frame.

    Yields:
        Position of the video, frame, boxes and scores; a video's frames in their order.
    """
    running = dict(enumerate(videos))
    while running:
        batches: dict[tuple, list[tuple[int, Frame, SupportBank | None]]] = {}
        for number, pairs in list(running.items()):
            pair = next(pairs, None)
            if pair is None:
                del running[number]
                continue
            frame, bank = pair
            size = runner.transform.size(*frame.image.shape[:2])
            key = (*size, 0 if bank is None else len(bank))
            batches.setdefault(key, []).append((number, frame, bank))
        for batch in batches.values():
            numbers, frames, banks = zip(*batch, strict=True)
            scored = runner.score_frames(frames, banks, target_among_support=target_among_support)
            yield from zip(numbers, frames, scored, strict=True)
