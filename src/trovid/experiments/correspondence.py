"""Whether the most similar cell lies on the same object, and which frames the attention prefers.

SynthVID's masks are known: of every labelled object of a target frame the RoI positions whose
centre lies within its mask are followed into every support frame in which it is labelled too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from trovid.datasets.reading import read_dataset
from trovid.detectors.building import build_detector
from trovid.experiments.clip_records import read_records, write_records
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.nn import LevelPooler
from trovid.ops import most_similar_roi_align, pack_support
from trovid.structures import GroundTruth, SupportSampling
from trovid.video.opening import Frame

CONTROLS = ("random weights", "colour alone")
DISTANCES = ((1, 4), (5, 9), (10, 15), (16, 10**6))
"""Frames between target and support frame, first and last of each group."""


class Followed(NamedTuple):
    """One object of a target frame in one support frame.

    Attributes:
        deterioration: Of the target's object.
        distance: Frames between the two.
        positions: RoI positions within the object.
        hits: Of them those whose most similar cell lies on the same object.
        chance: Share of all cells that lie on it.
        weight: Mean temporal weight of the support frame over these positions; NaN if unknown.
        support_strength: Strength of the deterioration in the support frame; 0: clean.
        near: Of the positions those whose most similar cell lies on the object or next to it.
        near_chance: Share of all cells that do.
    """

    deterioration: str
    distance: int
    positions: int
    hits: int
    chance: float
    weight: float
    support_strength: float
    near: int
    near_chance: float


def follow_clips(
    file: Path, weights: Path, data: Path, *, every: int, control: str | None = None
) -> None:
    """Follows the objects of all clips and writes one list of records a clip.

    Args:
        file: Where to.
        weights: A model with Temporal RoI Align.
        data: Labels of the clips.
        every: Every how many frames is a target frame.
        control: One of CONTROLS in place of the trained features.
    """
    predictor = load(weights, device="cpu")
    if control == "random weights":
        torch.manual_seed(0)
        predictor = Predictor(build_detector(predictor.recipe), predictor.recipe, device="cpu")
    dataset = read_dataset(data, split="val")
    clips: dict[str, list[Followed]] = {}
    for video in dataset.videos:
        with dataset.open(video.name) as reader:
            frames = reader.read(range(video.num_frames))
        truths = dataset.ground_truth(video.name, masks=True)
        followed = follow(predictor, frames, truths, every=every, colour=control == "colour alone")
        clips[video.name] = list(followed)
    write_records(file, clips, weights=weights, every=every)


@torch.inference_mode()
def follow(
    predictor: Predictor,
    frames: Sequence[Frame],
    truths: Sequence[GroundTruth],
    *,
    every: int = 4,
    colour: bool = False,
) -> Iterator[Followed]:
    """Follows the objects of a clip's target frames into its support frames.

    Args:
        predictor: A model with Temporal RoI Align that searches the level it pools from.
        frames: All frames of the clip.
        truths: Their labels, with masks.
        every: Every how many frames is a target frame.
        colour: Whether cells are compared by their mean colour alone.
    """
    pool: LevelPooler = predictor.running.roi_features
    images, size = predictor.input(frames)
    features = predictor.running.backbone(images)
    (name,) = pool.featmap_names
    maps = features[name]
    (scale,) = pool.scales(features, [size])
    if colour:
        maps = F.adaptive_avg_pool2d(images, maps.shape[-2:])
    source = frames[0].image.shape[:2]
    for target, others in targets_with_support(predictor, truths, every):
        truth = truths[target]
        boxes = truth.boxes * torch.tensor([size[1] / source[1], size[0] / source[0]]).repeat(2)
        support = pack_support(maps[others])
        target_map = maps[target : target + 1]
        found = most_similar_roi_align(
            pool.extractor.align(target_map, [boxes], scale), support, top_k=1
        )
        weights = None
        if not colour:
            weights = pool.extractor.sight(target_map, [boxes], scale, support).weights[1:].mean(2)
        yield from _records(truths, target, others, found[1][:, :, 0], weights, maps.shape[-2:])


def targets_with_support(
    predictor: Predictor, truths: Sequence[GroundTruth], every: int
) -> Iterator[tuple[int, list[int]]]:
    """Every how many frames of a clip a target that has labels, with its support frames."""
    sampling = SupportSampling.parse(predictor.recipe.inference.support)
    for target in range(0, len(truths), every):
        others = [i for i in sampling.indices(len(truths), target) if i != target]
        if len(truths[target]) and others:
            yield target, others


def _records(
    truths: Sequence[GroundTruth],
    target: int,
    others: Sequence[int],
    cells: Tensor,
    weights: Tensor | None,
    map_size: Sequence[int],
) -> Iterator[Followed]:
    """One record an object and support frame; cells and weights are Tensor[T, R, h, w]."""
    truth = truths[target]
    assert truth.masks is not None
    own_masks = truth.masks.dense()
    for number, instance in enumerate(truth.instance_ids.tolist()):
        inside = positions_inside(own_masks[number], truth.boxes[number], cells.shape[2:])
        if not inside.any():
            continue
        for place, frame in enumerate(others):
            there = truths[frame]
            same = (there.instance_ids == instance).nonzero().flatten().tolist()
            if not same or there.masks is None:
                continue
            on_it = _cells_on(there.masks.dense(same)[0], map_size)
            beside = F.max_pool2d(on_it[None].float(), 3, 1, 1)[0].bool()
            hits, near = (area.flatten()[cells[place, number]][inside] for area in (on_it, beside))
            weight = weights[place, number][inside].mean() if weights is not None else np.nan
            strength = there.attributes["strength"]
            yield Followed(
                str(truth.attributes["deterioration"][number]),
                abs(frame - target),
                int(inside.sum()),
                int(hits.sum()),
                float(on_it.float().mean()),
                float(weight),
                float(strength[same[0]]),
                int(near.sum()),
                float(beside.float().mean()),
            )


def positions_inside(mask: Tensor, box: Tensor, grid: Sequence[int]) -> Tensor:
    """Tensor[h, w]: whether the centre of each RoI position lies within the mask."""
    x1, y1, x2, y2 = box.tolist()
    rows, columns = (
        (start + (torch.arange(n) + 0.5) / n * (end - start)).long().clamp(0, bound - 1)
        for start, end, n, bound in zip((y1, x1), (y2, x2), grid, mask.shape, strict=True)
    )
    return mask[rows][:, columns]


def _cells_on(mask: Tensor, map_size: Sequence[int]) -> Tensor:
    """Tensor[H, W]: whether the centre of each cell of a map lies within the mask."""
    rows, columns = (
        ((torch.arange(n) + 0.5) / n * bound).long()
        for n, bound in zip(map_size, mask.shape, strict=True)
    )
    return mask[rows][:, columns]


def read_followed(file: Path, *, weights: Path, every: int) -> dict[str, list[Followed]]:
    """What `follow_clips` wrote (see `read_records`)."""
    clips = read_records(file, weights=weights, every=every)
    return {name: [Followed(*record) for record in records] for name, records in clips.items()}


def accuracies(clips: dict[str, list[Followed]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """For each group of records hits, positions and chance of each clip, Array[clips].

    `near` and `near_chance` are the same where cells next to the object count as well.
    """
    groups = {"all": lambda r: True, "clean": lambda r: r.deterioration == "none"}
    groups["deteriorated"] = lambda r: r.deterioration != "none"
    for state, spoilt in (("clean", False), ("deteriorated", True)):
        for there, worse in (("clean", False), ("deteriorated", True)):
            groups[f"{state}, {there} in the support frame"] = lambda r, a=spoilt, b=worse: (
                (r.deterioration != "none", r.support_strength > 0) == (a, b)
            )
    kinds = sorted({r.deterioration for records in clips.values() for r in records} - {"none"})
    groups |= {f"kind: {kind}": lambda r, k=kind: r.deterioration == k for kind in kinds}
    for low, high in DISTANCES:
        name = f"distance: {low} to {high}" if high < 10**6 else f"distance: {low} and more"
        groups[name] = lambda r, a=low, b=high: a <= r.distance <= b
    found = {}
    for name, wanted in groups.items():
        rows = [[r for r in records if wanted(r)] for records in clips.values()]
        found[name] = {
            "hits": np.array([sum(r.hits for r in records) for records in rows], float),
            "positions": np.array([sum(r.positions for r in records) for records in rows], float),
            "chance": np.array(
                [sum(r.chance * r.positions for r in records) for records in rows], float
            ),
            "near": np.array([sum(r.near for r in records) for records in rows], float),
            "near_chance": np.array(
                [sum(r.near_chance * r.positions for r in records) for records in rows], float
            ),
        }
    return {name: counts for name, counts in found.items() if counts["positions"].any()}


class Preferring(Protocol):
    """What is asked of a record of one object in one support frame."""

    @property
    def weight(self) -> float:
        """What the attention gives the support frame."""

    @property
    def support_strength(self) -> float:
        """Strength of the object's deterioration there; 0: clean."""


