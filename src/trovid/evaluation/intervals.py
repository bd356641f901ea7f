"""How sure each AP50 is: its interval over the videos."""

from __future__ import annotations

from collections.abc import Collection

from trovid.evaluation.bootstrap import Interval, bootstrap
from trovid.evaluation.clip_matches import ProtocolName, match_clips
from trovid.evaluation.groups import object_groups
from trovid.evaluation.pool import Pool


def intervals(
    pool: Pool, *, protocols: Collection[ProtocolName] = ("coco",), resamples: int = 1000
) -> dict[str, dict[str, Interval]]:
    """AP50 by protocol and group, each with the interval that other videos would give.

    Groups of objects with `coco` alone.

    Args:
        pool: Predictions and ground truth.
        protocols: Whose AP50.
        resamples: How often the videos are drawn.
    """
    found: dict[str, dict[str, Interval]] = {}
    for protocol in protocols:
        groups = {"all": None, **(object_groups(pool) if protocol == "coco" else {})}
        found[protocol] = {}
        for group, active in groups.items():
            matches = match_clips(pool, active=active, protocol=protocol)
            samples = bootstrap({group: [matches]}, resamples=resamples)
            found[protocol][group] = samples.figure(group)
    return found
