"""The figures of one set of predictions, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trovid.errors import TrovidError
from trovid.evaluation.coco_ap import CocoEvaluation, Figures
from trovid.evaluation.groups import object_groups
from trovid.evaluation.pool import pool_frames
from trovid.files import replacing
from trovid.structures import Detections

if TYPE_CHECKING:
    from rich.table import Table

    from trovid.datasets.contract import Dataset

PROTOCOL = "COCO AP: 101 recall points, 100 detections a frame and class, mean over classes"
_FIGURES = ("AP50", "AP75", "AP")


@dataclass(frozen=True)
class Report:
    """What `evaluate` found; figures are fractions of 1 here and in JSON, per cent in the table.

    Attributes:
        head: Protocol, versions, how much was evaluated and what was left out.
        overall: Mean over classes.
        per_class: Each class.
        groups: Each group of objects (`object_groups`), mean over classes; other objects are
            ignored, false positives anywhere count.
    """

    head: dict[str, Any]
    overall: Figures
    per_class: dict[str, Figures]
    groups: dict[str, Figures]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a figure that does not exist is None."""
        return {
            "head": self.head,
            "overall": _to_json(self.overall),
            "groups": {name: _to_json(figures) for name, figures in self.groups.items()},
            "per_class": {name: _to_json(figures) for name, figures in self.per_class.items()},
        }

    def save(self, path: str | Path) -> None:
        """Write JSON; the file appears whole or not at all.

        Raises:
            TrovidError: If it cannot be written.
        """
        with replacing(Path(path)) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read what `save` wrote.

        Raises:
            TrovidError: If the file is missing or holds no report.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                head=dict(data["head"]),
                overall=_from_json(data["overall"]),
                per_class={name: _from_json(f) for name, f in data["per_class"].items()},
                groups={name: _from_json(f) for name, f in data["groups"].items()},
            )
        except OSError as error:
            raise TrovidError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrovidError(f"{path} is not a report of `trovid evaluate`") from error

    def tables(self) -> list[Table]:
        """Groups and classes for a terminal (rich), in per cent."""
        frames = f"{self.head['frames']} frames of {self.head['videos']} videos"
        groups = _table(f"COCO average precision in per cent, {frames}", "objects of")
        _add_row(groups, "all", self.overall)
        for name, figures in self.groups.items():
            _add_row(groups, name, figures)
        classes = _table("", "class")
        for name, figures in self.per_class.items():
            _add_row(classes, name, figures)
        return [groups, classes]


def evaluate(
    predictions: Mapping[str, Sequence[Detections]],
    dataset: Dataset,
    *,
    head: Mapping[str, Any] | None = None,
) -> Report:
    """AP50, AP75 and AP of predictions: of all objects, of each class and each group of objects.

    Only the frames in `predictions` count (by `frame_index`; one without detections counts too).

    Args:
        predictions: For each video's name its frames.
        dataset: Ground truth.
        head: More to say in the report's head: the model, the files.

    Raises:
        TrovidError: If predictions and labels do not fit (see `pool_frames`).

    Example:
        >>> report = evaluate(predictions, dataset)  # doctest: +SKIP
        >>> report.overall.ap50, report.groups["deteriorated"].ap50  # doctest: +SKIP
    """
    import faster_coco_eval

    from trovid import __version__

    pool = pool_frames(predictions, dataset)
    evaluation = CocoEvaluation(pool)
    result = evaluation()
    facts = {
        "trovid": __version__,
        "protocol": PROTOCOL,
        "computed_by": f"faster-coco-eval {faster_coco_eval.__version__}",
        "strength_thirds": {kind: list(edges) for kind, edges in pool.strength_edges.items()},
    }
    return Report(
        head={**facts, **pool.counts, **(head or {})},
        overall=result.overall,
        per_class=result.per_class,
        groups={name: evaluation(active).overall for name, active in object_groups(pool).items()},
    )


def _to_json(figures: Figures) -> dict[str, float | int | None]:
    values = (figures.ap50, figures.ap75, figures.ap)
    found = {
        name: None if math.isnan(value) else value
        for name, value in zip(_FIGURES, values, strict=True)
    }
    return {**found, "objects": figures.num_objects}


def _from_json(data: Mapping[str, Any]) -> Figures:
    ap50, ap75, ap = (math.nan if data[n] is None else float(data[n]) for n in _FIGURES)
    return Figures(ap50, ap75, ap, int(data["objects"]))


def _table(title: str, first: str) -> Table:
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    table.add_column(first)
    for name in (*_FIGURES, "number"):
        table.add_column(name, justify="right")
    return table


def _add_row(table: Table, name: str, figures: Figures) -> None:
    values = (figures.ap50, figures.ap75, figures.ap)
    cells = ["-" if math.isnan(value) else f"{100 * value:.1f}" for value in values]
    table.add_row(name, *cells, str(figures.num_objects))
