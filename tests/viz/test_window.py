"""The live window: shown where there is a screen (Xvfb), said where there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.cli.runs import names, run, video
from tests.cli.tiny_model import save_tiny_model
from trovid.datasets.synthvid import write_split
from trovid.errors import TrovidError
from trovid.viz.window import Window

SHOWING = """
import numpy as np
from trovid.viz.window import Window

window = Window()
for grey in (0, 200):
    window.show(np.full((40, 60, 3), grey, np.uint8), "a.mp4")
assert (window._label.winfo_width(), window._label.winfo_height()) == (60, 40)
assert window._root.title() == "a.mp4"
window.show(np.zeros((9000, 9000, 3), np.uint8), "large")
assert window._label.winfo_height() <= window._root.winfo_screenheight()
window._root.event_generate("<Escape>")
window._root.focus_force()
window.close()
window.show(np.zeros((40, 60, 3), np.uint8), "a.mp4")
assert not window.is_open
"""


@pytest.fixture
def no_screen(monkeypatch):
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere a screen is not named by DISPLAY")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def test_without_a_screen_it_says_so(no_screen):
    with pytest.raises(TrovidError, match="nothing can be shown: "):
        Window()


def test_detect_goes_on_without_a_screen(tmp_path, capsys, no_screen):
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    words = [video(tmp_path / "a.mp4", count=2), "--out", tmp_path / "out", "--show", "--no-csv"]
    status, _, complaints = run(capsys, model, *words)
    assert status == 0
    (line,) = complaints
    assert line.startswith("trovid: nothing can be shown: ")
    assert line.endswith("; the files are written as ever")
    assert names(tmp_path / "out") == {"a.mp4", "a.json"}


def test_detect_shows_every_frame_until_the_window_is_closed(tmp_path, capsys, monkeypatch):
    shown = []

    class Screen:
        is_open = True

        def show(self, picture: np.ndarray, title: str) -> None:
            shown.append((picture.shape, title))
            self.is_open = len(shown) < 3

    monkeypatch.setattr("trovid.viz.window.Window", Screen)
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    source = video(tmp_path / "a.mp4", count=5)
    status, _, complaints = run(capsys, model, source, "--out", tmp_path / "out", "--show")
    assert (status, complaints) == (0, [])
    assert shown == [((72, 96, 3), "a.mp4")] * 3


def test_nothing_is_left_where_labels_do_not_fit_what_is_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trovid.viz.window.Window", SimpleNamespace)
    labels = write_split(tmp_path / "clips", split="test", videos=1, workers=1)
    (clip,) = (tmp_path / "clips" / "test").iterdir()
    stated = json.loads(labels.read_text())
    stated["videos"][0]["num_frames"] = 10**6
    (tmp_path / "clips" / "long.json").write_text(json.dumps(stated))
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    words = ["--no-video", "--no-csv", "--show", "--labels", tmp_path / "clips" / "long.json"]
    status, _, complaints = run(capsys, model, clip, "--out", tmp_path / "out", *words)
    assert (status, len(complaints)) == (2, 1)
    assert "its labels say 1000000: correct the labels" in complaints[0]
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="there is no xvfb-run")
def test_on_a_screen():
    pytest.importorskip("tkinter")
    words = ["xvfb-run", "-a", sys.executable, "-c", SHOWING]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
