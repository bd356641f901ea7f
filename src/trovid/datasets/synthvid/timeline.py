"""When an object of SynthVID is in the picture, and when it is deteriorated."""

from __future__ import annotations

from dataclasses import dataclass

from trovid.datasets.synthvid.rng import Rng

KINDS = ("motion_blur", "defocus", "occlusion", "noise", "darkness")
LEVELS = {"motion_blur": 0.6, "defocus": 0.55, "occlusion": 0.6, "noise": 0.5, "darkness": 0.35}
"""Mean strength of each kind in val and test, set on val."""
SEVERITY = (0.8, 1.2)
"""A stretch's strength in val and test, in units of its kind's level."""
TRAIN_SEVERITY = (0.1, 1.3)
"""A stretch's strength in train, for every kind: from hardly anything to beyond recognition."""
STRETCH = (4, 8)
ISOLATED = 0.75
MOVED = 0.15
LONGEST_GAP = 3
CLEAR_SHARE = 1 / 3


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames in which one thing is done to an object.

    Attributes:
        start: First frame.
        stop: Frame after the last.
        kind: "none" or one of KINDS.
        strength: 0 for "none", else how strongly, in steps of 0.01.
        breaks: Whether the object jumps elsewhere before this stretch (after a gap or at once).
    """

    start: int
    stop: int
    kind: str
    strength: float
    breaks: bool


def draw_timeline(
    rng: Rng, num_frames: int, strength: float, *, calm: bool, training: bool
) -> list[Stretch]:
    """Clear and deteriorated stretches in turn, with gaps and breaks between some of them.

    A deteriorated stretch has STRETCH frames and, with probability ISOLATED, is an appearance of
    its own: the object turns up elsewhere before it and after it, so that nothing in neighbouring
    frames overlaps with it; otherwise it breaks at either end with probability MOVED. Nothing
    breaks where the object is calm. Drawn again until clear frames make up more than CLEAR_SHARE
    and deteriorated ones 3/8 to 5/8 of the clip.
    """
    while True:
        stretches = _draw(rng, num_frames, strength, calm, training)
        clear = sum(s.stop - s.start for s in stretches if s.kind == "none")
        deteriorated = sum(s.stop - s.start for s in stretches if s.kind != "none")
        if clear > num_frames * CLEAR_SHARE and 3 / 8 <= deteriorated / num_frames <= 5 / 8:
            return stretches


def _draw(rng: Rng, num_frames: int, strength: float, calm: bool, training: bool) -> list[Stretch]:
    bounds = []
    start, deteriorated = 0, rng.chance(0.5)
    while start < num_frames:
        stop = start + rng.integer(*STRETCH)
        if num_frames - stop < 2:
            stop = num_frames
        length = stop - start
        bounds.append((start, stop, deteriorated and STRETCH[0] <= length <= STRETCH[1]))
        start, deteriorated = stop, not deteriorated

    stretches: list[Stretch] = []
    gap, breaks = 0, False
    for index, (start, stop, deteriorated) in enumerate(bounds):
        kind, severity = "none", 0.0
        if deteriorated:
            kind = rng.choice(KINDS)
            severity = _severity(rng, kind, strength, training)
            isolated = not calm and rng.chance(ISOLATED)
            moved = 0.0 if calm else MOVED
            breaks = index > 0 and (isolated or rng.chance(moved))
            gap = rng.integer(0, LONGEST_GAP) if breaks else 0
            if stretches:
                _shorten_last(stretches, gap)
            stretches.append(Stretch(start, stop, kind, severity, breaks))
            breaks = isolated or rng.chance(moved)
            gap = rng.integer(0, LONGEST_GAP) if breaks else 0
        elif stop - start - gap > 0:
            stretches.append(Stretch(start + gap, stop, kind, severity, breaks))
            breaks, gap = False, 0
    return stretches


def _severity(rng: Rng, kind: str, strength: float, training: bool) -> float:
    if training:
        return max(round(strength * rng.uniform(*TRAIN_SEVERITY), 2), 0.01)
    return max(round(strength * LEVELS[kind] * rng.uniform(*SEVERITY), 2), 0.01)


def _shorten_last(stretches: list[Stretch], gap: int) -> None:
    last = stretches.pop()
    if last.stop - gap > last.start:
        stretches.append(
            Stretch(last.start, last.stop - gap, last.kind, last.strength, last.breaks)
        )


def appearances(stretches: list[Stretch]) -> list[tuple[int, int]]:
    """First frame and frame after the last of every unbroken stay in the picture."""
    stays: list[tuple[int, int]] = []
    for stretch in stretches:
        if stays and not stretch.breaks and stays[-1][1] == stretch.start:
            stays[-1] = (stays[-1][0], stretch.stop)
        else:
            stays.append((stretch.start, stretch.stop))
    return stays
