"""`trovid bench detect`: the whole of `trovid detect` on a video, and where its time goes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from trovid.benchmarks.machine import machine_record
from trovid.benchmarks.timing import Timing, interleave
from trovid.errors import TrovidError
from trovid.inference import Predictor, load
from trovid.inference.session import Target, lane_threads
from trovid.ops.temporal_roi_align.backends import resolve_backend
from trovid.runs.batch import Batch
from trovid.runs.predictions import read_frames
from trovid.runs.sinks.json import rounded
from trovid.structures import Detections, DetectOptions, SupportSampling
from trovid.structures.support_sampling import NO_SUPPORT
from trovid.video.opening import Frame, VideoWriter, open_video
from trovid.viz.panels import Panels

KINDS = ("video", "csv", "json")
SINGLE = "single frames"
PART_FRAMES = 16
"""Frames, evenly spread, that each part is timed on alone."""
BOXES, SCORES = 0.02, 1e-4
"""Pixels and score within which a detection must be found again: rounding, and no more."""


@dataclass(frozen=True)
class DetectSettings:
    """How a video is run.

    Attributes:
        model: Name of a model, or a weights file.
        single: The single-frame rival; None for the same model without support frames.
        support: Support frames; None for the model's own.
        threads: torch's.
        rounds: At most so many runs of each.
        seconds: Timed runs stop after these, but not before the second round.
        end: Seconds of the video that are run; None for all.
    """

    model: str
    single: str | None = None
    support: str | None = None
    threads: int = 2
    rounds: int = 3
    seconds: float = 120.0
    end: float | None = None


def run_detect(video: str, settings: DetectSettings) -> dict[str, Any]:
    """One record, ready for JSON.

    Args:
        video: A video file or a folder of images.
        settings: How.

    Raises:
        TrovidError: If the video or a model cannot be had.
    """
    torch.set_num_threads(settings.threads)
    temporal = load(settings.model, device="cpu")
    single = temporal if settings.single is None else load(settings.single, device="cpu")
    options = {
        temporal.name: (temporal, _options(temporal, settings.support, settings.end)),
        SINGLE: (single, _options(single, NO_SUPPORT, settings.end)),
    }
    with TemporaryDirectory(prefix="trovid-") as place:
        runs = {
            name: _run_of(predictor, detect_options, video, Path(place) / str(number))
            for number, (name, (predictor, detect_options)) in enumerate(options.items())
        }
        for run in runs.values():
            run()
        timings = interleave(runs, rounds=settings.rounds, budget=settings.seconds)
        agreement = {
            name: _agreement(predictor, detect_options, video, Path(place) / str(number))
            for number, (name, (predictor, detect_options)) in enumerate(options.items())
        }
        start = start_seconds(video, settings.model, settings.threads, Path(place) / "start")
    frames = agreement[temporal.name]["frames"]
    return {
        "benchmark": "detect",
        "case": f"{temporal.name}, {Path(video).name}",
        "threads": settings.threads,
        "device": "cpu",
        "operator": resolve_backend("auto", torch.empty(0)),
        "machine": machine_record(),
        "support_frames": SupportSampling.parse(options[temporal.name][1].support or "").count,
        "frames": frames,
        "size": agreement[temporal.name].pop("size"),
        "seconds": {name: list(timing.seconds) for name, timing in timings.items()},
        "frames_per_second": {name: frames / timing.minimum for name, timing in timings.items()},
        "spread": {name: timing.spread for name, timing in timings.items()},
        "ratio": _ratio(timings, temporal.name),
        "start_seconds": start,
        "parts": {
            name: part_seconds(predictor, detect_options, video)
            for name, (predictor, detect_options) in options.items()
        },
        "agreement": agreement,
    }


def _options(predictor: Predictor, support: str | None, end: float | None) -> DetectOptions:
    return predictor.options(support=support, score=predictor.usual_score, end=end)


def _run_of(
    predictor: Predictor, options: DetectOptions, video: str, out: Path
) -> Callable[[], None]:
    def run() -> None:
        batch = Batch(load=lambda: predictor, options=options, out=out, kinds=KINDS, overwrite=True)
        for result in batch.run([video]):
            if result.outcome is None:
                raise TrovidError(result.losses[0])

    return run


def _ratio(timings: dict[str, Timing], name: str) -> float:
    """Time with support frames for one second without."""
    return timings[name].minimum / timings[SINGLE].minimum


def _agreement(
    predictor: Predictor, options: DetectOptions, video: str, out: Path
) -> dict[str, Any]:
    """What the timed runs have written, against the frames looked at one by one.

    Each is looked at with the threads that it had, since torch sums otherwise with more of them.
    """
    (json,) = out.glob("*.json")
    ((written),) = read_frames(json)[1].values()
    with closing(predictor.session(video, options, together=True)) as session:
        wanted = [
            rounded(target.identified(_looked_at(predictor, target, options))) for target in session
        ]
    drawn = open_video(next(out.glob("*.mp4"))).video
    different = sum(not _same(*pair) for pair in zip(written, wanted, strict=False))
    different += abs(len(written) - len(wanted))
    return {
        "frames": len(wanted),
        "size": [drawn.height, drawn.width],
        "different": different,
        "drawn": drawn.num_frames,
        "passed": not different and drawn.num_frames == len(wanted),
    }


def _looked_at(predictor: Predictor, target: Target, options: DetectOptions) -> Detections:
    threads = torch.get_num_threads()
    torch.set_num_threads(lane_threads(threads, predictor.lanes()))
    try:
        (found,) = predictor.detect_frames([target.frame], [target.support], options)
    finally:
        torch.set_num_threads(threads)
    return found


def _same(found: Detections, wanted: Detections) -> bool:
    return (
        found.frame_index == wanted.frame_index
        and torch.equal(found.labels, wanted.labels)
        and torch.allclose(found.boxes, wanted.boxes, rtol=0, atol=BOXES)
        and torch.allclose(found.scores, wanted.scores, rtol=0, atol=SCORES)
    )


def start_seconds(video: str, model: str, threads: int, out: Path) -> float:
    """Seconds of a command of its own that detects in the video's first frame alone."""
    times = open_video(video).times
    end = times[1] if len(times) > 1 else 1.0
    words = ["detect", video, "--model", model, "--device", "cpu", "--out", str(out), "--quiet"]
    end_words = ["--end", f"{max(end, 1e-6):.9f}", "--overwrite"]
    command = [sys.executable, "-m", "trovid", *words, *end_words]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrovidError(f"{video}: the first frame alone failed: {done.stderr.strip()[-200:]}")
    return time.perf_counter() - began


