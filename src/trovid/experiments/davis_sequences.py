"""What the sequences of DAVIS 2016 show, of the 20 classes of PASCAL VOC; fixed before any run.

The one labelled object of a sequence may be several things (a rider and the mount, a person with a
board): a detection of any of their classes finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from trovid.evaluation.bootstrap import resample_weights

_PERSON = ("person",)
_CYCLIST, _MOTORCYCLIST = ("bicycle", "person"), ("motorbike", "person")
_RIDER = ("horse", "person")

CLASSES: dict[str, tuple[str, ...]] = {
    "blackswan": ("bird",),
    "bmx-bumps": _CYCLIST,
    "bmx-trees": _CYCLIST,
    "boat": ("boat",),
    "breakdance": _PERSON,
    "breakdance-flare": _PERSON,
    "bus": ("bus",),
    "car-shadow": ("car",),
    "car-turn": ("car",),
    "cows": ("cow",),
    "dance-jump": _PERSON,
    "dog": ("dog",),
    "dog-agility": ("dog",),
    "drift-chicane": ("car",),
    "drift-straight": ("car",),
    "drift-turn": ("car",),
    "flamingo": ("bird",),
    "hike": _PERSON,
    "hockey": _PERSON,
    "horsejump-high": _RIDER,
    "horsejump-low": _RIDER,
    "kite-walk": _PERSON,
    "lucia": _PERSON,
    "mallard-water": ("bird",),
    "motocross-bumps": _MOTORCYCLIST,
    "motocross-jump": _MOTORCYCLIST,
    "motorbike": _MOTORCYCLIST,
    "paragliding": _PERSON,
    "parkour": _PERSON,
    "rollerblade": _PERSON,
    "scooter-black": _MOTORCYCLIST,
    "stroller": _PERSON,
    "surf": _PERSON,
    "swing": _PERSON,
    "tennis": _PERSON,
    "train": ("train",),
}
"""By sequence; those of an animal or a thing that is none of the 20 classes are left out."""

CHOOSING = [
    "blackswan",
    "bmx-bumps",
    "bmx-trees",
    "breakdance",
    "breakdance-flare",
    "bus",
    "camel",
    "car-shadow",
    "cows",
    "dog",
    "hike",
    "horsejump-high",
    "horsejump-low",
    "swing",
]
"""Settings are chosen on these; camel has no class."""
REPORTING = [
    "bear",
    "boat",
    "car-turn",
    "dance-jump",
    "dog-agility",
    "drift-chicane",
    "drift-straight",
    "drift-turn",
    "elephant",
    "flamingo",
    "goat",
    "hockey",
    "kite-walk",
    "lucia",
    "mallard-water",
    "motocross-bumps",
    "motocross-jump",
    "motorbike",
    "paragliding",
    "parkour",
    "rhino",
    "rollerblade",
    "scooter-black",
    "soccerball",
    "stroller",
    "surf",
    "tennis",
    "train",
]
"""These are reported, once."""

BACKGROUND = ("person", "car", "boat")
"""Of these classes there are unlabelled ones in the sequences of `CROWDED`."""
CROWDED = frozenset(
    [
        "breakdance",
        "breakdance-flare",
        "car-shadow",
        "car-turn",
        "drift-chicane",
        "drift-straight",
        "drift-turn",
        "scooter-black",
        "bus",
        "train",
        "boat",
        "dance-jump",
        "hockey",
        "soccerball",
        "stroller",
        "swing",
        "tennis",
    ]
)

FOLDS = {
    "bmx-trees": "bmx-bumps",
    "drift-turn": "drift-chicane",
    "horsejump-low": "horsejump-high",
    "motocross-jump": "motocross-bumps",
}
"""Sequences that show nearly the same as another one: both count as one where others are drawn."""


def folds_of(names: Iterable[str]) -> list[str]:
    """Of each sequence the one that it is drawn together with: near duplicates count as one."""
    return [FOLDS.get(name, name) for name in names]


def sequence_weights(names: Iterable[str], *, resamples: int) -> NDArray[np.float64]:
    """How often each sequence is drawn in each resample, Array[B, sequences].

    Args:
        names: The sequences; near duplicates are drawn together.
        resamples: B.
    """
    folds, places = np.unique(folds_of(names), return_inverse=True)
    return resample_weights(len(folds), resamples=resamples)[:, places].astype(float)


def drawn_together(folds: int | None, names: Collection[str]) -> str:
    """A sentence on how near duplicates were drawn.

    Args:
        folds: How many were drawn from; None where each sequence was drawn by itself.
        names: The sequences.
    """
    if folds is not None:
        return f"Near duplicates are drawn as one: {folds} of them."
    twins = "; ".join(f"{a} and {b}" for a, b in FOLDS.items() if {a, b} <= set(names))
    return (
        f"In this run near duplicates ({twins}) were drawn as independent sequences, so that "
        "intervals are somewhat too narrow."
    )


def of_classes(names: list[str]) -> list[str]:
    """Those of some sequences that show one of the classes."""
    return [name for name in names if name in CLASSES]
