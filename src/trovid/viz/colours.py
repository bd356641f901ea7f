"""Colours of classes, and what is read on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

Colour = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
PALETTE = bytes.fromhex("""
    ff3333 00ff00 00bbff ffbb22 9944ff ffddff 557755 00ffee 996633 995577 eeeebb 99aa00
    aaaaff ffbbaa ff88ee 11aaaa 33cc88 ff7700 eeee00 666699 2277ee aaeeff ff4488 bbaa77
    99ccbb dd99aa cc11aa 33bb00 aaffbb aa8800 ffddbb cc8877 99bb77 117799 bb99cc aadd44
    888844 ffaa66 cc5522 007711 77bbcc ddcc66 5555dd 88bbff 00ddee bb88ff dd8800 9966aa
    ff8888 bb4455 22aa88 ccaa00 dd77aa 776644 337777 ccccff eebbff ff44ff ff8866 669922
    cceecc 996666 00ff88 bbddff cc9966 44ccbb ccee99 00eebb 88dd77 ffbbdd 77aa99 446688
    bb4433 ccff00 99ffdd ddcc99 2299dd ffcc88 cc6600 8899cc
""")
"""80 colours, each as far as possible (CIEDE2000) from all before it, light or on a dark ground."""
DARKEST = 130


def class_colour(name: str, class_names: Sequence[str]) -> Colour:
    """The colour of a class: the same in every run, far from that of its model's other classes.

    It hangs on the class's place in the model's list, so that as many classes as there are (up to
    80) can be told apart; beyond 80 the colours begin again.

    Args:
        name: The class.
        class_names: All classes of its model.

    Example:
        >>> class_colour("dog", ("cat", "dog")), class_colour("cat", ("cat", "dog"))
        ((0, 255, 0), (255, 51, 51))
    """
    return palette_colour(_places(tuple(class_names))[name])


@lru_cache(maxsize=64)
def _places(class_names: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in reversed(list(enumerate(class_names)))}


def palette_colour(place: int) -> Colour:
    """The colour at a place of the palette, which begins again behind its end."""
    first = 3 * place % len(PALETTE)
    red, green, blue = PALETTE[first : first + 3]
    return red, green, blue


def brightness(colour: Colour) -> float:
    """How bright a colour looks, 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ink_on(ground: Colour) -> Colour:
    """Black or white, whichever is read on a ground."""
    return BLACK if brightness(ground) > DARKEST else WHITE


def readable(colour: Colour) -> Colour:
    """A colour as it can be told from a dark ground: made lighter where it is dark.

    Example:
        >>> readable((255, 220, 0)), readable((30, 30, 200))
        ((255, 220, 0), (118, 118, 222))
    """
    lack = max(0.0, (DARKEST - brightness(colour)) / (255 - brightness(colour) or 1))
    red, green, blue = (round(part + lack * (255 - part)) for part in colour)
    return red, green, blue
