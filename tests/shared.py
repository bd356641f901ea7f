"""The data that lie beside a checkout, where they do; tests that need them skip elsewhere."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
