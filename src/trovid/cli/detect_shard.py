"""`trovid detect --shard`: one process of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from trovid.cli.detect_summary import DONE, DONE_WITH_LOSSES, NOTHING_DONE
from trovid.cli.messages import complain, print_record
from trovid.cli.signals import stop_wish
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.inference import Predictor
    from trovid.structures import DetectOptions


def check_alone(others: Sequence[str], videos: Sequence[str | Path]) -> None:
    """That --shard goes with the other options.

    Args:
        others: Options given that do not.
        videos: What is to be gone through.

    Raises:
        TrovidError: If an option does not, or there is not one folder.
    """
    if others:
        raise TrovidError(f"--shard writes Parquet files alone: leave out {others[0]}")
    if len(videos) != 1:
        raise TrovidError(
            f"--shard needs the one folder of all videos, but got {len(videos)} names"
        )


def detect_shard(
    load: Callable[[], Predictor],
    options: DetectOptions,
    root: str | Path,
    out: str | Path,
    shard: str,
    overwrite: bool,
    frame_rate: float,
    json: bool,
) -> int:
    """Runs a shard and says what came of it.

    Returns:
        The exit status.
    """
    from trovid.runs.places import Place
    from trovid.runs.shard import Shard
    from trovid.runs.shard_run import ShardRun

    parsed_shard = Shard.parse(shard)
    results = []
    with stop_wish() as stop:
        run = ShardRun(
            load,
            options,
            Place(root),
            Place(out),
            parsed_shard,
            overwrite=overwrite,
            frame_rate=frame_rate,
            stop=stop,
            show_progress=not json,
        )
        for result in run.run():
            results.append(result)
            for problem in result.problems:
                complain(problem if result.path in problem else f"{result.path}: {problem}")
    states = Counter(result.state for result in results)
    bad = states["failed"] + states["not done"] + states["damaged"]
    status = DONE_WITH_LOSSES if bad else DONE
    if results and states["failed"] + states["not done"] == len(results):
        status = NOTHING_DONE
    if json:
        videos = [asdict(result) for result in results]
        print_record({"status": status, "shard": str(parsed_shard), "videos": videos})
    else:
        counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        print(f"shard {parsed_shard}: {len(results)} videos" + (f" ({counted})" if counted else ""))
        print(f"  {out}")
    return status