def preferences(
    clips: Mapping[str, Sequence[Preferring]],
) -> dict[str, NDArray[np.float64]]:
    """Which support frames the attention prefers, by clip (NaN where a clip cannot tell).

    Args:
        clips: The records of each clip.

    Returns:
        "clean" and "deteriorated": mean weight of support frames in which the object is so, and
        "rank": rank correlation of weight and clearness (minus the strength), Array[clips].
    """
    found: dict[str, list[float]] = {"clean": [], "deteriorated": [], "rank": []}
    for records in clips.values():
        weights = np.array([record.weight for record in records])
        strengths = np.array([record.support_strength for record in records])
        for name, chosen in (("clean", strengths == 0), ("deteriorated", strengths > 0)):
            found[name].append(float(weights[chosen].mean()) if chosen.any() else np.nan)
        differ = len(set(weights)) > 1 and len(set(strengths)) > 1
        rank = stats.spearmanr(weights, -strengths).statistic if differ else np.nan
        found["rank"].append(float(rank))
    return {name: np.array(values) for name, values in found.items()}


def ratio_interval(
    over: NDArray[np.float64], under: NDArray[np.float64], weights: NDArray[np.int32]
) -> dict[str, Any]:
    """sum(over) / sum(under) with the 95 % interval of resampled clips, weights Array[B, clips]."""
    value = over.sum() / under.sum()
    drawn = (weights @ over) / np.maximum(weights @ under, 1e-12)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}
