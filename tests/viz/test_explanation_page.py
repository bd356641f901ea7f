"""The page of an explanation: its numbers, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess

import numpy as np
import pytest
import torch

from trovid.inference.explanation import FrameExplanation
from trovid.video.opening import Frame
from trovid.viz.explanation_page import save_explanation_page

CHROMIUM = shutil.which("chromium")
LIMITED = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


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
    assert [own["name"] for own in data["detections"]] == ["cat </script> 0.9", "dog 0.5"]
    assert [own["index"] for own in data["frames"]] == [4, 1, 6, 9]
    for number, own in enumerate(data["detections"]):
        for name, values in (
            ("points", explanation.points),
            ("cosines", explanation.similarities),
            ("weights", explanation.weights),
        ):
            torch.testing.assert_close(torch.tensor(own[name]), values[number], rtol=0, atol=0.051)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(LIMITED, reason="Chromium asks for more address space than is allowed")
def test_a_browser_shows_it_and_the_keyboard_moves_over_the_positions(page, tmp_path):
    explanation, path = page
    moves = """
    <script>
      const press = (key) => target.svg.dispatchEvent(new KeyboardEvent("keydown", { key }));
      ["ArrowUp", "ArrowUp", "ArrowRight"].forEach(press);
      const choice = byId("detection");
      choice.value = "1"; choice.dispatchEvent(new Event("change"));
      const head = byId("head");
      head.value = "1"; head.dispatchEvent(new Event("change"));
    </script>
    """
    text = path.read_text()
    driven = tmp_path / "driven.html"
    driven.write_text(text.replace("</body>", f"{moves}</body>"))
    dom = {}
    for name, file in (("before", path), ("after", driven)):
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                f"--user-data-dir={tmp_path / 'profile'}",
                file.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        dom[name] = done.stdout
    middle = explanation.weights[0, :, :, 1, 2].mean(1)
    assert f"target frame 4: weight {float(middle[0]):.2f}" in dom["before"]
    assert "row 2 of 3, column 3 of 5" in dom["before"]
    moved = explanation.weights[1, :, 1, 0, 3]
    cosine = explanation.similarities[1, 2, 0, 0, 3]
    assert "dog 0.5, row 1 of 3, column 4 of 5" in dom["after"]
    assert f"frame 9: weight {float(moved[3]):.2f}, cosine {float(cosine):.2f}" in dom["after"]
