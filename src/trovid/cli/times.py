"""Times as people write them."""

from __future__ import annotations

from trovid.errors import TrovidError


def seconds(text: str) -> float:
    """Seconds of a time written as 12.5, 1:30 or 1:02:03.5.

    Raises:
        TrovidError: If it is written otherwise.

    Example:
        >>> seconds("12.5"), seconds("1:30"), seconds("1:02:03.5")
        (12.5, 90.0, 3723.5)
    """
    total = 0.0
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or not all(0 <= part < float("inf") for part in parts):
            raise ValueError
        for part in parts:
            total = 60 * total + part
    except ValueError:
        raise TrovidError(
            f"the time {text!r} is not understood: write seconds (12.5) or minutes:seconds (1:30)"
        ) from None
    return total
