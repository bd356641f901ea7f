"""Results of an earlier version are gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import trovid_command
from tests.cli.runs import folder as images_folder
from tests.cli.runs import run, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode, numbered
from trovid.inference import load
from trovid.runs.predictions import read_document
from trovid.runs.provenance import results_head

EARLIER = Path(__file__).parent / "data" / "interrupted-919e246.json"
OPTIONS = {"score": 0.6, "classes": ("flag", "cup"), "nms": 0.4, "class_agnostic_nms": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def test_the_head_is_that_of_commit_919e246(model):
    earlier = json.loads(EARLIER.read_text())["head"]
    predictor = load(model, device="cpu")
    head = results_head(predictor, predictor.options(**OPTIONS))
    assert head["options"] == earlier["options"]
    assert (head["model"], head["class_names"]) == (earlier["model"], earlier["class_names"])


def test_a_run_that_commit_919e246_began_is_gone_on_from(tmp_path, capsys, model):
    predictor = load(model, device="cpu")
    source, out = video(tmp_path / "a.mp4"), tmp_path / "out"
    earlier = json.loads(EARLIER.read_text())
    earlier["head"]["weights"] = results_head(predictor, predictor.options())["weights"]
    out.mkdir()
    (out / "a.json").write_text(json.dumps(earlier))
    words = [source, "--out", out, "--no-video", "--no-csv", "--resume"]
    words += ["--nms", "0.4", "--class-agnostic-nms"]
    status, _, complaints = run(capsys, str(model), *words, "--classes", "flag")
    assert status == 2
    assert "`" not in complaints[0]
    assert "--score was 0.6 and is 0.2" in complaints[0] or "--classes was" in complaints[0]
    status, _, complaints = run(
        capsys, str(model), *words, "--classes", "flag, cup", score=OPTIONS["score"]
    )
    assert (status, complaints) == (0, [])
    (record,) = read_document(out / "a.json")["videos"]
    assert record["complete"]
    assert [frame["index"] for frame in record["frames"]] == [0, 1, 2, 3, 4]
    assert record["frames"][:2] == earlier["videos"][0]["frames"]
    assert any(frame["detections"] for frame in record["frames"][2:])


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("command", ["detect", "blur"])
def test_another_video_of_the_same_measures_is_not_gone_on_with(
    tmp_path, capsys, model, command, kind
):
    source = (
        images_folder(tmp_path / "a", count=3) if kind == "folder" else video(tmp_path / "a.mp4")
    )
    words = [command, source, "--model", model, "--out", tmp_path / "out", "--device", "cpu"]
    if command == "blur":
        words += ["--classes", "cup"]
    assert trovid_command(capsys, *words)[0] == 0
    result = tmp_path / "out" / "a.json"
    document = json.loads(result.read_text())
    document["videos"][0]["complete"] = False
    del document["videos"][0]["frames"][2:]
    result.write_text(json.dumps(document))
    before = result.read_bytes()
    if kind == "folder":
        picture = source / "2.png"
        Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
    else:
        encode(source, num_frames=5, height=72, width=96, picture=lambda i: numbered(i, 72, 96))
        seen = {**document["videos"][0], "frame_rate": 25.0}
        result.write_text(json.dumps({**document, "videos": [seen]}))
        before = result.read_bytes()
    status, _, complaints = trovid_command(capsys, *words, "--resume")
    assert status == 2
    assert "the video is another one of the same length and size" in complaints[-1]
    assert result.read_bytes() == before
