"""Real videos and a folder of real frames go through `trovid detect` from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import shared
from tests.cli.tiny_model import save_tiny_model
from trovid.cli.main import main
from trovid.inference.loading import load
from trovid.runs.predictions import read_predictions
from trovid.video.opening import open_video

SHARED = shared.SHARED / "data"
SOURCES = (
    "videos/01_dog.mp4",
    "videos/02_cups.mp4",
    "videos/bottle-detection.mp4",
    "videos/car-detection.mp4",
    "videos/one-by-one-person-detection.mp4",
    "vid_clip/ILSVRC2015_val_00007010",
)
FIRST = 3


def existing(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def test_every_shared_video_is_listed():
    if not SHARED.exists():
        pytest.skip("no shared data beside this checkout")
    found = {
        f"{folder}/{path.name}"
        for folder in ("videos", "vid_clip")
        for path in (SHARED / folder).iterdir()
        if path.is_dir() or path.suffix == ".mp4"
    }
    assert found == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_first_frames(name, model):
    source = existing(name)
    with open_video(source) as reader:
        size = (reader.video.height, reader.video.width)
        found = list(load(model, device="cpu").detect(reader, score=0.5, frames=range(FIRST)))
    assert [detections.frame_index for detections in found] == list(range(FIRST))
    assert all(detections.image_size == size for detections in found)
    assert sum(map(len, found)) > 0
    for detections in found:
        x1, y1, x2, y2 = detections.boxes.unbind(1)
        assert ((x1 >= 0) & (x1 <= x2) & (x2 <= size[1])).all()
        assert ((y1 >= 0) & (y1 <= y2) & (y2 <= size[0])).all()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SOURCES)
def test_whole(name, model, tmp_path):
    source = existing(name)
    words = [source, "--out", tmp_path, "--model", model, "--score", "0.9", "--device", "cpu"]
    with pytest.raises(SystemExit) as exited:
        main(["detect", *map(str, words)])
    assert exited.value.code == 0
    with open_video(source) as reader:
        measures = reader.video
    ((name, frames),) = read_predictions(tmp_path / f"{source.stem}.json")[1].items()
    assert name == measures.name
    assert [d.frame_index for d in frames] == list(range(measures.num_frames))
    with open_video(tmp_path / f"{source.stem}.mp4") as reader:
        drawn = reader.video
        assert reader.problems == []
    even = [side + side % 2 for side in (measures.height, measures.width)]
    assert [drawn.height, drawn.width] == even
    assert drawn.num_frames == measures.num_frames
    if measures.frame_rate:
        assert drawn.frame_rate == pytest.approx(measures.frame_rate, rel=0.01)
