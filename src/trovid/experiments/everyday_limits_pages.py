"""The report of what limits the everyday models, as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trovid.experiments.everyday_methods import CARRIED, SINGLE, TEMPORAL
from trovid.experiments.everyday_pictures import FATES, MATCH, MISTAKES, NEAR, ROUGH, SHOWN
from trovid.experiments.everyday_points import FIGURES as POINTS
from trovid.experiments.everyday_proposals import ROWS
from trovid.experiments.markdown import hashes_text, origin_text, table, written

NAME = "everyday-limits"
SIZES = ("all", "small", "medium", "large")


def write_limits(result: dict[str, Any], folder: Path) -> str:
    """Writes everyday-limits.json and everyday-limits.md; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = limits_page(result)
    written(folder / f"{NAME}.json", json.dumps(result, indent=1) + "\n")
    written(folder / f"{NAME}.md", page)
    return page


def limits_page(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent."""
    lines = ["# What limits the everyday models", "", origin_text(result), ""]
    lines += [hashes_text(result), ""]
    if "pictures" in result:
        lines += _pictures(result["pictures"], result["set_aside"])
    videos = result.get("videos", {})
    if "proposals" in videos:
        strengths = ", ".join(f"{kind} {value:g}" for kind, value in result["strengths"].items())
        lines += _proposals(videos["proposals"], strengths)
    if "points" in videos:
        lines += _points(videos["points"])
    return "\n".join(lines)


def _pictures(models: dict[str, Any], count: int) -> list[str]:
    limited = models[SINGLE]
    ceilings, fates, recall = limited["ceilings"], limited["fates"], limited["proposals"]["recall"]
    sizes = [size for size in SIZES if size in recall]
    single, temporal = (
        models[name]["classes"] if name in models else {} for name in (SINGLE, TEMPORAL)
    )
    classes = sorted(single, key=lambda name: -(single[name]["AP50"] or 0))
    shown = fates["detections"]
    return [
        f"## {count} training pictures that were set aside",
        "",
        "Nothing was trained on them, but settings were chosen on them, so these figures may be "
        "higher than those of new pictures. Sizes are COCO's, in the pixels of the stored "
        f"pictures: small below 32², large from 96². {TEMPORAL} has no other frames here: a "
        "picture is its own support frame, as in its training.",
        "",
        *table(
            ["", "AP50", "AP75", "AP", *(f"AP50 {size}" for size in sizes[1:])],
            [
                [
                    name,
                    *(_percent(found["sizes"]["all"][figure]) for figure in ("AP50", "AP75", "AP")),
                    *(_percent(_of(found["sizes"], size, "AP50")) for size in sizes[1:]),
                ]
                for name, found in models.items()
            ],
        ),
        "",
        f"### What limits {SINGLE}",
        "",
        f"The RPN gives {limited['proposals']['a picture']:.0f} proposals a picture. Objects "
        "that one of them overlaps:",
        "",
        *table(
            ["size", "objects", f"by IoU {MATCH:g}", "by IoU 0.75"],
            [
                [size, str(recall[size]["objects"])]
                + [_percent(recall[size][iou]) for iou in ("0.5", "0.75")]
                for size in sizes
            ],
        ),
        "",
        f"AP at other overlaps, and AP50 if all boxes that overlap an object by {MATCH:g} had its "
        f"class, if all that overlap one by {ROUGH:g} lay on it, and with both:",
        "",
        *table(
            ["AP", *sizes],
            [[name, *(_percent(row.get(s)) for s in sizes)] for name, row in ceilings.items()],
        ),
        "",
        f"What becomes of the objects at score {SHOWN:g} and IoU {MATCH:g}, each counted where it "
        "first belongs: found; under another class alone; its class shown with a box that overlaps "
        f"it by {NEAR:g} to {MATCH:g} (it may be a neighbour's); right with a lower score; "
        "proposed and none of these; not proposed.",
        "",
        *table(
            ["objects", *FATES],
            [[size, *(_percent(fates["objects"][size][fate]) for fate in FATES)] for size in sizes],
        ),
        "",
        f"Of {shown['shown']} detections with score {SHOWN:g} or more: "
        + ", ".join(f"{name} {_percent(shown[name])}" for name in MISTAKES)
        + " (an unlabelled object is nothing there). Most frequent confusions: "
        + ", ".join(
            f"{pair['object']} shown as {pair['shown']} {pair['times']}"
            for pair in fates["confusions"]
        )
        + ".",
        "",
        "### By class",
        "",
        *table(
            ["class", "objects", "AP50", "AP75", "AP", f"AP50 of {TEMPORAL}", *FATES],
            [
                [
                    name,
                    str(single[name]["objects"]),
                    *(_percent(single[name][figure]) for figure in ("AP50", "AP75", "AP")),
                    _percent(temporal.get(name, {}).get("AP50")),
                    *(_percent(fates["objects"][name][fate]) for fate in FATES),
                ]
                for name in classes
            ],
        ),
        "",
    ]


def _proposals(proposals: dict[str, Any], strengths: str) -> list[str]:
    heads = [f"IoU {MATCH:g}", "IoU 0.75", f"found at {SHOWN:g}", "at any score"]
    return [
        "## Spoilt frames: missed by the RPN, or by the head?",
        "",
        f"The {len(proposals['sequences'])} sequences of DAVIS 2016 for choosing that show one of "
        "the classes, every sixteenth frame (fixed beforehand), which alone is spoilt, and the "
        f"same frames clean: {strengths}. {SINGLE}: share of frames in which a proposal overlaps "
        "the object by so much, and in which it is found (a class of its group, IoU "
        f"{MATCH:g}). Boxes taken over: "
        f"the {CARRIED} best of each of 14 clean support frames. 95 % intervals over "
        f"{proposals['folds']} sequences (near duplicates are one), "
        f"{proposals['resamples']} resamples.",
        "",
        *table(
            ["", "boxes", "proposals a frame", *heads],
            [
                [
                    condition if row == ROWS[0] else "",
                    row,
                    f"{figures['proposals']:.0f}",
                    *(_interval(figures[name]) for name in ("0.5", "0.75", "found", "at all")),
                ]
                for condition, rows in proposals["rows"].items()
                for row, figures in rows.items()
            ],
        ),
        "",
    ]


def _points(points: dict[str, Any]) -> list[str]:
    count = points["top_k"]
    words = dict(
        zip(POINTS, ("K = 1", f"K = {count}", "same place, no search", "chance"), strict=True)
    )
    return [
        "## Where the points fall",
        "",
        f"{TEMPORAL} on the {len(points['sequences'])} sequences of DAVIS 2016 for choosing, the "
        "same frames: of the RoI positions of the labelled box whose centre lies within the "
        "object's mask, the share whose most similar cell in a clean support frame (K = 1), and "
        f"whose {count} most similar ones (K = {count}), lie on the same object there. Beside it "
        "the position's own place in the support frame, and the part of the support frame that the "
        f"object covers. 95 % intervals over {points['folds']} sequences.",
        "",
        *table(
            ["", *words.values()],
            [
                [condition, *(_interval(figures[name]) for name in words)]
                for condition, figures in points["rows"].items()
            ],
        ),
        "",
    ]


def _of(figures: dict[str, Any], group: str, name: str) -> float | None:
    return figures[group][name] if group in figures else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _interval(interval: dict[str, float]) -> str:
    return (
        f"{100 * interval['value']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
    )
