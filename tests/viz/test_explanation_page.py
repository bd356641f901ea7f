"""The page of an explanation: its numbers, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import resource

import numpy as np
import pytest
import torch

import trovid
from tests.browser import Browser
from tests.cli.tiny_model import save_tiny_model
from tests.detectors.torchvision.networks import frame as street
from trovid.inference.explanation import FrameExplanation
from trovid.video.opening import Frame
from trovid.viz.explanation_page import save_explanation_page

LIMITED = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
in_a_browser = pytest.mark.skipif(
    LIMITED, reason="Chromium asks for more address space than is allowed"
)


def frame(index: int) -> Frame:
    image = np.full((40, 60, 3), 20 * index, np.uint8)
    return Frame(index=index, time=index / 10, image=image)


@pytest.fixture
def page(tmp_path):
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(2, 4, 2, 3, 5, generator=generator).softmax(1)
    explanation = FrameExplanation(
        target=frame(4),
        boxes=torch.tensor([[5.0, 4, 35, 34], [20.0, 10, 60, 40]]),
        levels=("0", "0"),
        searched_levels=("0", "0"),
        support=[frame(1), frame(6), frame(9)],
        points=torch.rand(2, 3, 4, 3, 5, 2, generator=generator) * 40,
        similarities=torch.rand(2, 3, 4, 3, 5, generator=generator),
        weights=weights,
    )
    path = tmp_path / "why.html"
    save_explanation_page(explanation, path, names=["cat </script> 0.9", "dog 0.5"], title="a & b")
    return explanation, path


def test_the_page_holds_all_numbers_and_needs_nothing_else(page):
    explanation, path = page
    text = path.read_text()
    assert not re.search(r"(src|href)=[\"']?http", text)
    assert text.count("</script>") == 2
    data = json.loads(re.search(r'application/json">(.*?)</script>', text, re.DOTALL)[1])
    assert data["title"] == "a & b"
    assert (data["start"], data["notes"]) == ([0, 1, 2], [])
    assert [detection["name"] for detection in data["detections"]] == [
        "cat </script> 0.9",
        "dog 0.5",
    ]
    assert [picture["index"] for picture in data["frames"]] == [4, 1, 6, 9]
    for number, detection in enumerate(data["detections"]):
        for name, values in (
            ("points", explanation.points),
            ("cosines", explanation.similarities),
            ("weights", explanation.weights),
        ):
            torch.testing.assert_close(
                torch.tensor(detection[name]), values[number], rtol=0, atol=0.051
            )


@in_a_browser
def test_keys_the_mouse_and_a_finger_move_over_the_positions(page, tmp_path):
    explanation, path = page
    with Browser(path, tmp_path / "profile") as browser:
        assert said(browser).startswith("cat </script> 0.9, row 2 of 3, column 3 of 5; ")
        check_shown(browser, explanation, 0, 1, 2)
        tab_to_the_target(browser)
        role, label = (
            browser.value(f"document.activeElement.getAttribute('{name}')")
            for name in ("role", "aria-label")
        )
        assert (role, label) == ("application", "target frame 4, positions of the RoI grid")
        browser.press("ArrowUp", "ArrowUp", "ArrowRight")
        check_shown(browser, explanation, 0, 0, 3)
        browser.hover(*place(browser, explanation, 0, 2, 1))
        check_shown(browser, explanation, 0, 2, 1)
        browser.hover(*place(browser, explanation, 0, 3, 1))  # below the box
        check_shown(browser, explanation, 0, 2, 1)
        browser.tap(*place(browser, explanation, 0, 1, 4))
        check_shown(browser, explanation, 0, 1, 4)
        for name, value in (("detection", 1), ("head", 1)):
            browser.value(
                f"byId('{name}').value = {value}, byId('{name}').dispatchEvent(new Event('change'))"
            )
        check_shown(browser, explanation, 1, 1, 4, group=1)
        first, *others = explanation.weights[1, :, 1, 1, 4].tolist()
        ranked = sorted(zip(others, (1, 6, 9), strict=True), reverse=True)
        heaviest = [f"frame {index} {weight:.2f}" for weight, index in ranked]
        spoken = ", ".join([f"target {first:.2f}", *heaviest])
        assert said(browser) == f"dog 0.5, row 2 of 3, column 5 of 5; weights: {spoken}"


@in_a_browser
def test_the_page_of_a_model(tmp_path):
    model = trovid.load(save_tiny_model(tmp_path / "tiny.safetensors"), device="cpu")
    pictures = np.stack([street()] * 4)
    boxes = [[30, 20, 140, 100], [60, 50, 120, 110]]
    explanation = model.explain(pictures, frame=2, boxes=boxes, support="3")
    path = tmp_path / "why.html"
    save_explanation_page(explanation, path, names=["one", "two"], title="street")
    with Browser(path, tmp_path / "profile") as browser:
        browser.hover(*place(browser, explanation, 0, 6, 0))
        check_shown(browser, explanation, 0, 6, 0)
        tab_to_the_target(browser)
        browser.press("ArrowUp")
        check_shown(browser, explanation, 0, 5, 0)
        browser.tap(*place(browser, explanation, 0, 0, 6))
        check_shown(browser, explanation, 0, 0, 6)


@in_a_browser
def test_the_page_opens_on_what_was_asked_for(page, tmp_path):
    explanation, path = page
    save_explanation_page(
        explanation,
        path,
        names=["cat", "dog"],
        title="t",
        detection=1,
        position=(2, 0),
        notes=["First <b>.", "Second."],
    )
    with Browser(path, tmp_path / "profile") as browser:
        assert said(browser).startswith("dog, row 3 of 3, column 1 of 5; ")
        check_shown(browser, explanation, 1, 2, 0)
        assert browser.value("byId('detection').value") == "1"
        assert browser.value("byId('notes').textContent") == "First <b>. Second."


def tab_to_the_target(browser: Browser) -> None:
    """As far as it takes: where Tab begins after scrolling depends on the browser."""
    for _ in range(5):
        browser.press("Tab")
        if browser.value("document.activeElement === target.svg"):
            return
    raise AssertionError("the target frame cannot be reached by Tab")


def said(browser: Browser) -> str:
    """What a screen reader is told of the position."""
    return browser.value("byId('position').textContent")


def place(browser: Browser, explanation: FrameExplanation, detection: int, row: int, column: int):
    """Where the middle of a position of the grid lies in the window."""
    left, top, width, height = browser.value(
        "target.svg.scrollIntoView(),"
        "(r => [r.left, r.top, r.width, r.height])(target.svg.getBoundingClientRect())"
    )
    rows, columns = explanation.weights.shape[-2:]
    x1, y1, x2, y2 = explanation.boxes[detection].tolist()
    tall, wide, _ = explanation.target.image.shape
    x = x1 + (column + 0.5) * (x2 - x1) / columns
    y = y1 + (row + 0.5) * (y2 - y1) / rows
    return left + x / wide * width, top + y / tall * height


def check_shown(browser, explanation, detection, row, column, group=None):
    """That captions, bars and points are those of a position."""
    rows, columns = explanation.weights.shape[-2:]
    assert f"row {row + 1} of {rows}, column {column + 1} of {columns}" in said(browser)
    weights = explanation.weights[detection, :, :, row, column]
    weights = (weights.mean(1) if group is None else weights[:, group]).tolist()
    shown = browser.value(
        "panels.map(p => [p.caption.textContent, parseFloat(p.bar.style.width),"
        "[...p.overlay.querySelectorAll('.point:not(.further)')].map(c => "
        "[+c.getAttribute('cx'), +c.getAttribute('cy')])])"
    )
    frames = [explanation.target, *explanation.support]
    for number, (caption, bar, points) in enumerate(shown):
        assert re.search(r"frame (\d+): weight", caption)[1] == str(frames[number].index)
        assert float(re.search(r"weight ([\d.]+)", caption)[1]) == pytest.approx(
            weights[number], abs=0.0051
        )
        assert bar == pytest.approx(100 * weights[number], abs=0.06)
        if number:
            best = detection, number - 1, 0, row, column
            cosine = float(explanation.similarities[best])
            assert float(re.search(r"cosine ([-\d.]+)", caption)[1]) == pytest.approx(
                cosine, abs=0.0056
            )
            assert points == [pytest.approx(explanation.points[best].tolist(), abs=0.051)]
