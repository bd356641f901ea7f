"""`trovid blur`: what cannot be had, and what transparency hides, is black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trovid
from tests.cli.runs import HEIGHT, WIDTH, folder, names
from tests.cli.test_blur import blur
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode
from tests.video.test_damaged_files import damaged
from tests.zoo.file_server import Answer, serve
from trovid.redaction import Redaction, redact
from trovid.redaction.redacting import redaction_batch
from trovid.runs.predictions import read_document
from trovid.structures import DetectOptions
from trovid.video.opening import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("blur") / "tiny.safetensors")


@pytest.fixture(scope="module")
def every_class(model) -> str:
    return ",".join(trovid.load(str(model), device="cpu").class_names)


def test_frames_that_cannot_be_decoded_are_black(tmp_path, capsys, model, every_class):
    source = damaged(encode(tmp_path / "a.mkv", num_frames=100))
    words = [
        "--classes",
        every_class,
        "--model",
        model,
        "--max-detections",
        "2",
        "--fill-gaps",
        "0",
    ]
    status, _, complaints = blur(capsys, source, "--out", tmp_path / "out", *words)
    assert status == 1
    (record,) = read_document(tmp_path / "out" / "a.json")["videos"]
    black = [place for place, frame in enumerate(record["frames"]) if frame.get("blank")]
    assert 16 <= len(black) < 80
    assert any(f"{len(black)} frames cannot be decoded for sure" in line for line in complaints)
    assert record["redaction"]["blank_frames"] == len(black)
    assert "cannot be decoded for sure and is black" in (tmp_path / "out" / "a.md").read_text()
    with open_video(tmp_path / "out" / "a.mp4") as reader:
        light = [frame.image.mean() for frame in reader]
    assert [place for place, mean in enumerate(light) if mean < 2] == black


def test_a_bad_image_of_a_folder_is_black_and_the_rest_goes_on(tmp_path, capsys, model):
    source = folder(tmp_path / "frames", count=6)
    path = source / "3.png"
    path.write_bytes(path.read_bytes()[:200])
    words = ["--classes", "star", "--model", model, "--support", "uniform:0", "--score", "0.9"]
    status, _, complaints = blur(capsys, source, "--out", tmp_path / "out", *words)
    assert status == 1
    assert any("1 frames cannot be decoded" in line for line in complaints)
    with open_video(tmp_path / "out" / "frames.mp4") as reader:
        assert [frame.image.mean() < 2 for frame in reader] == [n == 3 for n in range(6)]


@pytest.mark.parametrize("keep_sound", [False, True])
def test_a_file_that_is_gone_before_it_is_covered_is_black_or_not_done(tmp_path, model, keep_sound):
    source = encode(tmp_path / "a.mp4", num_frames=6, sound="aac")
    predictor = trovid.load(str(model), device="cpu")
    asked = []

    def stop() -> bool:
        asked.append(None)
        if len(asked) == 5:
            source.unlink()
        return False

    batch = redaction_batch(
        lambda: predictor,
        out=tmp_path / "out",
        options=DetectOptions(score=0.9, classes=("star",), support="uniform:0"),
        redaction=Redaction(keep_sound=keep_sound),
        stop=stop,
    )
    (result,) = batch.run([str(source)])
    assert any("cannot be opened (No such file" in loss for loss in result.losses)
    if keep_sound:
        assert result.state == "not done"
        assert not list((tmp_path / "out").iterdir())
        return
    assert result.state == "damaged"
    assert any("6 frames cannot be decoded" in loss for loss in result.losses)
    with open_video(tmp_path / "out" / "a.mp4") as reader:
        assert [frame.image.mean() < 2 for frame in reader] == [True] * 6


def test_what_transparency_hides_stays_hidden(tmp_path, model):
    source = folder(tmp_path / "frames", count=2)
    with Image.open(source / "1.png") as image:
        image.putalpha(0)
        image.save(source / "1.png")
    predictor = trovid.load(str(model), device="cpu")
    options = DetectOptions(score=0.9, support="uniform:0")
    redact(source, predictor, classes=["star"], out=tmp_path / "out", options=options)
    with open_video(tmp_path / "out" / "frames.mp4") as reader:
        assert [frame.image.mean() < 2 for frame in reader] == [False, True]


def test_what_transparency_hides_at_an_address_stays_hidden(tmp_path, capsys, model):
    picture = Image.new("RGBA", (WIDTH, HEIGHT), (250, 0, 0, 0))
    picture.save(tmp_path / "a.png")
    with serve() as server:
        server.answers["/a.png"] = [Answer((tmp_path / "a.png").read_bytes())]
        words = [f"{server.address}/a.png", "--classes", "star", "--model", model]
        assert blur(capsys, *words, "--out", tmp_path / "out")[0] == 0
    assert names(tmp_path / "out") == {"a.png", "a.md", "a.json"}
    with Image.open(tmp_path / "out" / "a.png") as covered:
        assert not np.asarray(covered).any()


def test_what_was_black_stays_black_when_it_is_gone_on_from(tmp_path, model):
    """Nobody looked for objects in a picture that could not be read then and can be read now."""
    source = folder(tmp_path / "frames", count=6)
    whole = (source / "1.png").read_bytes()
    (source / "1.png").write_bytes(whole[:200])
    predictor = trovid.load(str(model), device="cpu")

    def run(asked: int, **how):
        times = iter(range(asked))
        batch = redaction_batch(
            lambda: predictor,
            out=tmp_path / "out",
            options=DetectOptions(score=0.9, classes=("star",), support="uniform:0"),
            redaction=Redaction(),
            stop=lambda: next(times, None) is None,
            **how,
        )
        return list(batch.run([str(source)]))

    (result,) = run(5)
    assert result.state == "incomplete"
    (source / "1.png").write_bytes(whole)
    (result,) = run(10**6, resume=True)
    assert result.outcome.complete
    with open_video(tmp_path / "out" / "frames.mp4") as reader:
        assert [frame.image.mean() < 2 for frame in reader] == [n == 1 for n in range(6)]
    (record,) = read_document(tmp_path / "out" / "frames.json")["videos"]
    assert record["redaction"]["blank_frames"] == 1
