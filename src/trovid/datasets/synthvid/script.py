"""What happens in a clip of SynthVID: everything that its labels depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trovid.datasets.synthvid.glyphs import Glyph, class_names, glyphs, mask, place
from trovid.datasets.synthvid.motion import draw_path
from trovid.datasets.synthvid.rng import Rng
from trovid.datasets.synthvid.timeline import CLEAR_SHARE, Stretch, appearances, draw_timeline

SIZES = (45 / 256, 102 / 256)
"""Shortest and longest longer side of an object, in units of the picture's shorter side."""

UNSEEN_SIZES = ((30 / 256, 44 / 256), (104 / 256, 140 / 256))
"""Sizes that no object of the benchmark has, in the same units: smaller ones and larger ones."""

FAMILIES = (
    ("anchor", "club", "cup", "skull"),
    ("envelope", "pencil", "scissors", "telephone"),
    ("gear", "recycling", "snowflake", "sun"),
    ("aeroplane", "note", "rook", "star"),
    ("flag", "heart", "knight", "umbrella"),
)
"""Classes that are easily taken for one another when deteriorated; a clip shows one family."""

CALM = 0.2
"""Share of objects that hardly move and stay in the picture."""


@dataclass(frozen=True, eq=False)
class Pose:
    """An object in one frame.

    Attributes:
        size: Longer side of the sticker before rotation, in pixels.
        centre: x and y in pixels.
        glyph: Polygons of the pictogram in 1/256 pixel.
        silhouette: Polygons of the whole sticker in 1/256 pixel.
    """

    size: float
    centre: tuple[float, float]
    glyph: tuple[np.ndarray, ...]
    silhouette: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Actor:
    """One object through the clip: its class, its stretches, its pose in every frame or None."""

    label: int
    stretches: list[Stretch]
    poses: list[Pose | None]

    def stretch(self, frame: int) -> Stretch:
        """The stretch that a frame belongs to."""
        return next(s for s in self.stretches if s.start <= frame < s.stop)


@dataclass(frozen=True, eq=False)
class Annotation:
    """The label of one object in one frame.

    Attributes:
        frame_index: Frame, from 0.
        instance: The object's number in its clip, from 0.
        label: Index of its class.
        box: x, y, width, height in whole pixels, of the silhouette inside the picture.
        mask: bool [height, width], the silhouette within `box`.
        deterioration: "none" or one of KINDS.
        strength: How strongly; 0 for "none".
        motion_iou: Mean IoU with itself in frames t-10..t+10 without t, where it is labelled.
    """

    frame_index: int
    instance: int
    label: int
    box: tuple[int, int, int, int]
    mask: np.ndarray
    deterioration: str
    strength: float
    motion_iou: float


def draw_script(
    rng: Rng,
    *,
    counts: tuple[int, ...],
    strength: float,
    training: bool,
    num_frames: int,
    height: int,
    width: int,
    unseen: bool = False,
) -> tuple[list[Actor], list[Annotation]]:
    """The objects of a clip and their labels; with `unseen` of other sizes than in training.

    Drawn again until every object is labelled clear in at least CLEAR_SHARE of the frames.
    """
    while True:
        actors: list[Actor] = []
        paths: list[np.ndarray] = []
        for name in rng.sample(rng.choice(FAMILIES), rng.choice(counts)):
            label = class_names().index(name)
            calm = rng.chance(CALM)
            stretches = draw_timeline(rng, num_frames, strength, calm=calm, training=training)
            span = rng.choice(UNSEEN_SIZES) if unseen else SIZES
            size = min(height, width) * rng.uniform(*span)
            path = draw_path(
                rng,
                appearances(stretches),
                size=size,
                height=height,
                width=width,
                num_frames=num_frames,
                others=paths,
                calm=calm,
            )
            sizes = tuple(side * min(height, width) for side in span)
            poses = draw_poses(rng, glyphs()[label], path, size, sizes, calm)
            actors.append(Actor(label, stretches, poses))
            paths.append(path)
        annotations = annotate(actors, num_frames, height, width)
        if clear_enough(annotations, len(actors), num_frames):
            return actors, annotations


def clear_enough(annotations: list[Annotation], objects: int, num_frames: int) -> bool:
    """Whether every object is labelled clear in at least CLEAR_SHARE of the frames."""
    clear = [0] * objects
    for annotation in annotations:
        clear[annotation.instance] += annotation.deterioration == "none"
    return min(clear) >= num_frames * CLEAR_SHARE


