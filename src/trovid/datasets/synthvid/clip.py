"""One clip of SynthVID: frames and labels from a split's name and a number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from trovid.datasets.synthvid.background import DRIFT, draw_background, draw_unseen_background
from trovid.datasets.synthvid.deteriorations import Look, Manner, draw_colour, draw_object
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.script import Actor, Annotation, draw_script, drawing_order
from trovid.datasets.synthvid.twins import draw_twins
from trovid.datasets.synthvid.visible import visible_parts

VERSION = "2"
STRENGTH = {"train": 1.0, "val": 1.5, "test": 1.5}
"""The benchmark's factor on all deteriorations of a split, set on val."""
SPLITS = {"train": 0, "val": 1, "test": 2}
COUNTS = {"train": (1, 2, 2, 3, 3), "val": (2, 3), "test": (2, 3)}
NUM_FRAMES, SIDE, FRAME_RATE = 24, 256, 12
SMALLEST_SIDE = 64
Setting = Literal["classes", "twins", "unseen"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
_LABELS: dict[Setting, int] = {"classes": 0, "twins": 2, "unseen": 4}
_FRAMES: dict[Setting, int] = {"classes": 1, "twins": 3, "unseen": 5}
_GRAIN = 0.006


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip and its labels.

    Attributes:
        name: "<split>_<index>", five digits.
        frames: uint8 [T, H, W, 3], RGB.
        annotations: Labels ordered by frame, then by object.
        visible: For each label bool [h, w] within its box: what of its mask can be seen
            (`visible_parts`).
        strength: The factor that scaled all deteriorations.
    """

    name: str
    frames: np.ndarray
    annotations: list[Annotation]
    visible: list[np.ndarray]
    strength: float


def clip_name(split: str, index: int) -> str:
    """Name of a clip, the stem of its file."""
    return f"{split}_{index:05d}"


def make_clip(
    split: str,
    index: int,
    *,
    seed: int = 0,
    strength: float | None = None,
    num_frames: int = NUM_FRAMES,
    height: int = SIDE,
    width: int = SIDE,
    setting: Setting = "classes",
) -> Clip:
    """Makes one clip.

    Args:
        split: "train", "val" or "test"; splits never share a random stream.
        index: The clip's number within its split, from 0.
        seed: Another seed gives another benchmark; the published figures use 0.
        strength: Factor on all deteriorations; by default the benchmark's own, `STRENGTH`.
        num_frames: Number of frames T, at least 24.
        height: Height H in pixels, even, at least 64.
        width: Width W in pixels, even, at least 64.
        setting: "classes", the benchmark: objects of different classes that jump about; "twins":
            two objects of one class that hide each other (`draw_twins`), for figures of identity;
            "unseen": the benchmark with backgrounds and sizes that training has not.

    Returns:
        The clip.

    Raises:
        ValueError: If an argument is out of range.
    """
    strength = split_strength(split, strength)
    actors, annotations = clip_labels(
        split,
        index,
        seed=seed,
        strength=strength,
        num_frames=num_frames,
        height=height,
        width=width,
        setting=setting,
    )
    rng = Rng(*_key(split, index, seed), _FRAMES[setting])
    background = draw_unseen_background if setting == "unseen" else draw_background
    frames, manners = _render(rng, actors, background(rng, height, width), num_frames)
    visible = visible_parts(actors, annotations, manners, height=height, width=width)
    return Clip(clip_name(split, index), frames, annotations, visible, strength)


def clip_labels(
    split: str,
    index: int,
    *,
    seed: int = 0,
    strength: float | None = None,
    num_frames: int = NUM_FRAMES,
    height: int = SIDE,
    width: int = SIDE,
    setting: Setting = "classes",
) -> tuple[list[Actor], list[Annotation]]:
    """What happens in a clip and its labels, without drawing it.

    Arguments and errors are those of `make_clip`.
    """
    strength = split_strength(split, strength)
    check_options(split, seed, strength, num_frames, height, width, setting)
    rng = Rng(*_key(split, index, seed), _LABELS[setting])
    draw = draw_twins if setting == "twins" else partial(draw_script, unseen=setting == "unseen")
    return draw(
        rng,
        counts=COUNTS[split],
        strength=strength,
        training=split == "train",
        num_frames=num_frames,
        height=height,
        width=width,
    )


def _key(split: str, index: int, seed: int) -> tuple[int, ...]:
    return (int(VERSION), seed, SPLITS[split], index)


def split_strength(split: str, strength: float | None) -> float:
    """The factor asked for, or the benchmark's own (1 for an unknown split)."""
    return STRENGTH.get(split, 1.0) if strength is None else strength


def check_options(
    split: str,
    seed: int,
    strength: float,
    num_frames: int,
    height: int,
    width: int,
    setting: str = "classes",
) -> None:
    """Raises ValueError for options that no clip can have."""
    if setting not in SETTINGS:
        raise ValueError(f"`setting` must be one of {', '.join(SETTINGS)}, but got {setting!r}")
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, but got {split!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in 0..2**32 - 1, but got {seed}")
    if not 0 < strength <= 4:
        raise ValueError(f"`strength` must be above 0 and at most 4, but got {strength}")
    if num_frames < NUM_FRAMES:
        raise ValueError(f"`num_frames` must be at least {NUM_FRAMES}, but got {num_frames}")
    if min(height, width) < SMALLEST_SIDE or height % 2 or width % 2:
        raise ValueError(
            f"`height` and `width` must be even and at least {SMALLEST_SIDE}, "
            f"but got {height} x {width}"
        )


def _render(
    rng: Rng, actors: list[Actor], scene: np.ndarray, num_frames: int
) -> tuple[np.ndarray, list[list[Manner]]]:
    """The frames over a scene, and for each object the manner of each of its stretches."""
    height, width = (side - DRIFT for side in scene.shape[:2])
    looks = _draw_looks(rng, len(actors))
    manners = [[Manner.draw(rng) for _ in actor.stretches] for actor in actors]
    grain = _GRAIN * rng.field(2 * height, 2 * width, 1)
    turn, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0, DRIFT / 2)
    frames = np.empty((num_frames, height, width, 3), dtype=np.uint8)
    for frame in range(num_frames):
        angle = turn + 2 * math.pi * frame / 48
        top = round(DRIFT / 2 + radius * math.sin(angle))
        left = round(DRIFT / 2 + radius * math.cos(angle))
        image = scene[top : top + height, left : left + width].copy()
        for number in drawing_order(actors, frame):
            actor = actors[number]
            stretch = actor.stretch(frame)
            pose = actor.poses[frame]
            assert pose is not None
            draw_object(
                image,
                pose,
                looks[number],
                kind=stretch.kind,
                strength=stretch.strength,
                manner=manners[number][actor.stretches.index(stretch)],
                rng=rng,
            )
        down, right = rng.integer(0, height - 1), rng.integer(0, width - 1)
        image += grain[down : down + height, right : right + width]
        frames[frame] = np.clip(image * 255 + 0.5, 0, 255)
    return frames, manners


def _draw_looks(rng: Rng, count: int) -> list[Look]:
    """Colours: pictogram and sticker differ in brightness, stickers of one clip in colour.

    No sticker is nearly black, so that something of its colour is left in the dark.
    """
    looks: list[Look] = []
    while len(looks) < count:
        body, ink = draw_colour(rng), draw_colour(rng)
        if abs(_brightness(body) - _brightness(ink)) < 0.35:
            continue
        if float(body.max()) < 0.4:
            continue
        if all(float(np.abs(body - other.body).max()) > 0.35 for other in looks):
            looks.append(Look(body, ink))
    return looks


def _brightness(colour: np.ndarray) -> float:
    red, green, blue = colour.tolist()
    return 0.3 * red + 0.59 * green + 0.11 * blue
