"""Times as people write them."""

from __future__ import annotations

from trovid.errors import OptionError


def seconds(time: float | str) -> float:
    """Seconds of a time written as 12.5, 1:30 or 1:02:03.5; a number stays what it is.

    Raises:
        OptionError: If it is written otherwise.

    Example:
        >>> seconds("12.5"), seconds("1:30"), seconds("1:02:03.5"), seconds(7)
        (12.5, 90.0, 3723.5, 7)
    """
    if not isinstance(time, str):
        return time
    total = 0.0
    try:
        parts = [float(part) for part in time.split(":")]
        if len(parts) > 3 or not all(0 <= part < float("inf") for part in parts):
            raise ValueError
        for part in parts:
            total = 60 * total + part
    except ValueError:
        raise OptionError(
            f"the time {time!r} is not understood: write seconds (12.5) or minutes:seconds (1:30)"
        ) from None
    return total
