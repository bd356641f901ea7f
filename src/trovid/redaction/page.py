"""The report for people, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trovid.errors import printable
from trovid.redaction.options import Redaction
from trovid.redaction.report import Moment, RedactionReport

MOST_LINES = 500
"""Moments on a page; the JSON has all."""


def report_page(
    report: RedactionReport,
    *,
    source: str,
    model: str,
    score: float,
    redaction: Redaction,
    problems: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        report: What was covered.
        source: The video.
        model: Who looked for objects.
        score: Lowest score that counted.
        redaction: How objects were covered.
        problems: What was wrong with the video.
    """
    kept = [
        name
        for name, wanted in (
            ("sound", redaction.keep_sound),
            ("metadata", redaction.keep_metadata),
        )
        if wanted
    ]
    lines = [
        f"# What was covered in {_text(source)}",
        "",
        f"**{_text(report.note)}** Look through the moments below before the video is shown to "
        "anybody.",
        "",
        f"Found by {_text(model)} at score {score:g} or more; covered by {redaction.by}, "
        f"{redaction.fill}, {redaction.margin:.0%} beyond; up to {redaction.fill_gaps} frames "
        "filled on each side of a sighting; "
        + (f"{' and '.join(kept)} kept." if kept else "sound and metadata left out."),
        "",
        f"{report.frames} frames, something covered in {report.covered_frames}, black because "
        f"they could not be decoded for sure {report.blank_frames}.",
        "",
        *_table(
            ("class", "objects", "frames found", "frames filled", "longest gap"),
            (
                (
                    figures.class_name,
                    str(figures.objects),
                    str(figures.frames_found),
                    str(figures.frames_filled),
                    f"{figures.longest_gap} frames ({figures.longest_gap_seconds:.2f} s)"
                    if figures.longest_gap
                    else "none",
                )
                for figures in report.classes
            ),
        ),
        "",
    ]
    if problems:
        lines += ["## What is wrong with the file", "", *(f"- {_text(p)}" for p in problems), ""]
    lines += [f"## Moments to look at: {len(report.moments)}", ""]
    begin, start = report.first_frame, report.first_time
    later = begin > 0 or start > 0
    if later:
        lines += ["Times and frames are those of the covered video, and of its source.", ""]
    source_heads = ("source's time", "source's frames") if later else ()
    lines += _table(
        ("time", "frames", *source_heads, "object", "why"),
        (
            (
                *_when(one, begin, start),
                *(_when(one) if later else ()),
                "" if one.class_name is None else f"{one.class_name} {one.track}",
                one.why,
            )
            for one in report.moments[:MOST_LINES]
        ),
    )
    if len(report.moments) > MOST_LINES:
        lines += ["", f"{len(report.moments) - MOST_LINES} more are in the JSON file."]
    return "\n".join(lines) + "\n"


def _when(moment: Moment, begin: int = 0, start: float = 0.0) -> tuple[str, str]:
    """Its times and frames, in a video that begins there in the source."""
    time, frame = _clock(moment.first_time - start), str(moment.first_frame - begin)
    if moment.last_frame > moment.first_frame:
        time += f" to {_clock(moment.last_time - start)}"
        frame += f" to {moment.last_frame - begin}"
    return time, frame


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(map(_text, row))} |" for row in rows),
    ]


def _text(words: str) -> str:
    """Names of files and classes are text on the page and nothing else."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in printable(words))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}"
