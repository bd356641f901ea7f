"""The picture of an explanation, in the manner of the paper's Fig. 6."""

from __future__ import annotations

import math
from pathlib import Path

from trovid.errors import printable
from trovid.files import replacing
from trovid.inference.explanation import Explanation

COLUMNS = 3
PANEL_INCHES = 4.6
"""Width of a panel; at 120 dots an inch 550 pixels."""


def save_explanation(explanation: Explanation, path: Path, *, title: str = "") -> None:
    """Draws an explanation as PNG.

    The target frame with the proposal dashed and the position's cell solid; each support frame
    with its most similar point in red; under each frame its attention weight.

    Args:
        explanation: What to draw.
        path: The file, which is replaced at once.
        title: A line above the pictures.

    Raises:
        TrovidError: If the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import patheffects
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    frames = [explanation.target, *explanation.support]
    height, width = explanation.target.image.shape[:2]
    rows = math.ceil(len(frames) / COLUMNS)
    columns = math.ceil(len(frames) / rows)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(
            PANEL_INCHES * columns,
            (PANEL_INCHES * height / width + 0.9) * rows + 0.2,
        ),
        layout="constrained",
        squeeze=False,
    )
    axes = grid.ravel()
    for axis in axes[len(frames) :]:
        axis.set_axis_off()
    axes = axes[: len(frames)]
    for axis, frame, weight in zip(axes, frames, explanation.weights.tolist(), strict=True):
        axis.imshow(frame.image)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"weight {weight:.2f}", fontsize=12)
        axis.set_title(f"frame {frame.index}", fontsize=10)
    axes[0].set_title(f"target frame {explanation.target.index}", fontsize=10)
    for box, style in ((explanation.box, "--"), (explanation.cell, "-")):
        x1, y1, x2, y2 = box.tolist()
        outline = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color="yellow", ls=style, lw=2)
        outline.set_path_effects([patheffects.withStroke(linewidth=3.5, foreground="black")])
        axes[0].add_patch(outline)
    points = explanation.points.tolist()
    for axis, (x, y), score in zip(
        axes[1:], points, explanation.similarities.tolist(), strict=True
    ):
        axis.plot(x, y, "o", color="red", markersize=9, markeredgecolor="white")
        axis.set_xlabel(f"{axis.get_xlabel()}\ncosine {score:.2f}", fontsize=12)
    if title:
        figure.suptitle(printable(title), fontsize=11)
    try:
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=120)
    finally:
        plt.close(figure)
