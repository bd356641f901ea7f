"""The figures of one set of predictions, and their JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trovid.datasets.contract import Dataset
from trovid.datasets.imagenet_vid import CLASSES as VID_CLASSES
from trovid.errors import OptionError, TrovidError, nearest
from trovid.evaluation.bootstrap import Interval
from trovid.evaluation.clip_matches import PROTOCOLS, ProtocolName
from trovid.evaluation.details import (
    WorstFrame,
    best_score,
    matches_at_half,
    precision_curves,
    worst_frames,
)
from trovid.evaluation.figures import (
    Figures,
    GroupAP,
    coco_figures,
    epic_figures,
    vid_figures,
)
from trovid.evaluation.groups import object_groups
from trovid.evaluation.intervals import intervals
from trovid.evaluation.pool import pool_frames
from trovid.evaluation.protocols import coco
from trovid.evaluation.stability import Gap, Stability, stability
from trovid.files import replacing
from trovid.structures import Detections, VideoDetections

PROTOCOL = "COCO AP: 101 recall points, 100 detections a frame and class, mean over classes"
FIGURES = ("AP50", "AP75", "AP")
CLEAN = " (clean)"
"""What is added to a protocol's name where its code's habits are left out."""


@dataclass(frozen=True)
class Report:
    """What `evaluate` found; figures are fractions of 1 here and in JSON, per cent in tables.

    Attributes:
        head: Protocol, versions, how much was evaluated and what was left out.
        overall: COCO's AP, mean over classes.
        per_class: Each class.
        groups: Each group of objects (`object_groups`) and size, mean over classes; other objects
            are ignored, false positives anywhere count (with sizes those of another size do not).
        recalls: COCO's AR with the best 1, 10 and 100 detections a frame and class.
        protocols: The other protocols' figures, by name and group; each is AP at one overlap.
        intervals: AP50 by protocol and group with its interval over the videos, where asked for.
        stability: Flicker along tracks; None where the labels follow no instance.
        curves: For each class with an object the precision at 101 recalls, IoU .5.
        best_score: The score that gives the best F1 over all classes at IoU .5.
        worst_frames: The frames with most errors at that score.
    """

    head: dict[str, Any]
    overall: Figures
    per_class: dict[str, Figures]
    groups: dict[str, Figures]
    recalls: dict[str, float] = field(default_factory=dict)
    protocols: dict[str, dict[str, GroupAP]] = field(default_factory=dict)
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    stability: Stability | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    best_score: float | None = None
    worst_frames: list[WorstFrame] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a figure that does not exist is None."""
        return {
            "head": self.head,
            "overall": _to_json(self.overall),
            "groups": {name: _to_json(figures) for name, figures in self.groups.items()},
            "per_class": {name: _to_json(figures) for name, figures in self.per_class.items()},
            "recalls": {name: _number(value) for name, value in self.recalls.items()},
            "protocols": {
                name: {group: _group_to_json(figures) for group, figures in groups.items()}
                for name, groups in self.protocols.items()
            },
            "intervals": {
                name: {group: asdict(interval) for group, interval in groups.items()}
                for name, groups in self.intervals.items()
            },
            "stability": None if self.stability is None else _stability_to_json(self.stability),
            "best_score": self.best_score,
            "worst_frames": [asdict(frame) for frame in self.worst_frames],
            "curves": self.curves,
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
                recalls={name: _float(f) for name, f in data.get("recalls", {}).items()},
                protocols={
                    name: {group: _group_from_json(f) for group, f in groups.items()}
                    for name, groups in data.get("protocols", {}).items()
                },
                intervals={
                    name: {group: Interval(**interval) for group, interval in groups.items()}
                    for name, groups in data.get("intervals", {}).items()
                },
                stability=_stability_from_json(data.get("stability")),
                curves={
                    name: [*map(float, curve)] for name, curve in data.get("curves", {}).items()
                },
                best_score=data.get("best_score"),
                worst_frames=[WorstFrame(**frame) for frame in data.get("worst_frames", ())],
            )
        except OSError as error:
            raise TrovidError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrovidError(f"{path} is not a report of `trovid evaluate`") from error


