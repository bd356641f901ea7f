"""What counts as the right class: from groups of real sequences and stills to ImageNet's classes.

Written down before anything was measured with it. Numbers are those of ILSVRC 2012, from 0.
"""

from __future__ import annotations

from collections.abc import Iterable

DOGS = range(151, 269)
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))
TWO_WHEELERS = (444, 665, 670, 671)
CARS = (407, 436, 468, 511, 581, 609, 627, 656, 661, 717, 751, 817)
BUSES = (654, 779, 874)
TRAINS = (466, 547, 565, 705, 820, 829)
BOATS = (472, 484, 510, 554, 576, 625, 628, 780, 814, 871, 914)
HORNED = range(345, 354)
"""Ox, water buffalo, bison, sheep, goats and antelopes."""

GROUPS: dict[str, tuple[int, ...]] = {
    "bird": tuple(BIRDS),
    "two-wheeler": TWO_WHEELERS,
    "car": CARS,
    "bus": BUSES,
    "train": TRAINS,
    "boat": BOATS,
    "dog": tuple(DOGS),
    "hoofed animal": (*HORNED, 354, 355),
    "horse": (339,),
    "elephant": (101, 385, 386),
    "bear": tuple(range(294, 298)),
    "ball": (805,),
}
"""Classes of ImageNet by group of DAVIS sequences."""

SEQUENCES: dict[str, str] = {
    "blackswan": "bird",
    "bmx-bumps": "two-wheeler",
    "bmx-trees": "two-wheeler",
    "bus": "bus",
    "camel": "hoofed animal",
    "car-shadow": "car",
    "cows": "hoofed animal",
    "dog": "dog",
    "horsejump-high": "horse",
    "horsejump-low": "horse",
    "bear": "bear",
    "boat": "boat",
    "car-turn": "car",
    "dog-agility": "dog",
    "drift-chicane": "car",
    "drift-straight": "car",
    "drift-turn": "car",
    "elephant": "elephant",
    "flamingo": "bird",
    "goat": "hoofed animal",
    "mallard-water": "bird",
    "motocross-bumps": "two-wheeler",
    "motocross-jump": "two-wheeler",
    "motorbike": "two-wheeler",
    "scooter-black": "two-wheeler",
    "soccerball": "ball",
    "train": "train",
}
"""Group by sequence. ImageNet has no class for people, and none for a rhinoceros: those sequences
are left out."""

CHOOSING = tuple(SEQUENCES)[:10]
"""Sequences on which the damage and the setting are chosen."""
REPORTING = tuple(SEQUENCES)[10:]
"""Sequences of which the choice is reported, once."""

STILLS: dict[str, tuple[int, ...]] = {
    "aeroplane": (404, 895),
    "bicycle": (444, 671),
    "bird": tuple(BIRDS),
    "boat": BOATS,
    "bottle": (440, 720, 737, 898, 907),
    "bus": BUSES,
    "car": CARS,
    "cat": tuple(range(281, 286)),
    "chair": (423, 559, 765),
    "cow": (345,),
    "diningtable": (532,),
    "dog": tuple(DOGS),
    "horse": (339,),
    "motorbike": (665, 670),
    "pottedplant": (738,),
    "sheep": (348, 349),
    "sofa": (831,),
    "train": TRAINS,
    "tvmonitor": (664, 782, 851),
}
"""Classes of ImageNet by class of the stills; "person" has none."""


def sequences_of(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that are there, in their order."""
    present = set(names)
    return [name for name in wanted if name in present]
