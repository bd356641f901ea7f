"""`trovid merge`: the results of all shards in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trovid.cli.detect_summary import DONE, DONE_WITH_LOSSES, NOTHING_DONE
from trovid.cli.messages import complain, print_record

FLAG = Parameter(negative="")
NAMED = 20


def merge(
    folder: str,
    /,
    *,
    out: Path,
    partial: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Make one file of the results of all shards.

    A video that failed or was not reached, and a shard that never began, is named, and then
    nothing is written unless --partial says so. The same `trovid detect --shard` does what is
    missing.

    Exit status: 0 all merged; 1 merged with something missing; 2 nothing merged.

    Examples:
        trovid merge results --out all.parquet
        trovid merge results --out all.json --partial

    Args:
        folder: Results of `trovid detect --shard` (a folder, or an address such as s3://...), or
            any folder of its Parquet files.
        out: The file: .parquet, or .json as `trovid detect` writes it; replaced where it exists.
        partial: Merge what there is where something is missing.
        json: Print what was merged and what is missing as JSON.
    """
    from trovid.runs.places import Place

    with Place(folder).whole((".parquet", ".json", ".done", ".failed")) as local:
        return _merge(local, folder, out, partial, json)


def _merge(local: Path, folder: str, out: Path, partial: bool, json: bool) -> int:
    from trovid.progress import bar
    from trovid.runs.merging import merge as merge_shards
    from trovid.runs.merging import shard_state

    state = shard_state(local)
    for shard in state.absent:
        complain(f"{folder}: shard {shard} has not begun")
    for path, reason in list(state.missing.items())[:NAMED]:
        complain(reason if path in reason else f"{path}: {reason}")
    if len(state.missing) > NAMED:
        complain(f"{folder}: {len(state.missing) - NAMED} more videos are missing")
    if not state.complete and not partial:
        complain(f"{folder}: nothing was merged; run the shards again, or give --partial")
        return NOTHING_DONE
    with bar("merging", unit="videos") as tick:
        videos = merge_shards(local, out, state, progress=tick)
    status = DONE if state.complete else DONE_WITH_LOSSES
    if json:
        missing = {"missing": state.missing, "shards_not_begun": state.absent}
        print_record({"status": status, "file": str(out), "videos": videos, **missing})
    else:
        print(f"{videos} videos: {out}")
    return status
