"""The option --frame-rate, which folders of images need."""

from __future__ import annotations

from trovid.errors import TrovidError

FALLBACK_RATE = 25.0
LOWEST_RATE, HIGHEST_RATE = 0.01, 1000.0


def check_frame_rate(rate: float) -> None:
    """Refuses what is no rate of a video.

    Raises:
        TrovidError: If it lies outside 0.01..1000.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise TrovidError(f"--frame-rate must lie in {LOWEST_RATE}..{HIGHEST_RATE}, but is {rate}")
