"""The paper's premise on real frames: does the most similar cell lie on the same object?

Sequences with one object and its mask in every frame (DAVIS 2016): of the cells whose centre lies
within the object, the share whose most similar cell in another frame lies on the object there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trovid.errors import TrovidError
from trovid.experiments.davis_sequences import drawn_together, folds_of, sequence_weights
from trovid.experiments.lite0 import STRIDES, Lite0, lite0_file
from trovid.experiments.markdown import hashes_text, origin_text, table, written
from trovid.experiments.pictures import Panel, draw_panels
from trovid.ops import most_similar_roi_align, pack_support
from trovid.progress import bar
from trovid.storage.hashes import file_digest, sha256_of
from trovid.training.provenance import report_origin

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Distances in time, in units of the sequence."""
STARTS = (0.0, 0.25, 0.5)
"""Where in the sequence the target frames are."""
DRAWS = 3
"""Networks of random weights."""
NAME = "premise"


@dataclass(frozen=True)
class MaskedSequence:
    """The pictures of a sequence and the masks of its object.

    Attributes:
        name: Its folder.
        images: Files of the pictures in order.
        masks: Files of the masks.
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    def digest(self) -> str:
        """Another one for other pictures or masks, wherever they lie."""
        contents = [file_digest(file) for file in (*self.images, *self.masks)]
        return hashlib.sha256(" ".join(contents).encode()).hexdigest()


def sequences(data: Path) -> list[MaskedSequence]:
    """The sequences of a folder with JPEGImages/NAME and Annotations/NAME.

    Raises:
        TrovidError: If there are none, or a picture has no mask.
    """
    found = []
    for folder in sorted((data / "JPEGImages").glob("*/")):
        images = tuple(sorted(file for file in folder.iterdir() if file.is_file()))
        masks = tuple(data / "Annotations" / folder.name / f"{file.stem}.png" for file in images)
        missing = [file for file in masks if not file.exists()]
        if missing:
            raise TrovidError(f"{missing[0]} is not there: each picture needs a mask")
        found.append(MaskedSequence(folder.name, images, masks))
    if not found:
        raise TrovidError(f"{data} holds no JPEGImages/NAME folders, as DAVIS 2016 has them")
    return found


def pairs(count: int) -> Iterator[tuple[float, int, int]]:
    """Distance, target and support frame of each pair of a sequence of `count` frames."""
    for share in SHARES:
        for start in STARTS:
            target = round(start * (count - 1))
            support = target + round(share * (count - 1))
            if target < support < count:
                yield share, target, support


def object_cells(mask: NDArray[np.bool_], size: Sequence[int], stride: int) -> Tensor:
    """Tensor[H, W] of bool: whether the centre of each cell of a map lies on the object."""
    rows, columns = (
        ((np.arange(n) + 0.5) * stride).astype(int).clip(0, bound - 1)
        for n, bound in zip(size, mask.shape, strict=True)
    )
    return torch.from_numpy(mask[rows][:, columns])


def accuracy(
    target_map: Tensor, other: Tensor, here: Tensor, there: Tensor
) -> tuple[float, float] | None:
    """The share of the object's cells found on the object, and chance; None where it is absent.

    Args:
        target_map: Tensor[1, C, H, W], the target frame.
        other: Tensor[1, C, H, W], the support frame.
        here: Tensor[H, W] of bool, the object's cells in the target frame.
        there: The same of the support frame.
    """
    if not here.any() or not there.any():
        return None
    positions = target_map[0].flatten(1)[:, here.flatten()].t()[:, :, None, None].contiguous()
    _, points, _ = most_similar_roi_align(positions, pack_support(other), top_k=1)
    hits = there.flatten()[points.flatten()]
    return float(hits.float().mean()), float(there.float().mean())


def measure(network: Lite0, sequence: MaskedSequence) -> dict[str, list[float]]:
    """By "stride, distance" the accuracies of a sequence's pairs, and by "chance, ..." chance."""
    read: dict[int, tuple[dict[int, Tensor], NDArray[np.bool_]]] = {}
    found: dict[str, list[float]] = {}
    for share, target, support in pairs(len(sequence.images)):
        for frame in (target, support):
            if frame not in read:
                image = np.array(Image.open(sequence.images[frame]).convert("RGB"))
                mask = np.asarray(Image.open(sequence.masks[frame]).convert("L")) > 0
                read[frame] = network(image), mask
        for stride in STRIDES:
            target_map, other = (read[frame][0][stride] for frame in (target, support))
            here, there = (
                object_cells(read[frame][1], target_map.shape[-2:], stride)
                for frame in (target, support)
            )
            result = accuracy(target_map, other, here, there)
            if result is not None:
                for word, value in zip(("", "chance, "), result, strict=True):
                    found.setdefault(f"{word}{stride}, {share:g}", []).append(value)
    return found


