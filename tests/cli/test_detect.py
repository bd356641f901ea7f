"""`trovid detect` on real files: results, names, and what it says of inputs that fail."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image, features

import trovid
from tests.cli.runs import FRAMES, HEIGHT, WIDTH, folder, images, names, run, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode
from trovid.cli.main import main
from trovid.runs.predictions import read_predictions
from trovid.video.opening import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


def test_the_process_writes_video_and_json(tmp_path, model):
    source = video(tmp_path / "street.mp4")
    words = [source, "--out", tmp_path / "out", "--model", model, "--score", "0.2"]
    command = [sys.executable, "-m", "trovid", "detect", *words, "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES}/{FRAMES} frames" in done.stderr
    assert names(tmp_path / "out") == {"street.mp4", "street.json", "street.csv"}
    assert str(tmp_path / "out" / "street.mp4") in done.stdout
    assert str(tmp_path / "out" / "street.json") in done.stdout

    head, found = read_predictions(tmp_path / "out" / "street.json")
    assert head["model"] == "tiny"
    assert head["options"] == {
        "score": 0.2,
        "classes": None,
        "support": "uniform:3",
        "nms": 0.5,
        "class_agnostic_nms": False,
        "max_detections": 100,
        "seq_nms": False,
        "start": 0.0,
        "end": None,
        "stride": 1,
        "online": False,
        "lookahead": 0,
        "precision": "float32",
    }
    assert head["versions"]["torch"] == torch.__version__.partition("+")[0]
    expected = list(trovid.load(model, device="cpu").detect(source, score=0.2))
    assert len(found["street"]) == len(expected) == FRAMES
    total = sum(map(len, expected))
    assert total > 0
    (row,) = (line.split() for line in done.stdout.splitlines() if "street.mp4  " in line)
    assert row[1:3] == [str(FRAMES), str(total)]
    assert row[-1] == "done"
    for ours, theirs in zip(found["street"], expected, strict=True):
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.boxes.numpy() == pytest.approx(theirs.boxes.numpy(), abs=0.05)

    with open_video(tmp_path / "out" / "street.mp4") as drawn, open_video(source) as original:
        measures = drawn.video
        assert (measures.num_frames, measures.frame_rate) == (FRAMES, 12)
        assert (measures.height, measures.width) == (HEIGHT, WIDTH)
        for before, after, detections in zip(original, drawn, expected, strict=True):
            difference = np.abs(before.image.astype(int) - after.image).mean()
            assert difference > 5 if len(detections) else difference < 5


def test_a_folder_of_odd_size(tmp_path, capsys, model):
    source = folder(tmp_path / "frames", count=3, height=63, width=95)
    status, _, complaints = run(
        capsys, model, source, "--out", tmp_path / "out", "--frame-rate", "5"
    )
    assert (status, complaints) == (0, [])
    with open_video(tmp_path / "out" / "frames.mp4") as reader:
        assert (reader.video.height, reader.video.width) == (64, 96)
        assert reader.video.frame_rate == 5
    frames = read_predictions(tmp_path / "out" / "frames.json")[1]["frames"]
    assert [frame.time for frame in frames] == [0, 0.2, 0.4]
    assert frames[0].image_size == (63, 95)


def test_times_of_variable_frame_rate_are_kept(tmp_path, capsys, model):
    times = [0, 0.1, 0.5, 0.6, 1.4]
    source = video(tmp_path / "uneven.mkv", times=times)
    assert run(capsys, model, source, "--out", tmp_path / "out")[0] == 0
    with open_video(tmp_path / "out" / "uneven.mp4") as reader:
        assert [frame.time for frame in reader] == pytest.approx(times, abs=0.002)


@pytest.mark.parametrize(
    ("rotation", "words", "aspect"),
    [(0, [], Fraction(2)), (90, [], Fraction(1, 2)), (0, ["--side-by-side"], None)],
    ids=["plain", "turned", "panels"],
)
def test_pixels_that_are_not_square_stay_so(tmp_path, capsys, model, rotation, words, aspect):
    """A quarter turn makes wide ones tall; several panels are shown as they are."""
    path = encode(tmp_path / "a.mp4", num_frames=2, rotation=rotation, pixel_aspect=Fraction(2))
    assert run(capsys, model, path, "--out", tmp_path / "out", *words)[0] == 0
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect


def test_results_never_replace_an_input_or_each_other(tmp_path, capsys, model):
    sources = [video(tmp_path / "a.mp4"), video(tmp_path / "b" / "a.mp4", count=2)]
    before = sources[0].read_bytes()
    status, out, _ = run(capsys, model, *sources, "--out", tmp_path)
    assert status == 0
    assert sources[0].read_bytes() == before
    assert names(tmp_path) == {
        *("a.mp4", "b", "a-2.mp4", "a-2.json", "a-2.csv", "a-3.mp4", "a-3.json", "a-3.csv")
    }
    lengths = [len(read_predictions(tmp_path / f"a-{k}.json")[1]["a"]) for k in (2, 3)]
    assert lengths == [FRAMES, 2]
    assert [line.strip() for line in out if "a-3" in line] == [
        str(tmp_path / "a-3.mp4"),
        str(tmp_path / "a-3.csv"),
        str(tmp_path / "a-3.json"),
    ]


def test_inputs_that_fail_are_named_and_the_others_done(tmp_path, capsys, model):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "nothing").mkdir()
    uneven = folder(tmp_path / "uneven", count=3)
    Image.new("RGB", (8, 8)).save(uneven / "1.png")
    wrong = ["absent.mp4", "empty.mp4", "notes.txt", "nothing", "uneven"]
    good = video(tmp_path / "good.mp4")
    sources = [*(tmp_path / name for name in wrong), good]
    out = tmp_path / "out"
    status, _, complaints = run(capsys, model, *sources, "--out", out, "--no-video")
    assert status == 1
    assert len(complaints) == len(wrong)
    for name, line in zip(wrong, complaints, strict=True):
        assert str(tmp_path / name) in line
        assert ";" in line
    assert names(out) == {"good.json", "good.csv"}


def test_a_file_cut_off_is_done_as_far_as_it_goes_and_said(tmp_path, capsys, model):
    source = video(tmp_path / "cut.mkv", count=30)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    status, _, complaints = run(capsys, model, source, "--out", tmp_path / "out")
    assert status == 1
    assert len(complaints) >= 1
    assert all(str(source) in line for line in complaints)
    frames = read_predictions(tmp_path / "out" / "cut.json")[1]["cut"]
    assert 5 < len(frames) < 30
    with open_video(tmp_path / "out" / "cut.mp4") as reader:
        assert len(reader) == len(frames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.mp4"], "absent.mp4: no such file"),
        ([], "name at least one video"),
        ([""], "an empty name names no video"),
        (["VIDEO", "--score", "50"], "--score must lie in 0..1, but is 50.0"),
        (["VIDEO", "--support", "all"], "support frames 'all' are not understood"),
        (["VIDEO", "--model", "absent"], "no model 'absent'"),
        (["VIDEO", "--out", "FILE/out"], "cannot be made"),
        (["VIDEO", "--frame-rate", "0"], "--frame-rate must lie in"),
    ],
)
def test_nothing_done_is_one_line_and_status_2(
    tmp_path, capsys, monkeypatch, model, words, message
):
    monkeypatch.chdir(tmp_path)
    source = video(tmp_path / "a.mp4")
    (tmp_path / "file").touch()
    places = {"VIDEO": str(source), "FILE/out": "file/out"}
    words = [places.get(word, word) for word in words]
    options = [] if "--model" in words else ["--model", model]
    with pytest.raises(SystemExit) as exited:
        main(["detect", *words, *options])
    assert exited.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert names(tmp_path) == {"a.mp4", "file"}


def test_a_model_is_run_training_free(tmp_path, capsys, model):
    source = video(tmp_path / "street.mp4")
    found = {}
    for name, words in (("own", []), ("free", ["--temporal", "training-free"])):
        status, _, complaints = run(
            capsys, model, source, "--out", tmp_path / name, "--no-video", *words
        )
        assert (status, complaints) == (0, [])
        head, frames = read_predictions(tmp_path / name / "street.json")
        found[head["model"]] = [frame.scores.tolist() for frame in frames["street"]]
    assert list(found) == ["tiny", "tiny (training-free)"]
    assert found["tiny"] != found["tiny (training-free)"]


def test_pictures_folders_and_videos_in_one_folder(tmp_path, capsys, model):
    video(tmp_path / "in" / "clip.mp4", count=2)
    folder(tmp_path / "in" / "walk", count=2)
    (tmp_path / "in" / "MOT17-02").mkdir()
    folder(tmp_path / "in" / "MOT17-02" / "img1", count=3)
    picture = tmp_path / "dog.png"
    Image.fromarray(images(1)[0]).save(picture)
    out = tmp_path / "out"
    words = [tmp_path / "in", picture, "--out", out, "--sheet", "--no-csv"]
    status, lines, complaints = run(capsys, model, *words)
    assert (status, complaints) == (0, [])
    moving = {f"{name}.{end}" for name in ("clip", "walk", "MOT17-02") for end in ("mp4", "png")}
    assert names(out) == moving | {"dog.png"} | {
        f"{name}.json" for name in ("clip", "walk", "MOT17-02", "dog")
    }
    assert any("MOT17-02" in line for line in lines)
    with Image.open(out / "dog.png") as drawn:
        assert drawn.size == (images(1).shape[2], images(1).shape[1])
        assert not np.array_equal(np.asarray(drawn), images(1)[0])
    found = read_predictions(out / "MOT17-02.json")[1]
    assert list(found) == ["MOT17-02"]
    assert [d.time for d in found["MOT17-02"]] == [0, 0.04, 0.08]


@pytest.mark.parametrize("name", ["dog.jfif", "dog.avif"])
def test_a_picture_by_a_rarer_ending(tmp_path, capsys, model, name):
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    Image.fromarray(images(1)[0]).save(tmp_path / name)
    out = tmp_path / "out"
    status, _, complaints = run(capsys, model, tmp_path / name, "--out", out, "--no-csv")
    assert (status, complaints) == (0, [])
    assert names(out) == {"dog.png", "dog.json"}
