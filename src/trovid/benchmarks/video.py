"""`trovid bench video`: a whole detector on a frame, beside its plain backbone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torchvision
from torch import nn

from trovid.allocator import keep_freed_memory
from trovid.benchmarks.machine import machine_record
from trovid.benchmarks.timing import interleave, timing_records
from trovid.benchmarks.video_memory import clip_in_child_process
from trovid.benchmarks.video_parts import seconds_by_part
from trovid.benchmarks.video_subject import (
    moving_frames,
    random_detector,
    subject_recipe,
    unmatched_rows,
)
from trovid.detectors.contract import Support, VideoDetector
from trovid.errors import TrovidError
from trovid.inference import Predictor
from trovid.inference.runtime.precision import usable_precision
from trovid.ops.temporal_roi_align.backends import resolve_backend
from trovid.recipes import ModelRecipe, Recipe
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import Frame

RECIPES = ("paper/selsa-troi-r50", "mmtracking/selsa-troi-r50")
BACKBONE, PLAIN = "backbone", "backbone, stride 32"
TOLERANCES = {"float32": 0.01, "bf16": 1.0}
"""Pixels within which a box must be found again for most boxes to agree."""
UNMATCHED = {"float32": 0.03, "bf16": 1.0}
"""Share of boxes that may not be: near ties; of random weights in bf16 any, so it is only told."""
CHECKED_SUPPORT = 2


@dataclass(frozen=True)
class VideoSettings:
    """How a detector is measured.

    Attributes:
        precisions: Of `trovid.load`.
        threads: torch's.
        backend: The operator's, as `TROVID_BACKEND` names it.
        rounds: At most so many runs of each contender.
        seconds: Timed runs of a recipe stop after these, but not before the second round.
        clip: Frames of the clip whose memory and time are measured; 0 for none.
        quick: A small image size.
    """

    precisions: tuple[str, ...] = ("float32", "bf16")
    threads: int = 2
    backend: str = "auto"
    rounds: int = 5
    seconds: float = 60.0
    clip: int = 0
    quick: bool = False


def run_video(
    names: Iterable[str],
    settings: VideoSettings,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """One record a recipe, ready for JSON.

    Args:
        names: Recipes with a residual network.
        settings: How.
        progress: Called with (recipes done, recipes in all, name of the next).
    """
    names = list(names)
    torch.set_num_threads(settings.threads)
    usable = dict.fromkeys(usable_precision(p, "cpu") for p in settings.precisions)
    settings = replace(settings, precisions=tuple(usable))
    for done, name in enumerate(names):
        if progress:
            progress(done, len(names), name)
        recipe = subject_recipe(name, quick=settings.quick)
        yield {
            "benchmark": "video",
            "case": name,
            **asdict(settings),
            "operator": resolve_backend(settings.backend, torch.empty(0)),
            "device": "cpu",
            "memory": "kept" if keep_freed_memory() else "system",
            "machine": machine_record(),
            "image": [recipe.image.shorter, recipe.image.longer],
            "support_frames": SupportSampling.parse(recipe.inference.support).count,
            **_measure(recipe, settings),
            "clips": {
                precision: clip_in_child_process(
                    name,
                    precision=precision,
                    frames=settings.clip,
                    threads=settings.threads,
                    backend=settings.backend,
                    quick=settings.quick,
                )
                for precision in settings.precisions
                if settings.clip
            },
        }
    if progress:
        progress(len(names), len(names), "")


def _measure(recipe: Recipe, settings: VideoSettings) -> dict[str, Any]:
    detector = random_detector(recipe)
    predictors = {
        precision: Predictor(detector, recipe, device="cpu", precision=precision)
        for precision in settings.precisions
    }
    count = SupportSampling.parse(recipe.inference.support).count
    frames = moving_frames(count + 4, recipe.image.shorter, recipe.image.longer)
    support, targets = frames[:count], frames[count:]
    options = next(iter(predictors.values())).options(selection="candidates")

    def frame_of(predictor: Predictor, bank: Support) -> Callable[[], object]:
        turn = itertools.cycle(targets)
        return lambda: predictor.detect_frames([next(turn)], [bank], options)

    def support_of(predictor: Predictor) -> Callable[[], object]:
        turn = itertools.cycle(support)
        return lambda: predictor.encode([next(turn)])

    images, _ = next(iter(predictors.values())).input(targets[:1])
    images = images.contiguous()
    contenders: dict[str, Callable[[], object]] = {
        BACKBONE: _plain_backbone(recipe, images, dilated=True),
        PLAIN: _plain_backbone(recipe, images, dilated=False),
    }
    banks = {}
    for precision, predictor in predictors.items():
        banks[precision] = predictor.encode(support)
        contenders[f"frame, {precision}"] = frame_of(predictor, banks[precision])
        contenders[f"support frame, {precision}"] = support_of(predictor)
    for run in contenders.values():
        run()
    timings = interleave(contenders, rounds=settings.rounds, budget=settings.seconds)
    backbone = timings[BACKBONE].minimum
    return {
        **timing_records(timings),
        "ratio": {name: timing.minimum / backbone for name, timing in timings.items()},
        "bank_bytes": next(iter(banks.values())).nbytes,
        "parts": {
            name: seconds_by_part(predictors[name.split(", ")[1]].running, contenders[name])
            for name in contenders
            if name not in (BACKBONE, PLAIN)
        },
        "agreement": {
            precision: _agreement(detector, predictor, banks[precision], frames)
            for precision, predictor in predictors.items()
        },
    }


def _plain_backbone(recipe: Recipe, images: torch.Tensor, *, dilated: bool) -> Callable[[], object]:
    """Torchvision's network as it comes, in float32, without pooling and classes."""
    if not isinstance(recipe.model, ModelRecipe):
        raise TrovidError(f"{recipe.name} is one of torchvision's detectors: not measured here")
    network = getattr(torchvision.models, recipe.model.backbone.name)(
        weights=None, replace_stride_with_dilation=[False, False, dilated]
    )
    trunk = nn.Sequential(*list(network.children())[:-2]).eval()

    def run() -> object:
        with torch.inference_mode():
            return trunk(images)

    return run


def _agreement(
    detector: VideoDetector, predictor: Predictor, bank: Support, frames: list[Frame]
) -> dict[str, Any]:
    """How the boxes and scores compare with those of the detector as it was built, in float32."""
    target = frames[-1]
    options = predictor.options(selection="candidates")
    few = bank.select(range(CHECKED_SUPPORT))
    (found,) = predictor.detect_frames([target], [few], options)
    images, size = predictor.input([*frames[:CHECKED_SUPPORT], target])
    with torch.inference_mode():
        plain = detector.encode(images[:-1], image_sizes=[size] * CHECKED_SUPPORT)
        wanted: Any = detector.detect(images[-1:], [plain], options=options, image_sizes=[size])[0]
    tolerance = TOLERANCES.get(predictor.precision, 1.0)
    rows = [
        torch.cat([scored.boxes.flatten(1), 100 * scored.class_scores], 1)
        for scored in (found, wanted)
    ]
    share = unmatched_rows(*rows, tolerance)
    return {
        "boxes": [len(found.boxes), len(wanted.boxes)],
        "tolerance": tolerance,
        "unmatched": share,
        "passed": share <= UNMATCHED.get(predictor.precision, 1.0),
    }
