"""`trovid compare`: two sets of predictions against labels, on the same videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trovid.cli.messages import print_record
from trovid.cli.tables import print_tables, table_console
from trovid.errors import TrovidError

FLAG = Parameter(negative="")


def compare(
    a: Path,
    b: Path,
    /,
    *,
    labels: Path,
    protocols: str = "coco",
    resamples: int = 1000,
    out: Path | None = None,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Say whether predictions B are better than A, with an interval.

    AP50 of A and of B, and the gain of B over A with its 95 % interval: a paired bootstrap, in
    which the same videos are drawn for both. An interval that holds 0 may be chance. It speaks of
    other videos like these, not of another training; with few videos it is too narrow.

    Examples:
        trovid compare single.json temporal.json --labels val.json
        trovid compare a.parquet b.parquet --labels val.json --protocols coco,voc

    Args:
        a: Predictions: JSON or Parquet of `trovid detect`, a folder of Parquet files, or a list of
            COCO results with the labels' ids.
        b: Predictions of the same frames.
        labels: Ground truth, as `trovid evaluate` takes it.
        protocols: Whose AP50, with commas between: coco (also of each group of objects), devkit,
            voc, epic.
        resamples: How often the videos are drawn.
        out: File for the figures, as JSON; replaced where it exists.
        json: Print the figures as JSON in place of the table.
    """
    from trovid.cli.protocols import protocol_names
    from trovid.datasets.reading import read_labels
    from trovid.evaluation.comparison import compare as measure
    from trovid.files import replacing
    from trovid.runs.derived import check_not_derived
    from trovid.runs.predictions import read_predictions

    if resamples < 1:
        raise TrovidError("--resamples must be at least 1")
    names = protocol_names(protocols)
    for path in (a, b):
        check_not_derived(path)
    (_, first), (_, second) = (read_predictions(path, labels=labels) for path in (a, b))
    truth = read_labels(labels, lambda val: all(name in val for name in (*first, *second)))
    titles = (a.stem, b.stem) if a.stem != b.stem else (str(a), str(b))
    found = measure(first, second, truth, names=titles, protocols=names, resamples=resamples)
    if out is not None:
        import json as document

        with replacing(out) as partial:
            partial.write_text(document.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    if json:
        print_record(found.to_dict())
        return
    print_tables([found.table()], table_console())
    if out is not None:
        print(f"figures: {out}")
