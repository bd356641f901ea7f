"""What a row costs at inference: time and memory in a process of its own, and operations."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trovid.allocator import highest_memory, memory_in_use
from trovid.datasets.reading import read_dataset
from trovid.detectors.candidates import Candidates
from trovid.experiments.description import Row
from trovid.experiments.row_runs import RowModel, row_model
from trovid.files import replacing
from trovid.inference.seq_nms import candidate_options, select_along
from trovid.recipes import ModelRecipe, Recipe
from trovid.structures import DetectOptions, SupportSampling
from trovid.video.reader import Frame
from trovid.zoo.cost import cost

TARGETS = 8
"""Target frames that are timed; one more comes before them."""
SEQUENCE_RUNS = 3
"""How often Seq-NMS is timed over the first video."""
PAIRS = 12
"""How often a frame with support frames and one without are timed, in turns; one more before."""


def measure_row(file: Path, weights: Path, row: Row, data: Path, device: str = "cpu") -> None:
    """Times a row on the first video and writes the figures; asks for a process of its own."""
    predictor, options = row_model(weights, row, device)
    dataset = read_dataset(data, split="val")
    video = dataset.videos[0]
    sampling = SupportSampling.parse(str(options.support))
    count = sampling.count if predictor.running.uses_support else 0
    with dataset.open(video.name) as reader:
        targets = reader.read(dataset.labelled_frames(video.name)[: TARGETS + 1].tolist())
        wanted = sampling.indices(reader.video.num_frames, targets[0].index) if count else []
        frames = reader.read(sorted(set(wanted)))
    before = memory_in_use()
    support, encoding = None, 0.0
    if frames:
        predictor.encode(frames[:1])
        began = time.perf_counter()
        support = predictor.encode(frames)
        encoding = (time.perf_counter() - began) / len(frames)
    looked_at = candidate_options(options) if options.seq_nms else options
    seconds = []
    for frame in targets:
        began = time.perf_counter()
        predictor.detect_frames([frame], [support], looked_at)
        seconds.append(time.perf_counter() - began)
    sequences = 0.0
    if options.seq_nms:
        with dataset.open(video.name) as reader:
            candidates = list(predictor.detect(reader, options=looked_at))
        sequences = _sequence_seconds(candidates, options)
    figures = {
        "counts": counted(row, predictor.recipe),
        "frame_ms": 1000 * (statistics.median(seconds[1:] or seconds) + sequences),
        "seq_nms_ms": 1000 * sequences,
        "support_frame_ms": 1000 * encoding,
        "support_frames": len(frames),
        "memory_mb": (highest_memory() - before) / 2**20,
        **_operations(predictor.recipe, count),
    }
    if row.temporal is not None:
        single = row_model(weights, replace(row, temporal=None, support=None), device)
        figures["times_single"] = times_single((predictor, options), support, single, targets)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial:
        partial.write_text(json.dumps(figures) + "\n", encoding="utf-8")


def counted(row: Row, recipe: Recipe) -> list[str]:
    """What the cost of a row has in it that not every row has."""
    parts = recipe.model
    aggregates = isinstance(parts, ModelRecipe) and parts.aggregation is not None
    extras = ["aggregation"] * aggregates + ["Seq-NMS"] * row.seq_nms
    return extras + ["times a single frame"] * (row.temporal is not None)


def times_single(
    helped: RowModel, support: Any, single: RowModel, frames: Sequence[Frame]
) -> float:
    """How many times what a single frame takes a frame with its support frames takes.

    The median over neighbouring runs of both, in turns, so that other work on the machine and a
    changing clock hardly count.

    Args:
        helped: The model that looks at support frames.
        support: Of the video, encoded.
        single: The same detector without them.
        frames: Target frames, looked at in turns.
    """
    turns = [(*helped, support), (*single, None)]
    ratios = []
    for number in range(PAIRS + 1):
        frame, seconds = frames[number % len(frames)], []
        for predictor, options, encoded in turns:
            began = time.perf_counter()
            predictor.detect_frames([frame], [encoded], options)
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[1:])


def read_cost(file: Path, row: Row, recipe: Recipe) -> dict[str, Any]:
    """The kept figures of a row; empty where there are none that count all that they should."""
    if not file.exists():
        return {}
    figures = json.loads(file.read_text(encoding="utf-8"))
    return figures if figures.get("counts", []) == counted(row, recipe) else {}


def _sequence_seconds(candidates: Sequence[Candidates], options: DetectOptions) -> float:
    """What Seq-NMS takes a frame of a video."""
    seconds = []
    for _ in range(SEQUENCE_RUNS):
        began = time.perf_counter()
        select_along(candidates, options)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / len(candidates)


def _operations(recipe: Recipe, support_frames: int) -> dict[str, Any]:
    needs = cost(recipe, support_frames=support_frames)
    return {
        "gflop": needs.detector_gflop + (needs.operator_gflop if support_frames else 0.0),
        "parameters": needs.parameters,
    }
