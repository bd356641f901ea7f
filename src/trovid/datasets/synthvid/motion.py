"""Where the objects of SynthVID are: smooth paths that stop, cross, leave and come back."""

from __future__ import annotations

import math

import numpy as np

from trovid.datasets.synthvid.rng import Rng

LEAVES = 0.35
CROSSES = 0.6
# (probability, slowest, fastest) in object sizes a frame: standing, slow, medium, fast
PACES = ((0.2, 0.0, 0.0), (0.4, 0.02, 0.08), (0.25, 0.08, 0.16), (0.15, 0.2, 0.4))
CALM_PACES = ((0.3, 0.0, 0.0), (0.3, 0.0, 0.008), (0.4, 0.01, 0.04))
_TRIES = 12

Point = tuple[float, float]
Paces = tuple[tuple[float, float, float], ...]


def draw_path(
    rng: Rng,
    stays: list[tuple[int, int]],
    *,
    size: float,
    height: int,
    width: int,
    num_frames: int,
    others: list[np.ndarray],
    calm: bool,
) -> np.ndarray:
    """Centre of one object in every frame.

    Args:
        rng: Source of random numbers.
        stays: First frame and frame after the last of every stay in the picture.
        size: The object's longer side in pixels.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        num_frames: Number of frames of the clip.
        others: Paths of the objects placed before, as this function returns them.
        calm: Whether the object hardly moves.

    Returns:
        float64 [num_frames, 2], x and y in pixels; NaN where the object is absent.
    """
    path = np.full((num_frames, 2), np.nan)
    crossing = {} if calm else _draw_crossing(rng, stays, size, height, width, others)
    paces = CALM_PACES if calm else PACES
    last: Point | None = None
    left = False
    for index, (start, stop) in enumerate(stays):
        gap = index + 1 < len(stays) and stays[index + 1][0] > stop
        knots = dict(crossing.get(index, {}))
        if not knots:
            knots = _wander(rng, start, stop, size, height, width, others, last, paces)
            if left:
                knots[start] = _outside(knots[start], size, height, width)
            left = gap and stop - start > 4 and rng.chance(LEAVES)
            if left:
                knots[stop - 1] = _outside(knots[stop - 1], size, height, width)
        else:
            left = False
        path[start:stop] = _interpolate(knots, start, stop)
        last = (float(path[stop - 1, 0]), float(path[stop - 1, 1]))
    return path


def _inside(point: Point, size: float, height: int, width: int) -> bool:
    margin = 0.45 * size
    return margin <= point[0] <= width - margin and margin <= point[1] <= height - margin


def _anywhere(rng: Rng, size: float, height: int, width: int) -> Point:
    margin = 0.45 * size
    return (rng.uniform(margin, width - margin), rng.uniform(margin, height - margin))


def _outside(point: Point, size: float, height: int, width: int) -> Point:
    """The point moved over the nearest border by a third of the object's size."""
    x, y = point
    over = size / 3
    distances = {(-over, y): x, (width + over, y): width - x, (x, -over): y}
    distances[(x, height + over)] = height - y
    return min(distances, key=lambda goal: distances[goal])


def _room(
    point: Point, frame: int, size: float, others: list[np.ndarray], last: Point | None
) -> float:
    """Distance to the nearest other object, in sizes, no more than 1.2; far from `last` first."""
    room = 1.2
    for path in others:
        if not math.isnan(path[frame, 0]):
            room = min(room, math.dist(point, path[frame]) / size)
    if last is not None:
        room += 2 * min(1.5, math.dist(point, last) / size)
    return room


def _wander(
    rng: Rng,
    start: int,
    stop: int,
    size: float,
    height: int,
    width: int,
    others: list[np.ndarray],
    last: Point | None,
    paces: Paces,
) -> dict[int, Point]:
    candidates = [_anywhere(rng, size, height, width) for _ in range(_TRIES)]
    point = max(candidates, key=lambda p: _room(p, start, size, others, last))
    knots = {start: point}
    frame = start
    while frame < stop - 1:
        until = min(frame + rng.integer(4, 7), stop - 1)
        if stop - 1 - until < 2:
            until = stop - 1
        pace = _draw_pace(rng, paces) * size * (until - frame)
        steps = []
        for _ in range(_TRIES):
            angle = rng.uniform(0, 2 * math.pi)
            goal = (point[0] + pace * math.cos(angle), point[1] + pace * math.sin(angle))
            if _inside(goal, size, height, width):
                steps.append(goal)
        if steps:
            point = max(steps[:4], key=lambda p: _room(p, until, size, others, None))
        knots[until] = point
        frame = until
    return knots


def _draw_pace(rng: Rng, paces: Paces) -> float:
    share = rng.uniform()
    for probability, slowest, fastest in paces:
        if share < probability:
            return rng.uniform(slowest, fastest)
        share -= probability
    return paces[-1][2]


def _draw_crossing(
    rng: Rng,
    stays: list[tuple[int, int]],
    size: float,
    height: int,
    width: int,
    others: list[np.ndarray],
) -> dict[int, dict[int, Point]]:
    """For one stay, perhaps: knots that lead straight over an object placed before."""
    if not others or not rng.chance(CROSSES):
        return {}
    path = rng.choice(others)
    index = rng.integer(0, len(stays) - 1)
    start, stop = stays[index]
    middle = rng.integer(start, stop - 1)
    angle = rng.uniform(0, 2 * math.pi)
    pace = rng.uniform(0.2, 0.4) * size
    if stop - start < 5 or math.isnan(path[middle, 0]):
        return {}
    step = (pace * math.cos(angle), pace * math.sin(angle))
    knots: dict[int, Point] = {}
    for frame in (max(start, middle - 5), middle, min(stop - 1, middle + 5)):
        x = float(path[middle, 0]) + step[0] * (frame - middle)
        y = float(path[middle, 1]) + step[1] * (frame - middle)
        knots[frame] = (
            min(max(x, 0.3 * size), width - 0.3 * size),
            min(max(y, 0.3 * size), height - 0.3 * size),
        )
    return {index: knots}


def _interpolate(knots: dict[int, Point], start: int, stop: int) -> np.ndarray:
    """Cubic Hermite curve through the knots; it rests before the first and after the last."""
    frames = sorted(knots)
    slopes = []
    for before, after in zip([frames[0], *frames[:-1]], [*frames[1:], frames[-1]], strict=True):
        span = max(after - before, 1)
        slopes.append([(knots[after][axis] - knots[before][axis]) / span for axis in (0, 1)])
    path = np.empty((stop - start, 2))
    for frame in range(start, stop):
        if frame <= frames[0] or frame >= frames[-1]:
            path[frame - start] = knots[frames[0] if frame <= frames[0] else frames[-1]]
            continue
        piece = next(i for i in range(len(frames) - 1) if frame < frames[i + 1])
        first, last = frames[piece], frames[piece + 1]
        span = last - first
        u = (frame - first) / span
        for axis in (0, 1):
            path[frame - start, axis] = (
                (2 * u**3 - 3 * u**2 + 1) * knots[first][axis]
                + (u**3 - 2 * u**2 + u) * span * slopes[piece][axis]
                + (3 * u**2 - 2 * u**3) * knots[last][axis]
                + (u**3 - u**2) * span * slopes[piece + 1][axis]
            )
    return path