def evaluate(
    predictions: Mapping[str, Sequence[Detections] | VideoDetections],
    dataset: Dataset,
    *,
    head: Mapping[str, Any] | None = None,
    protocols: Collection[ProtocolName] | None = None,
    resamples: int = 0,
) -> Report:
    """AP50, AP75 and AP of predictions: of all objects, of each class and each group of objects.

    Only the frames in `predictions` count (by `frame_index`; one without detections counts too).

    Args:
        predictions: For each video's name its frames.
        dataset: Ground truth.
        head: More to say in the report's head: the model, the files.
        protocols: Whose figures besides COCO's: "devkit", "voc" (each also without its code's
            habits), "epic"; None: those of ImageNet VID where the labels have its 30 classes.
        resamples: How often the videos are drawn for the intervals of AP50; 0: no intervals.

    Raises:
        TrovidError: If predictions and labels do not fit (see `pool_frames`).

    Example:
        >>> report = evaluate(predictions, dataset)  # doctest: +SKIP
        >>> report.overall.ap50, report.groups["deteriorated"].ap50  # doctest: +SKIP
        >>> report.protocols["devkit"]["motion: fast"].mean  # doctest: +SKIP
    """
    from trovid import __version__

    chosen = _chosen(protocols, dataset)
    pool = pool_frames(predictions, dataset)
    groups = {name: coco.Group(active) for name, active in object_groups(pool).items()}
    groups |= {name: group for name, group in coco.size_groups(pool).items() if group.active.any()}
    found = coco_figures(pool, {"all": coco.Group(pool.objects.counted), **groups})
    overall = found.pop("all")
    settings = {
        "trovid": __version__,
        "protocol": PROTOCOL,
        "strength_thirds": {kind: list(edges) for kind, edges in pool.strength_edges.items()},
    }
    others: dict[str, dict[str, GroupAP]] = {}
    for name in ("devkit", "voc"):
        if name in chosen:
            others[name] = vid_figures(pool, name)
            others[name + CLEAN] = vid_figures(pool, name, clean=True)
    if "epic" in chosen:
        others["epic"] = epic_figures(pool)
    matches = matches_at_half(pool)
    score = best_score(pool, matches)
    return Report(
        head={**settings, **pool.counts, **(head or {})},
        overall=overall.overall,
        per_class=overall.per_class,
        groups={name: coco_ap.overall for name, coco_ap in found.items()},
        recalls={
            f"AR{limit}": value for limit, value in zip(coco.LIMITS, overall.recalls, strict=True)
        },
        protocols=others,
        intervals=intervals(pool, protocols=chosen, resamples=resamples) if resamples else {},
        stability=stability(pool, matches),
        curves=precision_curves(pool, matches),
        best_score=score,
        worst_frames=worst_frames(pool, matches, score),
    )


def _chosen(
    protocols: Collection[ProtocolName] | None, dataset: Dataset
) -> Collection[ProtocolName]:
    if protocols is None:
        vid = sorted(dataset.class_names) == sorted(VID_CLASSES.values())
        return ("coco", "devkit", "voc") if vid else ("coco",)
    for name in protocols:
        if name not in PROTOCOLS:
            raise OptionError(f"`protocols`: no protocol {name!r}{nearest(name, PROTOCOLS)}")
    return tuple(dict.fromkeys(("coco", *protocols)))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _to_json(figures: Figures) -> dict[str, float | int | None]:
    values = (figures.ap50, figures.ap75, figures.ap)
    found = {name: _number(value) for name, value in zip(FIGURES, values, strict=True)}
    return {**found, "objects": figures.num_objects}


def _from_json(data: Mapping[str, Any]) -> Figures:
    ap50, ap75, ap = (_float(data[name]) for name in FIGURES)
    return Figures(ap50, ap75, ap, int(data["objects"]))


def _group_to_json(figures: GroupAP) -> dict[str, Any]:
    return {
        "mean": _number(figures.mean),
        "objects": figures.num_objects,
        "per_class": {name: _number(value) for name, value in figures.per_class.items()},
    }


def _group_from_json(data: Mapping[str, Any]) -> GroupAP:
    per_class = {name: _float(value) for name, value in data["per_class"].items()}
    return GroupAP(_float(data["mean"]), per_class, int(data["objects"]))


def _stability_to_json(figures: Stability) -> dict[str, Any]:
    return {
        name: _number(value) if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }


def _stability_from_json(data: Mapping[str, Any] | None) -> Stability | None:
    if data is None:
        return None
    gap = data["worst_gap"]
    rates = ("recall", "appears", "vanishes", "class_changes")
    figures: dict[str, Any] = {**data, **{name: _float(data[name]) for name in rates}}
    figures["worst_gap"] = None if gap is None else Gap(**gap)
    return Stability(**figures)
