"""A report of `trovid evaluate` as Markdown and as one page that needs nothing beside it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from trovid.evaluation.details import WorstFrame
from trovid.evaluation.matching import RECALL_POINTS
from trovid.evaluation.report import Report
from trovid.evaluation.tables import Table, report_tables
from trovid.evaluation.track_report import TrackReport
from trovid.viz.colours import class_colour

WIDEST = 640
"""Width of a picture on the page, in pixels."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem;
  color: #222; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.bar { fill: #3b6ea5; } .bars text, .curves text { font-size: 12px; fill: currentColor; }
.curves path { fill: none; stroke-width: 1.5; opacity: .8; } .axis { stroke: #999; }
svg { max-width: 100%; height: auto; display: block; }
figure { margin: 0 0 1rem; } figure img { max-width: 100%; height: auto; display: block; }
.frames { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
dt { font-weight: 600; } dd { margin: 0 0 .3rem 1rem; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; } th, td { border-color: #444; } .bar { fill: #7aa7d9; }
}
"""
Picture = tuple[WorstFrame, np.ndarray]


def report_markdown(report: Report, *, title: str = "Evaluation") -> str:
    """The head and all tables."""
    page, worst = _markdown(title, report, report_tables(report)), ""
    if report.worst_frames:
        rows = [
            (frame.video, str(frame.frame), str(frame.missed), str(frame.false))
            for frame in (report.worst_frames)
        ]
        columns = ("video", "frame", "missed", "false")
        worst = "\n" + Table(f"Worst frames at score {report.best_score}", columns, rows).markdown()
    return f"{page}{worst}"


def report_page(
    report: Report, *, pictures: Iterable[Picture] = (), title: str = "Evaluation"
) -> str:
    """One HTML page with tables, curves, bars and pictures; it asks the network for nothing.

    Args:
        report: The figures.
        pictures: The worst frames, each uint8 [H, W, 3] with everything drawn.
        title: Of the page.
    """
    parts = ["".join(map(_table, report_tables(report)))]
    if report.curves:
        parts.append(f"<h2>Precision and recall at IoU .5</h2>{_curves(report.curves)}")
    bars = {
        name: class_figures.ap50
        for name, class_figures in report.per_class.items()
        if class_figures.num_objects
    }
    if bars:
        parts.append(f"<h2>AP50 of each class</h2>{_bars(bars)}")
    figures = "".join(_figure(*picture) for picture in pictures)
    if figures:
        about = f"at score {report.best_score:.3f}" if report.best_score is not None else ""
        parts.append(f"<h2>Frames with most errors {about}</h2><div class=frames>{figures}</div>")
    return _page(title, parts, report)


def tracks_markdown(report: TrackReport, *, title: str = "Evaluation") -> str:
    """The head and all tables of a report of tracks."""
    return _markdown(title, report, report.tables())


def tracks_page(report: TrackReport, *, title: str = "Evaluation") -> str:
    """One HTML page with the tables of a report of tracks, and bars of AP50 or HOTA.

    Args:
        report: The figures.
        title: Of the page.
    """
    parts = ["".join(map(_table, report.tables()))]
    figure, name = ("hota", "HOTA") if "hota" in report.overall else ("ap50", "AP50")
    bars = {n: row[figure] for n, row in report.per_class.items() if not math.isnan(row[figure])}
    if bars:
        parts.append(f"<h2>{name} of each class</h2>{_bars(bars)}")
    return _page(title, parts, report)


def _markdown(title: str, report: Report | TrackReport, tables: Iterable[Table]) -> str:
    head = "\n".join(f"- {key}: {value}" for key, value in _provenance(report))
    return f"# {title}\n\n{head}\n\n" + "\n".join(table.markdown() for table in tables)


def _page(title: str, parts: Sequence[str], report: Report | TrackReport) -> str:
    provenance = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _provenance(report)
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{''.join(parts)}"
        f"<h2>How it was made</h2><dl>{provenance}</dl></body></html>\n"
    )


def _provenance(report: Report | TrackReport) -> list[tuple[str, str]]:
    return [(key.replace("_", " "), _words(value)) for key, value in report.head.items()]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_words(part)}" for key, part in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    rows = "".join(row(cells, "td") for cells in table.rows)
    head = row(table.head, "th")
    return f"<table>{caption}<thead>{head}</thead><tbody>{rows}</tbody></table>"


def _curves(curves: Mapping[str, Sequence[float]]) -> str:
    """One line a class and the mean of all, thick."""
    width, height, left, top = 560, 360, 45, 10
    lines = []
    every = {**curves, "mean": np.mean(list(curves.values()), axis=0).tolist()}
    for name, precision in every.items():
        points = " ".join(
            f"{left + x * width:.1f},{top + (1 - y) * height:.1f}"
            for x, y in zip(RECALL_POINTS.tolist(), precision, strict=True)
        )
        colour = "currentColor" if name == "mean" else _css(name, [*curves])
        thick = " style='stroke-width:4'" if name == "mean" else ""
        lines.append(
            f"<path d='M{points}' stroke='{colour}'{thick}><title>{escape(name)}</title></path>"
        )
    ticks = "".join(
        f"<text x={left + x * width:.0f} y={top + height + 18} text-anchor=middle>{x:g}</text>"
        f"<text x={left - 8} y={top + (1 - x) * height + 4:.0f} text-anchor=end>{x:g}</text>"
        for x in (0, 0.25, 0.5, 0.75, 1)
    )
    names = "".join(
        f"<text x={left + width + 15} y={top + 15 + 16 * i}>"
        f"<tspan style='fill:{_css(name, [*curves])}'>&#9632;</tspan> {escape(name)}</text>"
        for i, name in enumerate(curves)
    )
    tall = max(top + height + 40, 30 + 16 * len(curves))
    return (
        f"<svg class=curves viewBox='0 0 {width + 280} {tall}' width={width + 280} role=img>"
        f"<rect class=axis x={left} y={top} width={width} height={height} fill=none />"
        f"{''.join(lines)}{ticks}{names}"
        f"<text x={left + width / 2} y={top + height + 35} text-anchor=middle>recall</text></svg>"
    )


def _bars(values: Mapping[str, float]) -> str:
    """From the best class to the worst."""
    width, left, step = 520, 170, 20
    rows = []
    for i, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        y = i * step
        rows.append(
            f"<text x={left - 8} y={y + 14} text-anchor=end>{escape(name)}</text>"
            f"<rect class=bar x={left} y={y + 3} width={value * width:.1f} height={step - 6} />"
            f"<text x={left + value * width + 6:.0f} y={y + 14}>{100 * value:.1f}</text>"
        )
    tall = step * len(values) + 4
    return (
        f"<svg class=bars viewBox='0 0 {left + width + 60} {tall}' width={left + width + 60} "
        f"role=img>{''.join(rows)}</svg>"
    )


def _figure(frame: WorstFrame, image: np.ndarray) -> str:
    """A picture within the page, as WebP."""
    picture = Image.fromarray(image)
    picture.thumbnail((WIDEST, WIDEST))
    file = io.BytesIO()
    picture.save(file, format="WEBP", quality=80)
    code = base64.b64encode(file.getvalue()).decode("ascii")
    words = f"{frame.video}, frame {frame.frame}: {frame.missed} missed, {frame.false} false"
    return (
        f"<figure><img src='data:image/webp;base64,{code}' alt='{escape(words, quote=True)}'>"
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def _css(name: str, names: Sequence[str]) -> str:
    return "rgb({},{},{})".format(*class_colour(name, names))
