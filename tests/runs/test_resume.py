"""Results of an earlier version are gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.runs import run, video
from tests.cli.tiny_model import save_tiny_model
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
