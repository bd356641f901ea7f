"""A small data set of video files, a small recipe for it, and a data folder for `trovid train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.datasets.coco_document import write_coco_vid
from tests.media import STEADY, encode, numbered
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.recipes import Recipe, TrainingRecipe, load_recipe
from trovid.structures import Masks, TrainingBatch, Video
from trovid.training.clips import TrainingClips
from trovid.video.transforms import FrameTransform

HEIGHT, WIDTH = 64, 96
LENGTHS = {"one": 12, "two": 8}
TRANSFORM = FrameTransform(HEIGHT, WIDTH)


def picture(index: int) -> np.ndarray:
    """`numbered` with a white square, which moves."""
    image = numbered(index)
    image[20:44, 20 + index : 44 + index] = 255
    return image


def tiny_dataset(folder: Path, **lengths: int) -> Dataset:
    """Two video files (or those named, with so many frames); every frame holds one square.

    Its mask is known: the square itself.
    """
    entries, rows = [], ObjectRows()
    for number, (name, length) in enumerate((lengths or LENGTHS).items()):
        path = encode(folder / f"{name}.mp4", num_frames=length, picture=picture, options=STEADY)
        entries.append(VideoEntry(Video(name, length, HEIGHT, WIDTH, 25), str(path), range(length)))
        for frame in range(length):
            box, mask = (20 + frame, 20, 44 + frame, 44), square_mask(frame)
            rows.add(number, frame, 0, box, instance_id=1, mask=mask)
    return Dataset(["square"], entries, rows.objects(), info={"name": "squares"})


def square_mask(frame: int) -> bytes:
    """COCO's code of the square of a frame."""
    pixels = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    pixels[0, 20:44, 20 + frame : 44 + frame] = True
    return Masks.from_dense(pixels).counts[0]


def tiny_recipe(name: str = "synthvid-selsa-troi", **training: object) -> Recipe:
    """A recipe of SynthVID, small enough for a step in a tenth of a second."""
    # Of 8 channels oneDNN's bfloat16 gradients of strided convolutions write beyond their memory
    # on processors without AMX.
    width = 16 if training.get("bfloat16") else 8
    recipe = load_recipe(name)
    model = recipe.model
    temporal = model.roi.temporal
    if temporal is not None:
        temporal = replace(temporal, num_heads=2)
    head = model.box_head
    settings = {"start": None, "steps": 4, "batch": 2, "warmup": 1, "videos": 2, "bfloat16": False}
    return replace(
        recipe,
        name="tiny",
        model=replace(
            model,
            classes=("square",),
            backbone=replace(
                model.backbone, widths=(width, width, 16, 16), blocks=(1, 1, 1), out_channels=16
            ),
            rpn=replace(model.rpn, anchor_sizes=((16, 24),), aspect_ratios=(1.0,)),
            roi=replace(model.roi, temporal=temporal),
            box_head=replace(
                head, hidden=(16,) * len(head.hidden), selsa_heads=2 if head.selsa_heads else 0
            ),
        ),
        image=replace(recipe.image, shorter=HEIGHT, longer=WIDTH),
        inference=replace(recipe.inference, support="uniform:3"),
        training=replace(recipe.training, **{**settings, **training}),
    )


def batch_of(
    clips: TrainingClips, settings: TrainingRecipe, *, seed: int, step: int
) -> TrainingBatch:
    """What a step takes."""
    return clips.draw(settings, seed=seed, step=step).batch(clips.transform)


def tiny_folder(folder: Path) -> Path:
    """The data set as `trovid train --data` takes it, with two clips for validation."""
    folder.mkdir(exist_ok=True)
    write_coco_vid(folder / "train.json", tiny_dataset(folder))
    write_coco_vid(folder / "val.json", tiny_dataset(folder, three=11, four=9))
    return folder
