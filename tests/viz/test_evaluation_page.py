"""The page of a report, as text and in a real browser."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.browser import Browser
from tests.evaluation.arrays import make_dataset, make_predictions
from trovid.evaluation import Report, evaluate
from trovid.evaluation.details import WorstFrame
from trovid.viz.evaluation_page import report_markdown, report_page

CLASSES = ("cat", "<b>dog</b> | bird", "owl")
BOX, AWAY = [10.0, 10, 50, 50], [100.0, 100, 140, 140]

PROBE = """JSON.stringify({
  images: [...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight]),
  boxes: [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width > 50),
  resources: performance.getEntriesByType('resource').filter(
    r => !r.name.startsWith('data:')).length,
  tables: document.querySelectorAll('td').length,
  bold: document.querySelectorAll('b').length,
  shown: window.innerWidth,
  wide: document.documentElement.scrollWidth > window.innerWidth})"""


@pytest.fixture(scope="module")
def report() -> Report:
    objects = [[(BOX, t % 2, 1, {})] for t in range(6)]
    found = [[(BOX, 0, 0.9), (AWAY, 1, 0.4)] for _ in range(6)]
    dataset = make_dataset([objects, objects], CLASSES)
    return evaluate(
        make_predictions([found, found], CLASSES),
        dataset,
        head={"model": "<script>alert(1)</script>"},
        protocols=["devkit", "voc", "epic"],
        resamples=20,
    )


@pytest.fixture(scope="module")
def page(report) -> str:
    image = np.random.default_rng(0).integers(0, 255, (400, 900, 3), dtype=np.uint8)
    pictures = [(worst, image) for worst in report.worst_frames[:3]]
    return report_page(report, pictures=pictures, title="A & B")


def test_worst_frames_and_curves(report):
    assert report.best_score == pytest.approx(0.9)
    assert report.worst_frames[0] == WorstFrame("0", 1, 1, 1)
    assert len(report.worst_frames) == 4  # two of each video
    assert set(report.curves) == set(CLASSES[:2])
    assert all(len(curve) == 101 for curve in report.curves.values())
    assert np.mean(report.curves["cat"]) == pytest.approx(report.per_class["cat"].ap50, abs=1e-4)


def test_the_report_survives_json(report, tmp_path):
    report.save(tmp_path / "r.json")
    assert Report.load(tmp_path / "r.json").to_dict() == report.to_dict()


def test_markdown_has_every_table(report):
    text = report_markdown(report)
    assert "| devkit (clean) |" in text
    assert "\\| bird" in text
    assert "| mAP at | IoU 0.05 | IoU 0.5 | IoU 0.75 |" in text
    assert "95 % intervals" in text
    assert "Worst frames at score" in text


def test_the_page_asks_for_nothing_and_escapes_names(page):
    class Finder(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in ("script", "link", "iframe", "b")
            for name, value in attrs:
                assert not name.startswith("on")
                if name in ("src", "href"):
                    assert value.startswith("data:image/webp;base64,")

    Finder().feed(page)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("width", [1200, 400])
def test_in_a_browser(page, tmp_path, width):
    """Every picture is drawn, the page is no wider than the window, nothing is fetched."""
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    with Browser(file, tmp_path / "profile") as browser:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.ask("Emulation.setDeviceMetricsOverride", **size)
        seen = json.loads(browser.value(PROBE))
    assert [image[:2] for image in seen["images"]] == [[True, 640]] * 3
    assert seen["boxes"] == [True, True]
    assert seen["tables"] > 40
    assert (seen["resources"], seen["bold"]) == (0, 0)
    assert (seen["shown"], seen["wide"]) == (width, False)
