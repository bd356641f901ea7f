"""All boxes of a detector, before any is chosen."""

from __future__ import annotations

from trovid.structures import DetectOptions

CANDIDATES = DetectOptions(selection="candidates")
AMONG = DetectOptions(selection="candidates", target_among_support=True)
