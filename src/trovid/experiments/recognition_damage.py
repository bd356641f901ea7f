"""Damage of one real frame, in three strengths each, of which single-frame results choose one."""

from __future__ import annotations

import random

from trovid.video.deteriorations import Frame, deteriorated

CLEAN = "clean"
STRENGTHS: dict[str, tuple[float, ...]] = {
    "motion_blur": (9, 15, 25),
    "defocus": (2, 4, 6),
    "jpeg": (10, 5, 3),
    "noise": (25, 50, 75),
}
"""By kind of `trovid.video.deteriorations`, in its unit."""


def damages() -> list[str]:
    """All damages of all strengths, by name: "motion_blur 9"."""
    return [f"{kind} {value:g}" for kind, values in STRENGTHS.items() for value in values]


def damaged(frame: Frame, name: str) -> Frame:
    """A frame with a damage of `damages()`, the same at every call, or as it is ("clean")."""
    if name == CLEAN:
        return frame
    kind, value = name.rsplit(" ", 1)
    return deteriorated(frame, kind, float(value), random.Random(name))
