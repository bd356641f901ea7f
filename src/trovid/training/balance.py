"""Rare classes drawn more often (Gupta et al., LVIS, CVPR 2019, Section 4.2)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from trovid.datasets.contract import Dataset

FREQUENT = 0.1
"""Share of the videos from which a class is not drawn more often."""


def repeat_factors(dataset: Dataset, names: Sequence[str]) -> list[float]:
    """How often each video is drawn, as a multiple of one of frequent classes alone.

    That is max(1, sqrt(FREQUENT / f)) of the rarest class that the video holds, where f is the
    share of the videos that hold it.

    Args:
        dataset: The videos.
        names: Those that are used.
    """
    classes = [set(dataset.objects.labels[dataset.rows(name)].tolist()) for name in names]
    videos_of = Counter(label for labels in classes for label in labels)
    factors = {
        label: max(1.0, math.sqrt(FREQUENT * len(names) / count))
        for label, count in videos_of.items()
    }
    return [max((factors[label] for label in labels), default=1.0) for labels in classes]
