"""Plots of what labelled videos hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trovid.datasets.statistics import ClassStatistics
from trovid.files import replacing

SHOWN_CLASSES = 40


def draw_statistics(found: Mapping[str, ClassStatistics], path: Path) -> None:
    """Writes a PNG: objects of each class, and how large, fast and long all of them are.

    Args:
        found: See `trovid.datasets.statistics.statistics`.
        path: The picture.

    Raises:
        TrovidError: If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    (bars, sizes), (speeds, lengths) = figure.subplots(2, 2)
    classes = {name: class_statistics for name, class_statistics in found.items() if name != "all"}
    shown = sorted(classes, key=lambda name: -classes[name].objects)[:SHOWN_CLASSES]
    bars.barh(shown[::-1], [classes[name].objects for name in shown[::-1]])
    bars.set_title("boxes of each class")
    bars.tick_params(axis="y", labelsize=8)
    every = found["all"]
    for axes, values, title in (
        (sizes, every.shares, "size: root of area, share of the frame's"),
        (speeds, np.minimum(every.speeds, 1.0), "way to the next frame, in sizes (1: or more)"),
        (lengths, every.lengths, "labelled frames of an object"),
    ):
        if len(values):
            axes.hist(values, bins=30)
        axes.set_title(title)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=100)
