"""Options of commands that run a model over videos, from their words to `DetectOptions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.structures import DetectOptions


def detect_options(
    *, classes: str | None, start: str, end: str | None, **same: Any
) -> DetectOptions:
    """What is asked for.

    Args:
        classes: Names with commas between them; None for all.
        start: Time of the first frame: seconds, or 1:30.
        end: Time at which to end; None for the video's end.
        **same: Fields of `DetectOptions` that need no reading.

    Raises:
        TrovidError: If a time cannot be read.
        OptionError: If a value is out of range.
    """
    from trovid.structures import DetectOptions
    from trovid.structures.times import seconds

    return DetectOptions(
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
        start=seconds(start),
        end=None if end is None else seconds(end),
        **same,
    )
