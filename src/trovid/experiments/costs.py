"""What a row costs at inference: time and memory in a process of its own, and operations."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

from trovid.allocator import highest_memory, memory_in_use
from trovid.datasets.reading import read_dataset
from trovid.experiments.description import Row
from trovid.experiments.row_runs import row_model
from trovid.files import replacing
from trovid.recipes import Recipe
from trovid.structures import SupportSampling
from trovid.zoo.cost import cost

TARGETS = 8
"""Target frames that are timed; one more comes before them."""


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
    seconds = []
    for frame in targets:
        began = time.perf_counter()
        predictor.detect_frames([frame], [support], options)
        seconds.append(time.perf_counter() - began)
    figures = {
        "frame_ms": 1000 * statistics.median(seconds[1:] or seconds),
        "support_frame_ms": 1000 * encoding,
        "support_frames": len(frames),
        "memory_mb": (highest_memory() - before) / 2**20,
        **_operations(predictor.recipe, count),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial:
        partial.write_text(json.dumps(figures) + "\n", encoding="utf-8")


def _operations(recipe: Recipe, support_frames: int) -> dict[str, Any]:
    needs = cost(recipe, support_frames=support_frames)
    return {
        "gflop": needs.detector_gflop + (needs.operator_gflop if support_frames else 0.0),
        "parameters": needs.parameters,
    }