def part_seconds(predictor: Predictor, options: DetectOptions, video: str) -> dict[str, float]:
    """Seconds a target frame of each part when it runs alone, one after the other.

    In the command decoding, the model, and drawing with encoding run beside each other, so the
    whole takes less than their sum where there are processors for it. Support frames are shared
    out among the video's frames.
    """
    reader = open_video(video)
    began = time.perf_counter()
    count = len(reader)
    index = time.perf_counter() - began
    few = min(PART_FRAMES, count)
    chosen = {place * count // few for place in range(few)}
    began = time.perf_counter()
    frames = [frame for frame in reader if frame.index in chosen]
    decode = time.perf_counter() - began
    support, encode = None, 0.0
    sampling = SupportSampling.parse(options.support or NO_SUPPORT)
    if sampling.count and predictor.detector.uses_support:
        wanted = reader.read(sampling.indices(count, 0))
        began = time.perf_counter()
        support = predictor.encode(wanted)
        encode = time.perf_counter() - began
    found, model = _timed(
        lambda frame: predictor.detect_frames([frame], [support], options)[0], frames
    )
    panels = Panels()
    pairs = list(zip(frames, found, strict=True))
    pictures, draw = _timed(lambda pair: panels.picture(*pair), pairs)
    height, width = pictures[0].shape[:2]
    with TemporaryDirectory(prefix="trovid-") as folder:
        began = time.perf_counter()
        rate = reader.video.frame_rate or 25.0
        path = Path(folder) / "a.mp4"
        with VideoWriter(path, height=height, width=width, frame_rate=rate) as writer:
            for picture in pictures:
                writer.write(picture)
        write = time.perf_counter() - began
    return {
        "counting": index / count,
        "decoding": decode / count,
        "support frames": encode / count,
        "model": model / few,
        "drawing": draw / few,
        "encoding": write / few,
    }


def _timed(function: Callable[[Any], Any], items: Sequence[Frame | Any]) -> tuple[list, float]:
    function(items[0])
    began = time.perf_counter()
    made = [function(item) for item in items]
    return made, time.perf_counter() - began
