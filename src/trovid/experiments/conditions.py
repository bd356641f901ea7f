"""In which state a sequence is looked at: clear, or with frames that were spoilt."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trovid.video.deteriorations import KINDS, deteriorated

GRID: dict[str, tuple[float, ...]] = {
    "motion_blur": (9, 15, 21),
    "defocus": (2, 3, 4),
    "noise": (20, 35, 50),
    "darkness": (4, 7, 10),
    "jpeg": (10, 5, 3),
    "occlusion": (0.4, 0.6, 0.8),
}
"""Strengths that are looked at, by kind (units: `trovid.video.deteriorations.RANGES`)."""
ALONE = 4
"""Every so many frames one is spoilt by itself."""
STRETCH = 8
"""So many frames are spoilt, then as many not."""
EVERY = 2
"""Every so many frames are evaluated, where not the spoilt ones alone are."""


@dataclass(frozen=True)
class Condition:
    """How frames are spoilt.

    Attributes:
        kind: Of the deterioration; "" for none.
        strength: Of it.
        stretches: Whether stretches of frames are spoilt, and support frames with them; else
            single target frames are, and support frames are clear.
    """

    kind: str = ""
    strength: float = 0.0
    stretches: bool = False

    @property
    def key(self) -> str:
        """Names its results."""
        if not self.kind:
            return "clean"
        return f"{'stretches' if self.stretches else 'alone'}-{self.kind}-{self.strength:g}"

    def targets(self, num_frames: int) -> range:
        """Indices of the evaluated frames."""
        alone = self.kind and not self.stretches
        return range(0, num_frames, ALONE if alone else EVERY)

    def spoilt(self, index: int) -> bool:
        """Whether a frame is spoilt."""
        if not self.kind:
            return False
        return index // STRETCH % 2 == 1 if self.stretches else index % ALONE == 0

    def frame(
        self, frame: NDArray[np.uint8], name: str, index: int, box: Sequence[float] | None
    ) -> NDArray[np.uint8]:
        """A frame as it is seen.

        Args:
            frame: uint8 [H, W, 3].
            name: Of the sequence.
            index: Of the frame; both determine directions and grains.
            box: Of the object, which an occlusion covers.
        """
        if not self.spoilt(index):
            return frame
        chance = random.Random(f"{name}:{index}:{self.kind}")
        return deteriorated(frame, self.kind, self.strength, chance, box=box)


CLEAN = Condition()


def reported(strengths: Mapping[str, float]) -> list[Condition]:
    """Clean frames, each kind on target frames alone, and each on stretches."""
    return [
        CLEAN,
        *(Condition(kind, strengths[kind]) for kind in KINDS),
        *(Condition(kind, strengths[kind], stretches=True) for kind in KINDS),
    ]


def grid() -> list[Condition]:
    """What strengths are chosen from."""
    return [CLEAN, *(Condition(kind, strength) for kind in KINDS for strength in GRID[kind])]
