"""`trovid explain`: the picture, the numbers, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import trovid_command
from tests.cli.runs import HEIGHT, WIDTH, images, video
from tests.cli.tiny_model import save_tiny_model
from trovid.datasets.synthvid import write_split
from trovid.video.opening import VideoWriter, open_video

MODEL = ("--model", "synthvid-selsa-troi")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_split(folder, split="test", videos=1, workers=1)
    return next((folder / "test").iterdir())


def test_the_surest_object_is_found_again(tmp_path, capsys, clip):
    out = tmp_path / "new" / "why.png"
    status, said, complaints = trovid_command(
        capsys, "explain", clip, *MODEL, "--out", out, "--json"
    )
    assert (status, complaints) == (0, [])
    record = json.loads(said)
    assert (record["frame"], record["time"]) == (12, 1.0)
    assert record["weight"] + sum(s["weight"] for s in record["support"]) == pytest.approx(1)
    assert [s["frame"] for s in record["support"]] == [0, 8, 15, 23]
    x1, y1, x2, y2 = record["box"]
    assert 0 <= x1 < x2 <= 256
    assert 0 <= y1 < y2 <= 256
    assert x1 < record["cell"][0] < record["cell"][2] < x2
    best = max(record["support"], key=lambda s: s["cosine"])
    assert best["cosine"] > 0.8
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert min(picture.size) > 1000  # panels that can be looked at
    red = (pixels[..., 0] > 230) & (pixels[..., 1:].max(2) < 30)
    assert red.sum() > 100


def test_a_box_a_position_and_many_support_frames(tmp_path, capsys, clip):
    words = ["--frame", "3", "--box", "20,30,120,110", "--position", "0,6"]
    words += ["--support", "uniform:12", "--out", tmp_path / "a.png", "--json"]
    status, said, _ = trovid_command(capsys, "explain", clip, *words)
    record = json.loads(said)
    assert (status, record["frame"], record["box"]) == (0, 3, [20, 30, 120, 110])
    assert record["cell"] == pytest.approx([20 + 600 / 7, 30, 120, 30 + 80 / 7], abs=1e-3)
    assert len(record["support"]) == 12
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.height > picture.width / 2


def test_an_existing_picture_is_kept_unasked(tmp_path, capsys, clip):
    out = tmp_path / "a.png"
    out.write_text("mine")
    words = ["explain", clip, "--box", "0,0,99,99", "--out", out]
    status, _, complaints = trovid_command(capsys, *words)
    assert (status, out.read_text()) == (2, "mine")
    assert "exists; give --overwrite" in complaints[0]
    page = out.with_suffix(".html")
    assert trovid_command(capsys, *words, "--overwrite")[:2] == (0, f"{out}\n{page}\n")
    assert out.read_bytes().startswith(b"\x89PNG")
    out.unlink()
    assert f"{page}: exists; give --overwrite" in trovid_command(capsys, *words)[2][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frame", "24"], "there is no frame 24; the frames are 0..23"),
        (["--time", "9"], "--time 9 lies behind the last frame"),
        (["--time", "1", "--frame", "2"], "give one of them"),
        (["--box", "1,2,3"], "--box '1,2,3' is not understood"),
        (["--box", "9,9,5,20"], "the box must be x1, y1, x2, y2 within the 256x256 pixels"),
        (["--box", "0,0,nan,20"], "the box must be"),
        (["--box", "0,0,9,9", "--position", "7,0"], "position must lie in 0..6, 0..6"),
        (["--classes", "rok"], "did you mean 'rook'?"),
        (["--score", "1"], "nothing of score 1.0 or more in frame 12"),
        (["--model", "synthvid-selsa"], "synthvid-selsa has no Temporal RoI Align: nothing to ex"),
        (["--model", "synthvid-selsa"], "it weighs whole proposals, SELSA: `trovid experiment"),
        (["--model", "synthvid-single"], "no Temporal RoI Align: nothing to explain; choose"),
        (["--box", "0,0,9,9", "--support", "uniform:0"], "gives frame 12 no support frame"),
        (["--box", "0,0,9,9", "--detection", "1"], "--box names the place and --detection what"),
        (["--detection", "99"], "--detection must lie in 1.."),
    ],
)
def test_what_cannot_be_explained_is_said(tmp_path, capsys, clip, words, message):
    out = tmp_path / "a.png"
    if "--model" not in words:
        words = [*MODEL, *words]
    status, said, complaints = trovid_command(capsys, "explain", clip, *words, "--out", out)
    assert (status, said, len(complaints)) == (2, "", 1)
    assert message in complaints[0]
    assert list(tmp_path.iterdir()) == []


VARIANTS = {
    "synthvid-single-md-attention": 1,
    "synthvid-single-md-average": 1,
    "synthvid-single-ms-average": 4,
    "synthvid-single-non-local": 4,
    "synthvid-single-non-local-top-k": 4,
    "synthvid-selsa-troi": 4,
    "synthvid-fgfa": 1,
    "synthvid-single": 4,  # training-free
}
"""By the name of its recipe how many places of a support frame a variant shows."""


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_a_picture_and_a_page(tmp_path, capsys, name):
    size = {"shorter": HEIGHT * 4 // 3, "longer": WIDTH * 4 // 3}  # whole cells, without padding
    model = save_tiny_model(tmp_path / "tiny.safetensors", name=name, **size)
    words = ["explain", video(tmp_path / "a.mp4"), "--model", model, "--frame", "2"]
    words += ["--score", "0.02", "--support", "3", "--device", "cpu", "--json"]
    if name == "synthvid-single":
        words += ["--temporal", "training-free"]
    out = tmp_path / "why.png"
    status, said, complaints = trovid_command(capsys, *words, "--out", out)
    assert (status, complaints) == (0, [])
    record = json.loads(said)
    support = record["support"]
    assert [entry["frame"] for entry in support] == [0, 4]
    assert record["weight"] + sum(entry["weight"] for entry in support) == pytest.approx(1)
    assert all(-1.001 <= entry["cosine"] <= 1.001 for entry in support)
    if name == "synthvid-fgfa":
        (x1, y1, x2, y2), (x, y) = record["cell"], support[0]["point"]
        assert support[1]["point"] == [x, y]
        assert abs((x1 + x2) / 2 - x) + abs((y1 + y2) / 2 - y) < 12  # a cell, its stride of 16
    with Image.open(out) as picture:
        assert min(picture.size) > 400
    page = out.with_suffix(".html").read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page, re.DOTALL)[1])
    points = np.array([detection["points"] for detection in data["detections"]])
    assert points.shape == (len(points), 2, VARIANTS[name], *data["grid"], 2)
    assert points.min() >= 0
    assert (points.max((0, 1, 2, 3, 4)) <= data["size"]).all()
    assert len(data["notes"]) == ("non-local" in name)  # the residual
    weights = np.array([detection["weights"] for detection in data["detections"]])
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-3)


def test_a_video_of_one_frame(tmp_path, capsys):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, height=72, width=96, frame_rate=5) as writer:
        writer.write(images(1)[0])
    assert len(open_video(path)) == 1
    words = ["--box", "0,0,50,50", "--out", tmp_path / "a.png"]
    status, _, complaints = trovid_command(capsys, "explain", path, *words)
    assert status == 2
    assert "or a longer video" in complaints[0]


def test_the_page_opens_on_the_detection_and_the_position_asked_for(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    words = ["explain", video(tmp_path / "a.mp4"), "--model", model, "--frame", "2"]
    words += ["--score", "0.0", "--detection", "2", "--position", "1,4", "--device", "cpu"]
    words += ["--support", "consecutive:2"]
    assert trovid_command(capsys, *words, "--out", tmp_path / "why.png")[0] == 0
    page = (tmp_path / "why.html").read_text()
    data = json.loads(re.search(r'application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert data["start"] == [1, 1, 4]
    (note,) = data["notes"]
    assert "among the support frames shown (2); the detections" in note
    assert note.endswith("were made with as many others (uniform:3).")
    fewer = [*words[:-1], "consecutive:1", "--overwrite"]
    assert trovid_command(capsys, *fewer, "--out", tmp_path / "why.png")[0] == 0
    page = (tmp_path / "why.html").read_text()
    assert "among the support frames shown (1); the detections themselves" in page
    assert "were made with 2 (uniform:3)." in page
