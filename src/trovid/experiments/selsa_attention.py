"""Which support frames SELSA's attention prefers: its weights summed over each frame's proposals.

Of every labelled object of a target frame, in every support frame in which it is labelled too;
of SynthVID, where the strength of each object's deterioration is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trovid.datasets.reading import read_dataset
from trovid.experiments.clip_records import read_records, write_records
from trovid.experiments.correspondence import targets_with_support
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.structures import GroundTruth
from trovid.video.opening import Frame


class Weighed(NamedTuple):
    """One object of a target frame in one support frame.

    Attributes:
        weight: What the object's attention gives all proposals of the support frame together, mean
            over heads and layers; over all support frames the sum is 1.
        support_strength: Strength of the object's deterioration in the support frame; 0: clean.
    """

    weight: float
    support_strength: float


def weigh_clips(file: Path, weights: Path, data: Path, *, every: int) -> None:
    """Weighs the support frames of all clips and writes one list of records a clip.

    Args:
        file: Where to.
        weights: A model with SELSA.
        data: Labels of the clips.
        every: Every how many frames is a target frame.
    """
    predictor = load(weights, device="cpu")
    dataset = read_dataset(data, split="val")
    clips: dict[str, list[Weighed]] = {}
    for video in dataset.videos:
        with dataset.open(video.name) as reader:
            frames = reader.read(range(video.num_frames))
        truths = dataset.ground_truth(video.name)
        clips[video.name] = list(weigh(predictor, frames, truths, every=every))
    write_records(file, clips, weights=weights, every=every)


def read_weighed(file: Path, *, weights: Path, every: int) -> dict[str, list[Weighed]]:
    """What `weigh_clips` wrote (see `read_records`)."""
    clips = read_records(file, weights=weights, every=every)
    return {name: [Weighed(*record) for record in records] for name, records in clips.items()}


@torch.inference_mode()
def weigh(
    predictor: Predictor, frames: Sequence[Frame], truths: Sequence[GroundTruth], *, every: int = 4
) -> Iterator[Weighed]:
    """Weighs the support frames of a clip's target frames, by the labelled boxes of each.

    Args:
        predictor: A model with SELSA.
        frames: All frames of the clip.
        truths: Their labels.
        every: Every how many frames is a target frame.
    """
    images, size = predictor.input(frames)
    support = predictor.running.encode(images)
    source = frames[0].image.shape[:2]
    scale = torch.tensor([size[1] / source[1], size[0] / source[0]]).repeat(2)
    for target, others in targets_with_support(predictor, truths, every):
        truth = truths[target]
        shares = frame_shares(
            predictor.running,
            images[target : target + 1],
            truth.boxes * scale,
            support.select(others),
            size,
        )
        for number, instance in enumerate(truth.instance_ids.tolist()):
            for place, frame in enumerate(others):
                there = truths[frame]
                same = (there.instance_ids == instance).nonzero().flatten().tolist()
                if same:
                    strength = float(there.attributes["strength"][same[0]])
                    yield Weighed(float(shares[number, place]), strength)


def frame_shares(
    detector: Any, image: Tensor, boxes: Tensor, support: Any, size: tuple[int, int]
) -> Tensor:
    """What SELSA gives each support frame, of some boxes of a target frame.

    Args:
        detector: With SELSA.
        image: Tensor[1, 3, H, W].
        boxes: Tensor[R, 4] in its pixels.
        support: Of T frames.
        size: Height and width of the image before padding.

    Returns:
        Tensor[R, T], mean over heads and layers; each row adds up to 1.
    """
    layers: list[Tensor] = []

    def note(attention: Any, inputs: tuple[Tensor, ...]) -> None:
        layers.append(attention.weights(*inputs[:2]).mean(0))

    handles = [layer.register_forward_pre_hook(note) for layer in detector.box_head.attention]
    try:
        roi_features = detector.pool(detector.backbone(image), [boxes], [size], [support])
        detector.box_head(roi_features, [len(boxes)], [support.embedding])
    finally:
        for handle in handles:
            handle.remove()
    counts = [len(proposals) for proposals in support.proposals]
    whole = torch.stack(layers).mean(0)
    return torch.stack([part.sum(1) for part in whole.split(counts, 1)], 1)
