"""A step whose loss is not a number: its error, and what it looked at on one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trovid.errors import TrovidError
from trovid.files import replacing
from trovid.structures import GroundTruth
from trovid.training.clips import TrainingClips
from trovid.training.drawn import DrawnClips
from trovid.viz.drawing import draw_labels, grid

COLUMNS = 4


def failed_step(
    checkpoint: Path, drawn: DrawnClips, clips: TrainingClips, *, step: int, reason: object
) -> TrovidError:
    """The error that ends a training at a step, which names the picture that it writes.

    Args:
        checkpoint: See `save_what_failed`, as `drawn`, `clips` and `step`.
        drawn: What the step took.
        clips: Where that was taken from.
        step: Number of the step.
        reason: What was wrong.
    """
    seen = save_what_failed(checkpoint, drawn, clips, step=step)
    return TrovidError(f"step {step}: {reason}; what it looked at is in {seen}")


def save_what_failed(
    checkpoint: Path, drawn: DrawnClips, clips: TrainingClips, *, step: int
) -> Path:
    """Writes the frames of a step with what was to be found in them.

    Args:
        checkpoint: Of the training; the picture goes beside it.
        drawn: What the step took.
        clips: Where that was taken from.
        step: Number of the step.

    Returns:
        The PNG.
    """
    pictures, titles, target = [], [], 0
    for name, frames, indices in zip(drawn.videos, drawn.frames, drawn.frame_indices, strict=True):
        for place, index in enumerate(indices):
            image = frames[place]
            if image.dtype != np.uint8:
                span = image.max() - image.min()
                image = (255 * ((image - image.min()) / max(float(span), 1e-9))).astype(np.uint8)
            if place < drawn.targets_per_clip:
                image = draw_labels(image, _truth(drawn, clips, target, image))
                target += 1
            pictures.append(image)
            titles.append(f"{name} frame {index}" if index >= 0 else f"{name} (copy)")
    path = checkpoint.with_name(f"{checkpoint.stem}.step{step}.png")
    with replacing(path) as partial:
        sheet = grid(pictures, titles, columns=min(COLUMNS, len(pictures)))
        Image.fromarray(sheet).save(partial, format="PNG")
    return path


def _truth(drawn: DrawnClips, clips: TrainingClips, target: int, image: np.ndarray) -> GroundTruth:
    boxes, labels = drawn.boxes[target], drawn.labels[target]
    return GroundTruth(
        boxes=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        instance_ids=torch.arange(len(boxes)),
        class_names=clips.dataset.class_names,
        image_size=(image.shape[0], image.shape[1]),
    )
