"""Whether one set of predictions is better than another: a paired bootstrap over the videos."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.evaluation.bootstrap import Interval, bootstrap
from trovid.evaluation.clip_matches import ProtocolName, match_clips
from trovid.evaluation.groups import object_groups
from trovid.evaluation.pool import Pool, pool_frames
from trovid.evaluation.tables import Table
from trovid.structures import Detections, VideoDetections

Predictions = Mapping[str, Sequence[Detections] | VideoDetections]


@dataclass(frozen=True)
class Row:
    """AP50 of some objects under one protocol, of A and of B, and how much higher B's is."""

    protocol: str
    group: str
    first: Interval
    second: Interval
    gain: Interval


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        names: What A and B are called.
        num_videos: Videos that were resampled.
        resamples: How often.
        rows: The figures.
    """

    names: tuple[str, str]
    num_videos: int
    resamples: int
    rows: list[Row]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; figures are fractions of 1."""
        return asdict(self)

    def table(self) -> Table:
        """In per cent, with 95 % intervals; a gain whose interval holds 0 may be chance."""
        rows = [
            (row.protocol, row.group, _cell(row.first), _cell(row.second), _cell(row.gain, "+"))
            for row in self.rows
        ]
        title = f"AP50 in per cent, 95 % of {self.resamples} resamples of {self.num_videos} videos"
        return Table(title, ("protocol", "objects of", *self.names, "gain"), rows)


def compare(
    first: Predictions,
    second: Predictions,
    dataset: Dataset,
    *,
    names: tuple[str, str] = ("A", "B"),
    protocols: Collection[ProtocolName] = ("coco",),
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """AP50 of A and B and the gain of B over A, on the same resamples of the videos.

    With `coco` also of each group of objects (by speed, and what else the labels tell apart).

    Args:
        first: A, for each video's name its frames.
        second: B, of the same frames.
        dataset: Ground truth.
        names: What A and B are called.
        protocols: Whose AP50.
        resamples: Number of resamples.
        seed: Of the resampling.

    Raises:
        TrovidError: If predictions and labels do not fit (see `pool_frames`), or A and B are not
            of the same frames.
    """
    pools = [pool_frames(found, dataset) for found in (first, second)]
    _check_same_frames(*pools, names)
    rows = []
    for protocol in protocols:
        groups = {"all": None, **(object_groups(pools[0]) if protocol == "coco" else {})}
        for group, active in groups.items():
            matches = {
                side: [match_clips(pool, active=active, protocol=protocol)]
                for side, pool in zip("AB", pools, strict=True)
            }
            found = bootstrap(matches, resamples=resamples, seed=seed)
            gain = found.gain("B", "A")
            rows.append(Row(protocol, group, found.figure("A"), found.figure("B"), gain))
    return Comparison(names, len(pools[0].clip_names), resamples, rows)


def _check_same_frames(first: Pool, second: Pool, names: tuple[str, str]) -> None:
    for name in (*first.clip_names, *second.clip_names):
        if name not in first.clip_names or name not in second.clip_names:
            has, lacks = names if name in first.clip_names else names[::-1]
            raise TrovidError(f"video '{name}' is in {has}, but not in {lacks}; compare the same")
    for number, name in enumerate(first.clip_names):
        counts = [int((pool.clips == number).sum()) for pool in (first, second)]
        frames = [
            pool.objects.frames[pool.clips[pool.true_images] == number] for pool in (first, second)
        ]
        if counts[0] != counts[1] or not np.array_equal(*frames):
            raise TrovidError(
                f"video '{name}': {names[0]} and {names[1]} hold other frames "
                f"({counts[0]} and {counts[1]}); compare the same"
            )


def _cell(interval: Interval, sign: str = "") -> str:
    value, low, high = (100 * x for x in (interval.value, interval.low, interval.high))
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
