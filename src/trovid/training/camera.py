"""Clips from pictures: a camera moves over one, objects of others move through, frames are spoilt.

Everything depends on the source of chance alone, and boxes follow what is done to the pixels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trovid.recipes import CameraRecipe
from trovid.structures import GroundTruth
from trovid.video.deteriorations import KINDS, deteriorated, drawn_strength

Frames = NDArray[np.uint8]
Drawing = Callable[[random.Random], tuple[Frames, GroundTruth]]

LEAST_LEFT = 0.3
"""Part of an object that a frame must show for the object to be an example."""
MOST_COVERED = 0.6
"""Part of an object that a pasted one may cover."""
SMALLEST = 4.0
"""Pixels of an object's side from which it is an example."""
PASTED_SIZE = (0.15, 0.5)
"""Of a pasted object the longer side, as a share of the frame's shorter one."""
PASTED_MOTION = 2.0
"""How much farther a pasted object moves than the camera."""
MARGIN, EDGE = 0.08, 0.12
"""What is pasted of an object's surroundings, and how softly it ends, as shares of its sides."""
LEAST_PASTED = 32.0
"""Pixels of an object's sides from which it is pasted elsewhere."""
GREY = (124, 124, 124)


@dataclass(frozen=True)
class View:
    """Where a frame lies on a picture.

    Attributes:
        x: Of its middle, in the picture's pixels.
        y: Of its middle.
        scale: Pixels of the frame for one of the picture.
        angle: By which what it shows is turned, clockwise, in radians.
        size: Height and width of the frame.
    """

    x: float
    y: float
    scale: float
    angle: float
    size: tuple[int, int]

    def frame(self, picture: Image.Image, factor: tuple[float, float] = (1.0, 1.0)) -> Frames:
        """What it shows, [H, W, 3]; grey beyond the picture's edges.

        Args:
            picture: The picture, maybe resized.
            factor: Its width and height, as shares of the picture's own.
        """
        height, width = self.size
        cos, sin = math.cos(self.angle) / self.scale, math.sin(self.angle) / self.scale
        across, down = factor
        lines = (
            across * cos,
            across * sin,
            across * (self.x - cos * width / 2 - sin * height / 2),
            down * -sin,
            down * cos,
            down * (self.y + sin * width / 2 - cos * height / 2),
        )
        shown = picture.transform(
            (width, height),
            Image.Transform.AFFINE,
            lines,
            resample=Image.Resampling.BILINEAR,
            fillcolor=GREY,
        )
        return np.asarray(shown)

    def boxes(self, boxes: Tensor) -> Tensor:
        """Tensor[N, 4] of the picture in pixels of the frame: around their corners, not cut."""
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].view(-1, 4, 2)
        cos, sin = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        turn = boxes.new_tensor([[cos, sin], [-sin, cos]])
        middle = boxes.new_tensor([self.size[1] / 2, self.size[0] / 2])
        moved = (corners - boxes.new_tensor([self.x, self.y])) @ turn + middle
        return torch.cat([moved.amin(1), moved.amax(1)], 1)


def drawn_views(
    settings: CameraRecipe, size: tuple[int, int], chance: random.Random, *, count: int
) -> list[View]:
    """Views of a picture, each moved a little from where the first one lies.

    Args:
        settings: How far.
        size: Height and width of the picture.
        chance: Source of chance.
        count: How many.
    """
    low, high = (math.log(end) for end in settings.zoom)
    scale = math.exp(chance.uniform(low, high))
    frame = (settings.height, settings.width)
    y, x = (
        chance.uniform(*_middles(side, frame_side / scale))
        for side, frame_side in zip(size, frame, strict=True)
    )
    views = [View(x, y, scale, 0.0, frame)]
    for _ in range(count - 1):
        near = scale * math.exp(chance.uniform(-1, 1) * math.log1p(settings.zoom_motion))
        moved = []
        for side, frame_side, middle in zip(size, frame, (y, x), strict=True):
            step = chance.uniform(-settings.motion, settings.motion) * frame_side / near
            first, last = _middles(side, frame_side / near)
            moved.append(min(max(middle + step, first), last))
        views.append(View(moved[1], moved[0], near, 0.0, frame))
    if settings.rotation:
        most = math.radians(settings.rotation)
        views = [replace(view, angle=chance.uniform(-most, most)) for view in views]
    return views


