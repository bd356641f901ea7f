"""The curves of a training: losses, learning rate, and AP50 on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.files import replacing

APART = ("step", "seconds", "learning_rate", "loss")


def draw_curves(log: Path, path: Path) -> None:
    """Writes a PNG of what a log of a training holds.

    Args:
        log: Lines of JSON as `TrainingLog` writes them.
        path: The picture.

    Raises:
        TrovidError: If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines: list[dict[str, Any]] = [
        json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()
    ]
    steps = [line for line in lines if "loss" in line]
    validations = [line for line in lines if "val_ap50" in line]
    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    names = [name for name in (steps[0] if steps else {}) if name not in APART]
    for name in ("loss", *names) if steps else ():
        known = [(line["step"], line[name]) for line in steps if name in line]
        losses.plot(*zip(*known, strict=True), label=name, linewidth=2 if name == "loss" else 1)
    losses.set_ylabel("loss")
    losses.set_ylim(bottom=0)
    if validations:
        ap = losses.twinx()
        points = [(line["step"], 100 * line["val_ap50"]) for line in validations]
        ap.plot(*zip(*points, strict=True), "k.--", label="AP50 on validation")
        ap.set_ylim(0, 100)
        ap.set_ylabel("AP50 on validation, %")
    if steps:
        losses.legend(loc="upper right", fontsize="small")
    rates.plot([line["step"] for line in steps], [line["learning_rate"] for line in steps])
    rates.set_ylabel("learning rate")
    rates.set_xlabel("step")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=100)
