"""What keeps a detector from being exported."""

from __future__ import annotations

from collections.abc import Sequence

from trovid.nn.extractors.contract import Extractor


def export_obstacle(extractor: Extractor, searched_levels: Sequence[str]) -> str | None:
    """See `VideoDetector.export_obstacle`."""
    if not extractor.exportable:
        kind = type(extractor).__name__
        return f"models with {kind} cannot be exported: their bins move with each support frame"
    if len(searched_levels) > 1:
        return (
            "only models that search one level of the support frames can be exported, but this "
            f"one searches {', '.join(searched_levels)}; recipes with `searched: last` have one"
        )
    return None