def _middles(side: float, seen: float) -> tuple[float, float]:
    """Where the middle of a frame may lie: the frame in the picture, or the picture in it."""
    return min(seen / 2, side - seen / 2), max(seen / 2, side - seen / 2)


def filmed(
    picture: Frames,
    truth: GroundTruth,
    settings: CameraRecipe,
    chance: random.Random,
    *,
    count: int,
    other: Drawing,
) -> tuple[Frames, list[GroundTruth]]:
    """A clip of a picture.

    Args:
        picture: [H, W, 3].
        truth: Its objects, in whatever pixels `truth.image_size` says.
        settings: What the camera does.
        chance: Source of chance.
        count: How many frames.
        other: Another picture with its objects, of which one may be pasted.

    Returns:
        [T, height, width, 3], and of each frame the objects in its pixels. What is hardly seen,
        or covered, need not be found.
    """
    size = (picture.shape[0], picture.shape[1])
    boxes = truth.boxes * (torch.tensor(size) / torch.tensor(truth.image_size)).flip(0).repeat(2)
    views = drawn_views(settings, size, chance, count=count)
    whole = Image.fromarray(picture)
    shrunk = [max(1, round(side * min(1.0, views[0].scale))) for side in size]
    factor = (shrunk[1] / size[1], shrunk[0] / size[0])
    if shrunk != list(size):
        whole = whole.resize((shrunk[1], shrunk[0]), Image.Resampling.BILINEAR)
    frames = [view.frame(whole, factor) for view in views]
    truths = [_seen(truth, view.boxes(boxes), view.size) for view in views]
    if chance.random() < settings.pasted:
        sprite = _sprite(*other(chance), settings, chance)
        if sprite is not None:
            frames, truths = sprite.through(frames, truths, settings, chance)
    for number, known in enumerate(truths):
        if chance.random() < settings.damage:
            frames[number] = _spoilt(frames[number], known, chance)
    return np.stack(frames), truths


def _seen(truth: GroundTruth, boxes: Tensor, size: tuple[int, int]) -> GroundTruth:
    """The objects that a frame shows; their boxes are cut at its edges."""
    cut = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([size[1], size[0]]).repeat(2))
    hidden = (_areas(cut) < LEAST_LEFT * _areas(boxes)) | (
        (cut[:, 2:] - cut[:, :2]) < SMALLEST
    ).any(1)
    ignore = hidden if truth.ignore is None else truth.ignore | hidden
    return GroundTruth(
        boxes=cut,
        labels=truth.labels,
        instance_ids=truth.instance_ids,
        class_names=truth.class_names,
        image_size=size,
        crowd=truth.crowd,
        ignore=ignore,
    )


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def _spoilt(frame: Frames, truth: GroundTruth, chance: random.Random) -> Frames:
    """A frame with a random deterioration; an occlusion covers one of the objects."""
    kind = chance.choice(KINDS)
    boxes = truth.boxes[truth.counted].tolist()
    box = chance.choice(boxes) if boxes else None
    return deteriorated(frame, kind, drawn_strength(kind, chance), chance, box=box)


