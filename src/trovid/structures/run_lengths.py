"""COCO's compressed run-length code of a mask: what a text of it says, and windows of a frame.

Column by column, background and foreground in turn, beginning with background; each run is written
in groups of five bits from the lowest, and from the fourth run on as the difference to the run two
places before.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_CODE = re.compile(rb"[^0-o]|[P-o]{6}|[P-o]\Z")
"""Other signs, a run of too many groups, an end in the middle of a run."""
_FIRST_SIGN, _LAST_SIGN, _MOST_GROUPS = 48, 111, 6


def runs(counts: bytes) -> NDArray[np.int64]:
    """The lengths of the runs, background first.

    Args:
        counts: A compressed code.

    Raises:
        ValueError: If it is no such code.

    Example:
        >>> runs(b";230>").tolist()
        [11, 2, 3, 2, 17]
    """
    signs = np.frombuffer(counts, dtype=np.uint8)
    if not len(signs):
        return np.zeros(0, dtype=np.int64)
    if signs.min() < _FIRST_SIGN or signs.max() > _LAST_SIGN:
        raise ValueError("holds signs that no compressed run-length code has")
    groups = signs.astype(np.int64) - _FIRST_SIGN
    last = groups < 32
    if not last[-1]:
        raise ValueError("ends in the middle of a run")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _MOST_GROUPS:
        raise ValueError("holds a run longer than any mask")
    shifts = 5 * (np.arange(len(groups)) - np.repeat(starts, lengths))
    found = np.add.reduceat((groups & 31) << shifts, starts)
    found -= np.where(groups[ends] & 16, np.int64(1) << (5 * lengths), 0)
    found[1::2] = np.cumsum(found[1::2])
    found[2::2] = np.cumsum(found[2::2])
    return found


def checked(lengths: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """The lengths, which are those of a mask of this height and width.

    Raises:
        ValueError: If they are not; the message says why.
    """
    if lengths.min(initial=0) < 0:
        raise ValueError("holds a run of negative length")
    if lengths.sum() != size[0] * size[1]:
        raise ValueError(
            f"covers {lengths.sum():.0f} pixels, but {size[0]} x {size[1]} has {size[0] * size[1]}"
        )
    return lengths


def is_usual(counts: bytes, size: tuple[int, int]) -> bool:
    """Whether a code is one of a mask of this size, with no run of no length but maybe the first.

    As `checked(runs(counts), size)`, in a tenth of the time; it does not say why not.
    """
    if not counts or _NO_CODE.search(counts):
        return False
    from faster_coco_eval.core import mask

    lengths_of = getattr(mask._mask, "toUncompressedRLE", None)  # not all versions have it
    if lengths_of is None:
        return False
    try:
        lengths = lengths_of([{"size": [*size], "counts": counts}])[0]["counts"]
    except (ValueError, RuntimeError, IndexError, OverflowError):
        return False
    return sum(lengths) == size[0] * size[1] and all(lengths[1:])


def widened(counts: bytes, before: int, after: int) -> bytes:
    """The code of a mask with background added.

    Args:
        counts: A code that ends in background where `after` is not 0.
        before: Pixels of background before its first.
        after: Pixels of background after its last.
    """
    signs = np.frombuffer(counts, dtype=np.uint8)
    ends = np.flatnonzero((signs - _FIRST_SIGN) < 32)
    if len(ends) == 1:
        return _written(_read(counts) + before + after)
    first, last = ends[0] + 1, ends[-2] + 1
    head = _written(_read(counts[:first]) + before)
    tail = _written(_read(counts[last:]) + after)
    return head + counts[first:last] + tail


def _read(group: bytes) -> int:
    value = sum(((sign - _FIRST_SIGN) & 31) << 5 * place for place, sign in enumerate(group))
    return value - (1 << 5 * len(group)) if (group[-1] - _FIRST_SIGN) & 16 else value


def _written(value: int) -> bytes:
    signs = bytearray()
    while True:
        bits = value & 31
        value >>= 5
        more = value != (-1 if bits & 16 else 0)
        signs.append(_FIRST_SIGN + bits + 32 * more)
        if not more:
            return bytes(signs)
