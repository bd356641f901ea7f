"""The demo on a video of one's own, and the page of everyday things."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.cli.runs import FRAMES, images, names, video
from tests.cli.tiny_model import save_tiny_model
from trovid.cli import demo as command
from trovid.cli.main import main
from trovid.experiments import photographs
from trovid.runs.predictions import read_predictions
from trovid.video import open_video


def demo(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exited:
        main(["demo", *map(str, words)])
    said = capsys.readouterr()
    return exited.value.code, said.out, said.err


def test_a_video_of_ones_own_side_by_side_with_a_timeline(tmp_path, capsys):
    temporal = save_tiny_model(tmp_path / "temporal.safetensors")
    single = save_tiny_model(tmp_path / "single.safetensors", name="synthvid-single")
    clip, out = video(tmp_path / "my.mp4"), tmp_path / "demo"
    words = [out, "--video", clip, "--model", temporal]
    status, said, _ = demo(capsys, *words, "--single", single, "--json")
    assert status == 0
    record = json.loads(said)
    assert record["video"] == str(out / "my.mp4")
    assert record["temporal"] == str(out / "my.json")
    assert record["single"] == str(out / "single-frame" / "my.json")
    assert names(out) == {"my.mp4", "my.json", "single-frame"}
    assert names(out / "single-frame") == {"my.json"}
    drawn = open_video(out / "my.mp4").video
    assert drawn.num_frames == record["frames"] == FRAMES
    assert drawn.width > 2 * 96
    assert drawn.height > 72 + 36  # titles above, timeline below
    for path, model, count in (
        (out / "my.json", "temporal", record["detections"]["temporal"]),
        (out / "single-frame" / "my.json", "single", record["detections"]["single"]),
    ):
        head, videos = read_predictions(path)
        assert head["model"] == model
        assert sum(map(len, videos["my"])) == count > 0
    status, said, _ = demo(capsys, *words)
    assert status == 0
    assert f"Look at {out / 'my.mp4'}" in said
    head, _ = read_predictions(out / "single-frame" / "my.json")
    assert (head["model"], head["options"]["support"]) == ("temporal", "uniform:0")


def test_a_model_of_single_frames_is_compared_with_itself_among_the_other_frames(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "alone.safetensors", name="synthvid-single")
    out = tmp_path / "out"
    words = ["--video", video(tmp_path / "my.mp4", count=3), "--model", model]
    status, _, said = demo(capsys, out, *words)
    assert status == 0
    assert "alone knows single frames alone" in said
    both, left = (read_predictions(out / name) for name in ("my.json", "single-frame/my.json"))
    assert (left[0]["model"], left[0]["options"]["support"]) == ("alone", "uniform:0")
    assert both[0]["model"] == "alone (training-free)"
    assert both[0]["options"]["support"] != "uniform:0"
    found = [[d.scores.tolist() for d in videos["my"]] for _, videos in (both, left)]
    assert found[0] != found[1]


def test_only_what_an_earlier_demo_wrote_is_replaced(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    words = ["--video", video(tmp_path / "my.mp4", count=1), "--model", model]
    out = tmp_path / "out"
    other = video(out / "my.mp4", count=2)
    kept = other.read_bytes()
    for notes in (None, '{"head": "notes of mine"}'):
        if notes is not None:
            (out / "my.json").write_text(notes)
        status, _, said = demo(capsys, out, *words)
        assert (status, f"{other}: exists, and no earlier demo has left it" in said) == (2, True)
    assert other.read_bytes() == kept
    assert names(out) == {"my.mp4", "my.json"}
    for file in (other, out / "my.json"):
        file.unlink()
    assert [demo(capsys, out, *words)[0] for _ in range(2)] == [0, 0]
    assert names(out) == {"my.mp4", "my.json", "single-frame"}
    beside = ["--video", other, "--model", model]  # the source itself lies there
    kept = other.read_bytes()
    assert demo(capsys, out, *beside)[0] == 0
    assert other.read_bytes() == kept
    assert (out / "my-2.mp4").is_file()


def test_a_single_picture_is_shown_without_a_timeline(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    picture, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(images(1)[0]).save(picture)
    status, said, _ = demo(capsys, out, "--video", picture, "--model", model)
    assert (status, f"Look at {out / 'a.png'}" in said) == (0, True)
    assert names(out) == {"a.png", "a.json", "single-frame"}


def test_what_is_no_single_video_is_said(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    status, _, said = demo(capsys, tmp_path / "out", "--video", tmp_path / "none.mp4")
    assert (status, "no such file" in said) == (2, True)
    video(tmp_path / "in" / "a.mp4", count=1), video(tmp_path / "in" / "b.mp4", count=1)
    words = [tmp_path / "out", "--video", tmp_path / "in", "--model", model]
    assert "holds several videos; name one" in demo(capsys, *words)[2]
    assert not (tmp_path / "out").exists()
    assert "belong to --video" in demo(capsys, tmp_path / "out", "--model", model)[2]
    words = [tmp_path / "out", "--video", tmp_path / "in" / "a.mp4", "--clips"]
    for clips in ("40", "24"):
        assert "--clips belongs to the built-in clips" in demo(capsys, *words, clips)[2]


@pytest.fixture
def pictures(tmp_path):
    """Pictures where scikit-image has its photographs."""
    place = tmp_path / "skimage" / "data"
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sizes = ((128, 128), (90, 120), (200, 150))
    for name, size in zip(photographs.PHOTOGRAPHS, sizes, strict=True):
        coarse = rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
        picture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
        Image.fromarray(picture).save(place / name)
    return place


def test_the_page_of_everyday_things(tmp_path, pictures):
    options = {"show_progress": False, "photographs": pictures, "frames": 3}
    assert command.everyday_page(tmp_path / "page", models=("absent",) * 2, **options) is None
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    page = command.everyday_page(tmp_path / "page", models=(model, model), **options)
    text = page.read_text()
    for name in ("astronaut", "chelsea", "motorcycle_left"):
        assert f"src='{name}.mp4'" in text
        assert open_video(page.parent / f"{name}.mp4").video.num_frames == 3
    assert "http" not in text


def test_without_the_photographs_a_line_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command.everyday_page(tmp_path / "page", show_progress=False) is None
    assert "pip install scikit-image" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_a_clip_pans_over_the_whole_photograph_and_is_deteriorated_in_between():
    rows = np.linspace(60, 200, 300).astype(np.uint8)
    photograph = Image.fromarray(np.tile(rows[:, None, None], (1, 400, 3)))
    frames = list(photographs.pan(photograph))
    assert len(frames) == photographs.FRAMES
    assert {frame.shape for frame in frames} == {(photographs.HEIGHT, photographs.WIDTH, 3)}
    means = [float(frame.mean()) for frame in frames]
    dark = means[photographs.DARK.start]
    assert dark < 0.4 * means[photographs.DARK.start - 1]
    again = list(photographs.pan(photograph))
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))


def test_scikit_image_carries_them():
    pytest.importorskip("skimage", reason="the extra `demo` is not installed")
    assert photographs.photographs_folder().is_dir()
