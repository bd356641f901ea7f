"""Failures told in text that any stream, file or other process takes."""

from __future__ import annotations

import pytest


def readable(text: str) -> str:
    r"""The text with what is no UTF-8 escaped.

    Example:
        >>> print(readable("a\udcff"))
        a\udcff
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def made_readable(report: pytest.TestReport) -> None:
    """Escapes in a report what is no UTF-8: pytest-xdist would end with it."""
    report.sections = [(readable(name), readable(text)) for name, text in report.sections]
    if report.failed:
        text = str(report.longrepr)
        if readable(text) != text:
            report.longrepr = readable(text)
