"""Several videos at once, whose frames share the batch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from trovid.structures import DetectOptions

if TYPE_CHECKING:
    from trovid.inference.predictor import Predictor


def detect_together(
    predictor: Predictor,
    sources: Sequence[Any],
    frames: Sequence[Sequence[int] | None] | None,
    options: DetectOptions,
    *,
    frame_rate: float = 0.0,
) -> Generator[tuple[int, Any]]:
    """See `Predictor.detect_together`, here with resolved options."""
    each = frames if frames is not None else [None] * len(sources)
    if len(each) != len(sources):
        raise ValueError(
            f"`frames` must have an entry a video ({len(sources)}), but has {len(each)}"
        )
    batcher = predictor.batcher(options)
    running = {
        number: predictor.session(
            source, options, frames=indices, frame_rate=frame_rate, together=len(sources) > 1
        )
        for number, (source, indices) in enumerate(zip(sources, each, strict=True))
    }
    try:
        while running:
            numbers, videos = list(running), list(running.values())
            for number, turn in zip(numbers, batcher.next_frames(videos), strict=True):
                if turn is None:
                    del running[number]
                elif isinstance(turn, Exception):
                    raise turn
                else:
                    yield number, turn[1]
    finally:
        for session in running.values():
            session.close()
