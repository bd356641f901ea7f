"""COCO's compressed run-length code of a mask: what a text of it says, and windows of a frame.

Column by column, background and foreground in turn, beginning with background; each run is written
in groups of five bits from the lowest, and from the fourth run on as the difference to the run two
places before.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_CODE = re.compile(rb"[^0-o]|[P-o]{6}|[P-o]\Z")
"""Other signs, a run of too many groups, an end in the middle of a run."""
_FIRST_SIGN, _LAST_SIGN, _MOST_GROUPS = 48, 111, 6
_LARGEST = 1 << (5 * np.arange(1, _MOST_GROUPS + 1) - 1)
"""From which number on a run takes one group more: a group has five bits, one number a sign."""


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


def codes(masks: Sequence[NDArray[np.int64]]) -> list[bytes]:
    """The compressed codes of masks; the inverse of `runs`.

    Args:
        masks: The lengths of the runs of each.

    Example:
        >>> codes([np.array([11, 2, 3, 2, 17]), np.array([35])])
        [b';230>', b'S1']
    """
    if not masks:
        return []
    steps = [lengths.copy() for lengths in masks]
    for mask_steps, lengths in zip(steps, masks, strict=True):
        mask_steps[3:] -= lengths[1:-2]
    values = np.concatenate(steps)
    groups = np.searchsorted(_LARGEST, values ^ (values >> 63), side="right") + 1
    stops = np.concatenate(([0], np.cumsum(groups)))
    signs = np.empty(stops[-1], dtype=np.uint8)
    rows = np.arange(len(values))
    for group in range(int(groups.max(initial=0))):
        rows = rows[groups[rows] > group]
        more = groups[rows] > group + 1
        bits = (values[rows] >> 5 * group) & 31
        signs[stops[rows] + group] = _FIRST_SIGN + bits + 32 * more
    text = signs.tobytes()
    ends = stops[np.cumsum([0, *map(len, masks)])].tolist()
    return [text[start:end] for start, end in itertools.pairwise(ends)]


def runs_of_window(
    window: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]
) -> NDArray[np.int64]:
    """The lengths of the runs of a mask that is given within a window; outside is background.

    Args:
        window: bool [h, w]; what of it lies outside the frame is cut off.
        left: Column of its upper left pixel.
        top: Row of its upper left pixel.
        size: Height and width of the frame.
    """
    height, width = size
    inside = window[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    left, top, rows = max(left, 0), max(top, 0), inside.shape[0]
    # before the first column and under each a pixel of background, so that its runs end there
    pixels = np.zeros(1 + inside.shape[1] * (rows + 1), dtype=np.bool_)
    pixels[1:].reshape(-1, rows + 1)[:, :rows] = inside.T
    column, row = np.divmod(np.flatnonzero(pixels[1:] != pixels[:-1]), rows + 1)
    ends = (left + column) * height + top + row
    together = 2 * np.flatnonzero(ends[1:-1:2] == ends[2::2])  # at full height
    ends = np.delete(ends, np.concatenate((together + 1, together + 2)))
    lengths = np.diff(ends, prepend=0, append=height * width)
    return lengths if lengths[-1] else lengths[:-1]


def window_of_runs(
    lengths: NDArray[np.int64], height: int
) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """The part of a frame that a mask fills, of which alone pixels are made.

    Args:
        lengths: Of its runs.
        height: Of the frame.

    Returns:
        Column and row of its upper left pixel, and the mask within, bool [h, w]; [0, 0] where it
        is empty.
    """
    stops = np.cumsum(lengths)
    filled = np.flatnonzero(lengths[1::2]) * 2 + 1
    if not len(filled):
        return (0, 0), np.zeros((0, 0), dtype=np.bool_)
    starts, stops = stops[filled - 1], stops[filled]
    columns, rows = np.divmod(starts, height)
    last_columns, last_rows = np.divmod(stops - 1, height)
    top, bottom = 0, height
    if (columns == last_columns).all():
        top, bottom = int(rows.min()), int(last_rows.max()) + 1
    left, right, rows_kept = int(columns[0]), int(last_columns[-1]) + 1, bottom - top
    ends = np.empty(2 * len(starts), dtype=np.int64)
    ends[::2] = (columns - left) * rows_kept + rows - top
    ends[1::2] = ends[::2] + stops - starts
    pixels = (right - left) * rows_kept
    turns = np.arange(len(ends) + 1) % 2 == 1
    mask = np.repeat(turns, np.diff(ends, prepend=0, append=pixels))
    return (left, top), mask.reshape(right - left, rows_kept).T
