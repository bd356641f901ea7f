"""A failure's text can be sent to another process, whatever a file's name is."""

from __future__ import annotations

import pytest

from tests.cli.fuzz.reports import made_readable, readable


@pytest.mark.parametrize("text", ["a\udcff", "\ud800", "plain", "\u4f60"])
def test_text_is_utf8(text):
    assert readable(text).encode("utf-8").isascii() == ("\u4f60" not in text)


def test_a_failed_report_can_be_sent():
    place = ("test_x.py", 1, "test_x")
    sections = [("Captured log call", "a\udcff")]
    report = pytest.TestReport("x", place, {}, "failed", "why \udcff", "call", sections)
    made_readable(report)
    assert report.longrepr == r"why \udcff"
    assert report.sections == [("Captured log call", r"a\udcff")]