def draw_poses(
    rng: Rng,
    glyph: Glyph,
    path: np.ndarray,
    size: float,
    sizes: tuple[float, ...],
    calm: bool,
) -> list[Pose | None]:
    """An object's poses along a path float64 [T, 2]; none where that is NaN."""
    angle = math.radians(rng.uniform(-30, 30))
    change = 0.1 if calm else 1.0
    turn = math.radians(rng.uniform(-15, 15)) * change
    growth = rng.uniform(-0.15, 0.15) * change
    phase, shear = rng.uniform(0, 2 * math.pi), rng.uniform(-0.15, 0.15)
    squeeze = rng.uniform(-0.08, 0.08)
    poses: list[Pose | None] = []
    for frame, (x, y) in enumerate(path.tolist()):
        if math.isnan(x):
            poses.append(None)
            continue
        wave = math.sin(phase + 2 * math.pi * frame / 32)
        now = min(max(size * (1 + growth * wave), sizes[0]), sizes[1])
        cosine, sine = math.cos(angle + turn * wave), math.sin(angle + turn * wave)
        shape = np.array([[1 + squeeze, shear], [0.0, 1 - squeeze]]) * (now / glyph.grid)
        matrix = np.array([[cosine, -sine], [sine, cosine]]) @ shape
        poses.append(
            Pose(
                now,
                (x, y),
                place(glyph.glyph, matrix, (x, y)),
                place(glyph.silhouette, matrix, (x, y)),
            )
        )
    return poses


def drawing_order(actors: list[Actor], frame: int) -> list[int]:
    """Numbers of the objects in this frame from the lowest to the topmost.

    Deteriorated objects lie below clear ones, so that what is done to one never spoils another
    that is labelled clear.
    """
    present = [i for i, actor in enumerate(actors) if actor.poses[frame] is not None]
    return sorted(present, key=lambda i: (actors[i].stretch(frame).kind == "none", i))


def annotate(actors: list[Actor], num_frames: int, height: int, width: int) -> list[Annotation]:
    """Labels of all objects that lie half inside the picture and half free of other objects."""
    found: list[tuple[int, int, tuple[int, int, int, int], np.ndarray]] = []
    for frame in range(num_frames):
        covered = np.zeros((height, width), dtype=bool)
        for instance in reversed(drawing_order(actors, frame)):
            pose = actors[instance].poses[frame]
            assert pose is not None
            whole, left, top = mask(pose.silhouette)
            part, window = overlay(covered, whole, left, top)
            inside, free = int(part.sum()), int((part & ~window).sum())
            window |= part
            if 2 * inside < int(whole.sum()) or 2 * free < inside:
                continue
            ys, xs = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
            cut = part[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
            box = (max(left, 0) + int(xs[0]), max(top, 0) + int(ys[0]), cut.shape[1], cut.shape[0])
            found.append((frame, instance, box, cut))

    boxes = {(frame, instance): box for frame, instance, box, _ in found}
    annotations = []
    for frame, instance, box, cut in sorted(found, key=lambda entry: entry[:2]):
        times = [t for t in range(frame - 10, frame + 11) if t != frame]
        near = [boxes.get((t, instance)) for t in times]
        overlaps = [intersection_over_union(box, other) for other in near if other is not None]
        stretch = actors[instance].stretch(frame)
        annotations.append(
            Annotation(
                frame,
                instance,
                actors[instance].label,
                box,
                cut,
                stretch.kind,
                stretch.strength,
                round(math.fsum(overlaps) / max(len(overlaps), 1), 4),
            )
        )
    return annotations


def overlay(
    picture: np.ndarray, whole: np.ndarray, left: int, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """What of a mask lies in the picture, and the window of the picture that it lies on.

    Args:
        picture: bool [H, W].
        whole: bool [h, w].
        left: Column of the picture that the mask's first column lies on.
        top: Row of the picture that its first row lies on.
    """
    height, width = picture.shape
    rows = slice(max(-top, 0), max(min(height - top, len(whole)), 0))
    columns = slice(max(-left, 0), max(min(width - left, whole.shape[1]), 0))
    part = whole[rows, columns]
    top, left = max(top, 0), max(left, 0)
    return part, picture[top : top + part.shape[0], left : left + part.shape[1]]


def intersection_over_union(
    box: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> float:
    """IoU of two boxes given as x, y, width, height."""
    width = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    height = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    both = max(width, 0) * max(height, 0)
    return both / (box[2] * box[3] + other[2] * other[3] - both)
