"""Where the time of a frame goes, part by part of the detector."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from torch import nn

from trovid.detectors.faster_rcnn.detector import Detector

PARTS = ("backbone", "RPN head", "proposals", "RoI features", "box head", "rest")


def seconds_by_part(
    detector: Detector, run: Callable[[], object], *, rounds: int = 3
) -> dict[str, float]:
    """Seconds of each of PARTS in the fastest of some runs (on a CPU, where work is done at once).

    "proposals" is anchors, decoding and suppression; "rest" is preprocessing, decoding of the final
    boxes, and for support frames the plain pooling, their fully connected layers and the packing.

    Args:
        detector: Whose parts are watched.
        run: Runs it once.
        rounds: Number of runs.
    """
    fastest: dict[str, float] = {}
    for _ in range(rounds):
        seconds: dict[str, float] = {}
        with (
            _watched(detector.backbone, "backbone", seconds),
            _watched(detector.rpn, "rpn", seconds),
            _watched(detector.rpn.head, "RPN head", seconds),
            _watched(detector.roi_features, "RoI features", seconds),
            _watched(detector.box_head, "box head", seconds),
        ):
            began = time.perf_counter()
            run()
            whole = time.perf_counter() - began
        seconds["proposals"] = seconds.pop("rpn", 0.0) - seconds.get("RPN head", 0.0)
        seconds["rest"] = whole - sum(seconds.values())
        if not fastest or whole < sum(fastest.values()):
            fastest = {part: seconds.get(part, 0.0) for part in PARTS}
    return fastest


@contextmanager
def _watched(module: nn.Module, name: str, seconds: dict[str, float]) -> Generator[None]:
    """Adds the time of each call of a module to `seconds`."""
    began = 0.0

    def before(*_: object) -> None:
        nonlocal began
        began = time.perf_counter()

    def after(*_: object) -> None:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

    hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