@dataclass(frozen=True, eq=False)
class Sprite:
    """An object cut out of a picture, with some of what surrounds it.

    Attributes:
        pixels: [h, w, 3].
        alpha: [h, w, 1] in 0..1, soft at the edges.
        objects: All that it shows, the rider on the horse too, in its own pixels.
    """

    pixels: Frames
    alpha: NDArray[np.float32]
    objects: GroundTruth

    def through(
        self,
        frames: Sequence[Frames],
        truths: Sequence[GroundTruth],
        settings: CameraRecipe,
        chance: random.Random,
    ) -> tuple[list[Frames], list[GroundTruth]]:
        """Moves through a clip; returns its frames and objects with this one among them."""
        high, wide = self.pixels.shape[:2]
        x = chance.uniform(0, settings.width - wide)
        y = chance.uniform(0, settings.height - high)
        reach = PASTED_MOTION * settings.motion
        out, known = [], []
        for frame, truth in zip(frames, truths, strict=True):
            left = round(x + chance.uniform(-reach, reach) * settings.width)
            top = round(y + chance.uniform(-reach, reach) * settings.height)
            out.append(self._on(frame, left, top))
            known.append(self._among(truth, left, top))
        return out, known

    def _on(self, frame: Frames, left: int, top: int) -> Frames:
        height, width = frame.shape[:2]
        high, wide = self.pixels.shape[:2]
        rows = slice(max(0, -top), min(high, height - top))
        columns = slice(max(0, -left), min(wide, width - left))
        changed = frame.copy()
        if rows.start < rows.stop and columns.start < columns.stop:
            place = changed[
                rows.start + top : rows.stop + top, columns.start + left : columns.stop + left
            ]
            part = self.alpha[rows, columns]
            place[...] = np.rint(
                place + part * (self.pixels[rows, columns] - place.astype(np.float32))
            )
        return changed

    def _among(self, truth: GroundTruth, left: int, top: int) -> GroundTruth:
        """A frame's objects and the pasted ones; what these cover need not be found."""
        high, wide = self.pixels.shape[:2]
        place = torch.tensor([left, top, left + wide, top + high], dtype=truth.boxes.dtype)
        shared = torch.cat(
            [
                torch.maximum(truth.boxes[:, :2], place[:2]),
                torch.minimum(truth.boxes[:, 2:], place[2:]),
            ],
            1,
        )
        hidden = _areas(shared) > MOST_COVERED * _areas(truth.boxes)
        first = int(truth.instance_ids.max()) + 1 if len(truth) else 0
        numbers = torch.arange(first, first + len(self.objects))
        both = replace(
            truth,
            boxes=torch.cat([truth.boxes, self.objects.boxes + place[:2].repeat(2)]),
            labels=torch.cat([truth.labels, self.objects.labels]),
            instance_ids=torch.cat([truth.instance_ids, numbers]),
            crowd=torch.cat([_flags(truth, "crowd"), _flags(self.objects, "crowd")]),
            ignore=torch.cat([_flags(truth, "ignore") | hidden, _flags(self.objects, "ignore")]),
        )
        return _seen(both, both.boxes, truth.image_size)


def _flags(truth: GroundTruth, name: str) -> Tensor:
    given = getattr(truth, name)
    return torch.zeros(len(truth), dtype=torch.bool) if given is None else given


def _sprite(
    picture: Frames, truth: GroundTruth, settings: CameraRecipe, chance: random.Random
) -> Sprite | None:
    """One of a picture's objects in the size that it is pasted in; None where all are too small."""
    size = (picture.shape[0], picture.shape[1])
    boxes = truth.boxes * (torch.tensor(size) / torch.tensor(truth.image_size)).flip(0).repeat(2)
    large = (boxes[:, 2:] - boxes[:, :2] >= LEAST_PASTED).all(1)
    rows = (truth.counted & large).nonzero().flatten().tolist()
    if not rows:
        return None
    row = chance.choice(rows)
    x1, y1, x2, y2 = boxes[row].tolist()
    across, down = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, top = max(0, math.floor(x1 - across)), max(0, math.floor(y1 - down))
    right, bottom = min(size[1], math.ceil(x2 + across)), min(size[0], math.ceil(y2 + down))
    longer = chance.uniform(*PASTED_SIZE) * min(settings.height, settings.width)
    scale = longer / max(right - left, bottom - top)
    wide, high = (max(4, round(side * scale)) for side in (right - left, bottom - top))
    part = Image.fromarray(picture[top:bottom, left:right])
    pixels = np.asarray(part.resize((wide, high), Image.Resampling.BILINEAR))
    by = boxes.new_tensor([wide / (right - left), high / (bottom - top)]).repeat(2)
    part_boxes = (boxes - boxes.new_tensor([left, top]).repeat(2)) * by
    return Sprite(pixels, _soft(high, wide), _seen(truth, part_boxes, (high, wide)))


def _soft(height: int, width: int) -> NDArray[np.float32]:
    """1 within, falling to 0 at the edges, with round corners: [h, w, 1]."""
    across, down = (
        abs((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) for side in (width, height)
    )
    radius = (across**6 + down[:, None] ** 6) ** np.float32(1 / 6)
    return np.clip((1 - radius) / EDGE, 0, 1)[..., None].astype(np.float32)