def run_premise(
    data: Path, *, folder: Path, resamples: int = 1000, weights: Path | None = None
) -> tuple[dict[str, Any], str]:
    """Measures all sequences with ImageNet weights and with random ones, and reports.

    Args:
        data: DAVIS 2016.
        folder: Of the report.
        resamples: Of the bootstrap over sequences.
        weights: The file of the ImageNet weights; None for the installed package's.
    """
    began, everything = time.monotonic(), sequences(data)
    file = weights or lite0_file()
    networks = {
        "ImageNet weights": [Lite0(file)],
        "random weights": [Lite0(None, seed=seed) for seed in range(DRAWS)],
    }
    measured: dict[str, list[dict[str, list[float]]]] = {name: [] for name in networks}
    with bar(NAME, unit="sequences") as tick:
        for done, sequence in enumerate(everything, 1):
            for name, some in networks.items():
                measured[name].append(_together([measure(one, sequence) for one in some]))
            tick(done, len(everything), sequence.name)
    names = [sequence.name for sequence in everything]
    result = {
        "experiment": NAME,
        "sequences": names,
        "folds": len(set(folds_of(names))),
        "draws": DRAWS,
        "resamples": resamples,
        **report_origin(began=began),
        "weights": {file.name: sha256_of(file)},
        "accuracy": {
            name: _intervals(names, accuracies, resamples, "")
            for name, accuracies in measured.items()
        },
        "chance": _intervals(names, measured["ImageNet weights"], resamples, "chance, "),
    }
    page = premise_page(result)
    folder.mkdir(parents=True, exist_ok=True)
    written(folder / f"{NAME}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{NAME}.md", page)
    draw_premise(result, folder / f"{NAME}.png")
    return result, page


def _together(found: Sequence[Mapping[str, list[float]]]) -> dict[str, list[float]]:
    """What several networks gave for one sequence."""
    return {key: [value for one in found for value in one[key]] for key in found[0]}


def _intervals(
    names: Sequence[str],
    measured: Sequence[Mapping[str, Sequence[float]]],
    resamples: int,
    word: str,
) -> dict[str, dict[str, float]]:
    """By stride and distance the mean over sequences with its 95 % interval over them."""
    drawn = sequence_weights(names, resamples=resamples)
    found = {}
    for stride in STRIDES:
        for share in SHARES:
            key = f"{stride}, {share:g}"
            values = np.array(
                [np.mean(sequence.get(word + key, [np.nan])) for sequence in measured]
            )
            known = ~np.isnan(values)
            if known.any():
                means = (drawn[:, known] @ values[known]) / drawn[:, known].sum(1).clip(min=1)
                low, high = np.quantile(means, [0.025, 0.975])
                mean = float(values[known].mean())
                found[key] = {"value": mean, "low": float(low), "high": float(high)}
    return found


def premise_page(result: dict[str, Any]) -> str:
    """The report as a page."""
    columns = {**result["accuracy"], "chance": result["chance"]}
    lines = [
        "# The most similar cell of a real frame: on the same object?",
        "",
        f"{len(result['sequences'])} sequences with one object each, three target frames a "
        "sequence and distance; EfficientNet-Lite0 at the size of the pictures. Of the cells whose "
        "centre lies on the object, the share whose most similar cell (cosine) of the support "
        "frame lies on it there: mean over sequences, with the 95 % interval over sequences "
        f"({result['resamples']} resamples). "
        f"{drawn_together(result.get('folds'), result['sequences'])} Random weights: the mean of "
        f"{result.get('draws', 1)} networks. {origin_text(result)} "
        f"{hashes_text(result)}",
        "",
        *table(
            ["stride, distance in sequences", *columns],
            [
                [key, *(_text(column.get(key)) for column in columns.values())]
                for key in result["chance"]
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def draw_premise(result: dict[str, Any], path: Path) -> None:
    """Accuracy by distance, a panel for each stride."""
    columns = {**result["accuracy"], "chance": result["chance"]}
    panels = [
        Panel(
            axis=f"stride {stride}: distance, share of the sequence",
            places=SHARES,
            curves={
                name: [column.get(f"{stride}, {share:g}") for share in SHARES]
                for name, column in columns.items()
            },
        )
        for stride in STRIDES
    ]
    title = "DAVIS 2016: is the most similar cell on the same object?"
    draw_panels(path, title, panels, measure="most similar cells on the object")


def _text(interval: Mapping[str, float] | None) -> str:
    return (
        "-"
        if interval is None
        else f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
    )
