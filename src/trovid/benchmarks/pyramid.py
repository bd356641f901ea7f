"""Temporal RoI Align on a feature pyramid, beside the plain backbone that makes such a pyramid."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import roi_align

from trovid import ops
from trovid.benchmarks.agreement import TOLERANCE, compare, near_ties
from trovid.benchmarks.child_process import run_module
from trovid.benchmarks.contenders import run_rival
from trovid.benchmarks.inputs import OperatorInputs, OperatorSize, clustered_boxes
from trovid.benchmarks.machine import machine_record
from trovid.benchmarks.maps import RANDOM, TRAINED, make_maps
from trovid.benchmarks.memory import extra_memory
from trovid.benchmarks.timing import interleave, timing_records
from trovid.errors import TrovidError
from trovid.nn import LevelPooler, RoIAlign, TemporalRoIAlign
from trovid.nn.extractors.contract import Extractor
from trovid.ops.temporal_roi_align.backends import resolve_backend

NAMES = ("p2", "p3", "p4", "p5")
STRIDES = (4, 8, 16, 32)
CHANNELS, TOP_K, HEADS, SAMPLES = 256, 4, 4, 2
BACKBONE, TEMPORAL, PLAIN = "ResNet-50-FPN", "Temporal RoI Align", "RoIAlign"
COARSE = "Temporal RoI Align, coarse to fine"
MOST_OTHERS = 27
"""Positions of a level at which a search coarse to fine may differ from the one in torch calls: a
near tie in any square of any frame leads to other cells, and through psi reaches 9 positions."""
CHECKED = 6
"""RoIs of each level whose features are compared with the equations as commonly written."""


@dataclass(frozen=True)
class PyramidSettings:
    """What is measured.

    Attributes:
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        rois: R, over all levels.
        frames: T, support frames, whose maps are kept.
        maps: "trained" or "random", see `trovid.benchmarks.maps`.
        threads: torch's.
        rounds: At most so many runs of each contender.
        seconds: Timed runs stop after these, but not before the second round.
        seed: Of maps, boxes and weights.
        memory: Whether the memory of Temporal RoI Align is measured too, in inference and training.
    """

    height: int = 360
    width: int = 640
    rois: int = 200
    frames: int = 14
    maps: str = TRAINED
    threads: int = 2
    rounds: int = 5
    seconds: float = 90.0
    seed: int = 0
    memory: bool = True


@torch.inference_mode()
def run_pyramid(settings: PyramidSettings) -> dict[str, Any]:
    """One record, ready for JSON.

    Some RoIs of each level are compared with the equations as commonly written, apart from ties;
    what the search coarse to fine finds with the same search in torch calls, and, for the record,
    with the exact one.

    Raises:
        TrovidError: If there are no such maps.
    """
    if settings.maps not in (RANDOM, TRAINED):
        raise TrovidError(f"`maps` must be {TRAINED} or {RANDOM}, but is {settings.maps!r}")
    torch.set_num_threads(settings.threads)
    generator = torch.Generator().manual_seed(settings.seed)
    sizes = [_size(settings, stride) for stride in STRIDES]
    made = [make_maps(settings.maps, size, generator) for size in sizes]
    features = {name: maps.features for name, maps in zip(NAMES, made, strict=True)}
    support = {
        name: ops.pack_support(maps.support.unsqueeze(0)).with_prefixes()
        for name, maps in zip(NAMES, made, strict=True)
    }
    boxes = [clustered_boxes(sizes[0], generator)]
    shapes = [(settings.height, settings.width)]
    torch.manual_seed(settings.seed)
    extractor = _extractor("exact")
    psi = extractor.embedding
    assert psi is not None
    temporal = _pooler(extractor)
    coarse = _pooler(_extractor("coarse-to-fine"))
    coarse.load_state_dict(temporal.state_dict())
    plain = _pooler(RoIAlign(7, sampling_ratio=SAMPLES))
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None).eval()
    image = torch.rand(1, 3, settings.height, settings.width, generator=generator)
    runs: dict[str, Callable[[], Any]] = {
        BACKBONE: partial(backbone, image),
        TEMPORAL: partial(temporal, features, boxes, shapes, support),
        COARSE: partial(coarse, features, boxes, shapes, support),
        PLAIN: partial(plain, features, boxes, shapes),
    }
    pooled = {name: run() for name, run in runs.items()}
    timings = interleave(runs, rounds=settings.rounds, budget=settings.seconds)
    (levels,) = temporal.levels(boxes, [1 / stride for stride in STRIDES])
    agreement = {}
    for number, (name, size, maps) in enumerate(zip(NAMES, sizes, made, strict=True)):
        chosen = (levels == number).nonzero()[:CHECKED, 0]
        if not len(chosen):
            continue
        part = OperatorInputs(
            maps.features,
            maps.support,
            boxes[0][chosen],
            psi.weight,
            psi.bias,
            torch.empty(0),
        )
        agreement[name] = _agreement(pooled[TEMPORAL][chosen], part, size)
        agreement[name] |= _coarse_agreement(pooled[COARSE][chosen], part, size)
    return {
        "benchmark": "pyramid",
        "case": f"{settings.rois} RoIs, {settings.frames} support frames",
        **asdict(settings),
        "rois_by_level": dict(zip(NAMES, levels.bincount(minlength=4).tolist(), strict=True)),
        "maps_by_level": {
            name: list(maps.features.shape[2:]) for name, maps in zip(NAMES, made, strict=True)
        },
        "operator": resolve_backend("auto", torch.empty(0)),
        "machine": machine_record(),
        **timing_records(timings),
        "ratio": timings[TEMPORAL].minimum / timings[BACKBONE].minimum,
        "ratio_coarse": timings[COARSE].minimum / timings[BACKBONE].minimum,
        "agreement": agreement,
        **({"peak_memory": _memory(settings, sizes, levels)} if settings.memory else {}),
    }


def memory_of_pyramid(settings: PyramidSettings, *, backward: bool) -> int:
    """Peak extra bytes of Temporal RoI Align on the pyramid, in a new process.

    Args:
        settings: The case.
        backward: Forward and backward, with gradients of all maps and of the embedding; or forward
            alone, the support maps prepared before as for all frames of a video but the first.

    Raises:
        RuntimeError: If the process fails.
    """
    return run_module(
        "trovid.benchmarks.pyramid",
        {"settings": asdict(settings), "backward": backward},
        threads=settings.threads,
        what="measuring the memory on a pyramid",
    )


def _memory(settings: PyramidSettings, sizes: list[OperatorSize], levels: Tensor) -> dict[str, int]:
    """Bytes: peaks, and what the similarities of all positions with all cells would take."""
    counts = levels.bincount(minlength=len(sizes)).tolist()
    cells = [count * size.height * size.width for count, size in zip(counts, sizes, strict=True)]
    return {
        "forward": memory_of_pyramid(settings, backward=False),
        "forward_backward": memory_of_pyramid(settings, backward=True),
        "similarity_volume": 4 * settings.frames * sizes[0].grid ** 2 * sum(cells),
    }


def main() -> None:
    """The process of its own: a job as JSON comes as argument, bytes go to stdout."""
    job = json.loads(sys.argv[1])
    settings = PyramidSettings(**job["settings"])
    torch.set_num_threads(settings.threads)
    tiny = replace(settings, height=64, width=64, rois=4, frames=1, maps=RANDOM)
    _step(tiny, job["backward"])()
    print(extra_memory(_step(settings, job["backward"])))


def _step(settings: PyramidSettings, backward: bool) -> Callable[[], object]:
    """Temporal RoI Align once, everything that it takes at hand."""
    generator = torch.Generator().manual_seed(settings.seed)
    sizes = [_size(settings, stride) for stride in STRIDES]
    features, support = {}, {}
    for name, size in zip(NAMES, sizes, strict=True):
        maps = make_maps(settings.maps, size, generator)
        features[name], support[name] = maps.features, maps.support.unsqueeze(0)
    boxes = [clustered_boxes(sizes[0], generator)]
    shapes = [(settings.height, settings.width)]
    pooler = _pooler(_extractor("exact"))
    if not backward:
        packed = {
            name: ops.pack_support(level_maps).with_prefixes()
            for name, level_maps in support.items()
        }
        return torch.no_grad()(partial(pooler, features, boxes, shapes, packed))
    for leaf in (*features.values(), *support.values()):
        leaf.requires_grad_()

    def train() -> None:
        pooler(features, boxes, shapes, support).square().mean().backward()

    return train


def _size(settings: PyramidSettings, stride: int) -> OperatorSize:
    return OperatorSize(
        rois=settings.rois,
        frames=settings.frames,
        channels=CHANNELS,
        height=-(-settings.height // stride),
        width=-(-settings.width // stride),
        top_k=TOP_K,
        heads=HEADS,
        sampling_ratio=SAMPLES,
        stride=stride,
    )


def _extractor(search: str) -> TemporalRoIAlign:
    return TemporalRoIAlign(
        7,
        sampling_ratio=SAMPLES,
        channels=CHANNELS,
        top_k=TOP_K,
        num_heads=HEADS,
        search=search,
    )


def _pooler(extractor: Extractor) -> LevelPooler:
    return LevelPooler(extractor, NAMES).eval()


def _agreement(pooled: Tensor, part: OperatorInputs, size: OperatorSize) -> dict[str, Any]:
    roi_features = roi_align(
        part.features, [part.boxes], size.grid, 1 / size.stride, size.sampling_ratio
    )
    ties = near_ties(roi_features, part.support, size.top_k)
    found = compare(
        {"output": pooled}, {"output": run_rival(part, size)}, ties, TOLERANCE[torch.float32]
    )
    return {"rois": len(pooled), "ties": found.ties, **found.errors, "passed": found.passed}


def _coarse_agreement(pooled: Tensor, part: OperatorInputs, size: OperatorSize) -> dict[str, Any]:
    """How far the search coarse to fine is from itself in torch calls, and from the exact one."""
    pooling = size.grid, 1 / size.stride, size.sampling_ratio
    search = "coarse-to-fine"
    again = ops.temporal_roi_align(
        part.features,
        part.support.unsqueeze(0),
        [part.boxes],
        *pooling,
        top_k=size.top_k,
        num_heads=size.heads,
        weight=part.weight,
        bias=part.bias,
        search=search,
        backend="direct",
    )
    wrong = (pooled - again).abs().amax(dim=1) > TOLERANCE[torch.float32] * again.abs().max()
    others = int(wrong.sum())
    roi_features = roi_align(part.features, [part.boxes], *pooling)
    _, points, scores = ops.most_similar_roi_align(roi_features, part.support, top_k=size.top_k)
    _, other_points, other_scores = ops.most_similar_roi_align(
        roi_features, part.support, top_k=size.top_k, search=search
    )
    found = (other_points.unsqueeze(3) == points.unsqueeze(2)).any(dim=2)
    return {
        "coarse_passed": others <= MOST_OTHERS,
        "coarse_others": others,
        "coarse_most_similar_found": (points == other_points)[:, :, 0].double().mean().item(),
        "coarse_cells_found": found.double().mean().item(),
        "coarse_cosine": other_scores.double().mean().item(),
        "cosine": scores.double().mean().item(),
    }


if __name__ == "__main__":
    main()
