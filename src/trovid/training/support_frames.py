"""Random support frames of a training step."""

from __future__ import annotations

import random


def training_support(
    num_frames: int, target: int, count: int, *, window: int | None, rng: random.Random
) -> list[int]:
    """Random support frames of a training step, never the target itself.

    Args:
        num_frames: Length of the video.
        target: Index of the target frame.
        count: Number of support frames.
        window: None for any frames of the video (the paper); else as many before as after the
            target, at most that far away (published code: 9, one on each side). Beyond an end the
            other side serves.
        rng: Source of chance.

    Returns:
        `count` indices in order of time; the target itself only where the video has no other frame.
    """
    others = [i for i in range(num_frames) if i != target]
    if not others:
        return [target] * count
    if window is None:
        return sorted(_draw(others, count, rng))
    before = [i for i in others if target - window <= i < target]
    after = [i for i in others if target < i <= target + window]
    first = count // 2
    return sorted(
        [*_draw(before or after, first, rng), *_draw(after or before, count - first, rng)]
    )


def _draw(pool: list[int], count: int, rng: random.Random) -> list[int]:
    return rng.sample(pool, count) if len(pool) >= count else rng.choices(pool, k=count)
