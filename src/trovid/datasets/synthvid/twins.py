"""Clips in which two objects of one class hide each other: what identities are measured on."""

from __future__ import annotations

import math

import numpy as np

from trovid.datasets.synthvid.glyphs import class_names, glyphs
from trovid.datasets.synthvid.motion import draw_path
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.script import (
    FAMILIES,
    SIZES,
    Actor,
    Annotation,
    annotate,
    clear_enough,
    draw_poses,
)
from trovid.datasets.synthvid.timeline import appearances, draw_timeline

TWIN_SIZES = (45 / 256, 68 / 256)
"""Shortest and longest longer side of a twin, in units of the picture's shorter side."""
SPREAD = (0.75, 1.0)
"""How far each twin goes from the middle between them, in sizes."""
MEETING_EVERY = (9, 13)
"""Frames from one meeting to the next."""
TURNS_BACK = 0.5
"""Share of pairs that turn back where they meet; the others pass each other."""
HIDDEN = 2
"""Frames at least in which a twin is half hidden or more, seen before and after."""


def draw_twins(
    rng: Rng,
    *,
    counts: tuple[int, ...],
    strength: float,
    training: bool,
    num_frames: int,
    height: int,
    width: int,
) -> tuple[list[Actor], list[Annotation]]:
    """The objects of a clip and their labels, as `draw_script` gives them.

    Two objects of one class stay in the picture, drift together and meet again and again, passing
    each other or turning back, so that place alone does not tell which is which; only their
    colours differ. Where the clip has a third object, it is of another class and moves as in the
    benchmark. Deteriorations come as in the benchmark, but without jumps of the twins. Drawn again
    until every object is clear in a third of the frames and the twins are hidden in HIDDEN frames.
    """
    while True:
        first, other = rng.sample(rng.choice(FAMILIES), 2)
        side = min(height, width)
        paths = _draw_meetings(rng, num_frames, height, width)
        actors: list[Actor] = []
        for path, size in paths:
            stretches = draw_timeline(rng, num_frames, strength, calm=True, training=training)
            limits = tuple(part * side for part in TWIN_SIZES)
            label = class_names().index(first)
            poses = draw_poses(rng, glyphs()[label], path, size, limits, False)
            actors.append(Actor(label, stretches, poses))
        if rng.choice(counts) > 2:
            stretches = draw_timeline(rng, num_frames, strength, calm=False, training=training)
            size = side * rng.uniform(*SIZES)
            path = draw_path(
                rng,
                appearances(stretches),
                size=size,
                height=height,
                width=width,
                num_frames=num_frames,
                others=[path for path, _ in paths],
                calm=False,
            )
            limits = tuple(part * side for part in SIZES)
            label = class_names().index(other)
            poses = draw_poses(rng, glyphs()[label], path, size, limits, False)
            actors.append(Actor(label, stretches, poses))
        annotations = annotate(actors, num_frames, height, width)
        if clear_enough(annotations, len(actors), num_frames) and hidden(annotations) >= HIDDEN:
            return actors, annotations


def hidden(annotations: list[Annotation]) -> int:
    """In how many frames one of the first two objects has no label, but one before and after."""
    frames: tuple[list[int], list[int]] = ([], [])
    for annotation in annotations:
        if annotation.instance < 2:
            frames[annotation.instance].append(annotation.frame_index)
    return sum(indices[-1] - indices[0] + 1 - len(indices) for indices in frames if indices)


def _draw_meetings(
    rng: Rng, num_frames: int, height: int, width: int
) -> list[tuple[np.ndarray, float]]:
    """For each twin its centres float64 [T, 2] and its size in pixels."""
    side = min(height, width)
    size = side * rng.uniform(*TWIN_SIZES)
    spread = size * rng.uniform(*SPREAD)
    period = rng.integer(*MEETING_EVERY)
    phase = rng.uniform(0, math.pi)
    turns_back = rng.chance(TURNS_BACK)
    direction, turn = rng.uniform(0, 2 * math.pi), rng.uniform(-0.4, 0.4)
    margin = spread + 0.45 * size
    middle, goal = (
        [rng.uniform(min(margin, half), max(edge - margin, half)) for edge, half in edges]
        for edges in [((width, width / 2), (height, height / 2))] * 2
    )
    sizes = [size * rng.uniform(0.92, 1.0), size]
    places: list[list[tuple[float, float]]] = [[], []]
    for frame in range(num_frames):
        share = frame / num_frames
        wave = math.cos(phase + math.pi * frame / period)
        apart = spread * (wave * wave if turns_back else wave)
        angle = direction + turn * math.sin(2 * math.pi * share)
        across = 0.08 * size * math.sin(2 * math.pi * share)
        x, y = (a + (b - a) * share * 0.5 for a, b in zip(middle, goal, strict=True))
        step = (
            apart * math.cos(angle) - across * math.sin(angle),
            apart * math.sin(angle) + across * math.cos(angle),
        )
        places[0].append((x + step[0], y + step[1]))
        places[1].append((x - step[0], y - step[1]))
    return [(np.array(path), twin_size) for path, twin_size in zip(places, sizes, strict=True)]
