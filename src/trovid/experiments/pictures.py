"""Shares with their intervals as curves, side by side in one picture."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trovid.files import replacing

APART = 0.05
"""From one curve to the next, in units of the least distance of places, so that all are seen."""
Figure = Mapping[str, float] | None
"""Of "value", "low" and "high", as fractions of 1; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One part of a picture.

    Attributes:
        axis: What the places are.
        places: Numbers, or words in their order.
        curves: By name a figure for each place.
        joined: Whether the places follow each other, and so a line goes through them.
    """

    axis: str
    places: Sequence[float] | Sequence[str]
    curves: Mapping[str, Sequence[Figure]]
    joined: bool = True


def draw_panels(path: Path, title: str, panels: Sequence[Panel], *, measure: str) -> None:
    """Draws panels that share their vertical axis, in per cent.

    Args:
        path: The PNG.
        title: Of the picture.
        panels: From left to right.
        measure: What is measured.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, every = plt.subplots(
        1,
        len(panels),
        figsize=(5 * len(panels) + 2, 5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, panel in zip(every[0], panels, strict=True):
        words = isinstance(panel.places[0], str)
        places = [n if isinstance(x, str) else x for n, x in enumerate(panel.places)]
        aside = APART * min((b - a for a, b in itertools.pairwise(places)), default=1)
        for number, (name, figures) in enumerate(panel.curves.items()):
            shift = aside * (number - (len(panel.curves) - 1) / 2)
            known = [(x + shift, y) for x, y in zip(places, figures, strict=True) if y is not None]
            values = [100 * point["value"] for _, point in known]
            errors = [
                [100 * abs(point.get(end, point["value"]) - point["value"]) for _, point in known]
                for end in ("low", "high")
            ]
            axes.errorbar(
                [x for x, _ in known],
                values,
                yerr=errors,
                fmt="o-" if panel.joined else "o",
                markersize=4,
                capsize=2,
                label=name,
            )
        axes.set_xticks(places, [textwrap.fill(str(place), 13) for place in panel.places])
        if words:
            axes.tick_params(axis="x", labelsize=7)
        axes.set_xlabel(panel.axis)
        axes.grid(alpha=0.3)
    every[0][0].set_ylabel(f"{measure} (%), 95 % interval")
    handles, names = every[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper")
    figure.suptitle(title, fontsize=11)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    plt.close(figure)
