"""`trovid detect`: every kind of result, parts of a video, what is kept and gone on from."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.runs import FRAMES, folder, names, run, video
from tests.cli.tiny_model import save_tiny_model
from tests.programs import COMMAND, Program, start_program
from tests.runs.batches import note_batches
from trovid.datasets.synthvid import write_split
from trovid.runs.predictions import read_document, read_predictions
from trovid.video.opening import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


def pixels(path: Path) -> list[np.ndarray]:
    return [frame.image for frame in open_video(path)]


def found_in(path: Path) -> list:
    ((_, frames),) = read_predictions(path)[1].items()
    return frames


def test_json_csv_and_coco_say_the_same(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    out = tmp_path / "out"
    status, _, complaints = run(capsys, model, source, "--out", out, "--coco", "--sheet")
    assert (status, complaints) == (0, [])
    assert names(out) == {"a.mp4", "a.json", "a.csv", "a.coco.json", "a.png"}
    head, _ = read_predictions(out / "a.json")
    rows = [
        (d.frame_index, d.time, name, score, box)
        for d in found_in(out / "a.json")
        for name, score, box in zip(d.names, d.scores.tolist(), d.boxes.tolist(), strict=True)
    ]
    assert len(rows) > FRAMES
    table = list(csv.DictReader((out / "a.csv").open(newline="")))
    results = json.loads((out / "a.coco.json").read_text())
    assert len(table) == len(results) == len(rows)
    for (frame, at, name, score, box), line, result in zip(rows, table, results, strict=True):
        assert (int(line["frame"]), line["class"]) == (frame, name)
        assert float(line["time"]) == pytest.approx(at, abs=1e-6)
        assert float(line["score"]) == pytest.approx(score, abs=1e-6)
        assert [float(line[key]) for key in ("x1", "y1", "x2", "y2")] == pytest.approx(box)
        assert result["image_id"] == frame
        assert head["class_names"][result["category_id"] - 1] == name
        x, y, width, height = result["bbox"]
        assert [x, y, x + width, y + height] == pytest.approx(box, abs=0.01)
    with Image.open(out / "a.png") as sheet:
        assert sheet.width > 4 * 96


def test_ground_truth_and_another_run_beside_this_one(tmp_path, capsys, model):
    out = tmp_path / "clips"
    labels = write_split(out, split="test", videos=1, workers=1)
    (clip,) = (out / "test").iterdir()
    words = ["--end", "0.3", "--sheet"]
    assert run(capsys, model, clip, "--out", tmp_path / "first", *words)[0] == 0
    other = tmp_path / "first" / f"{clip.stem}.json"
    more = ["--side-by-side", "--labels", labels, "--beside", other, "--beside", other]
    status, _, complaints = run(capsys, model, clip, "--out", tmp_path / "all", *words, *more)
    assert (status, complaints) == (0, [])
    plain, drawn = (pixels(tmp_path / name / f"{clip.stem}.mp4") for name in ("first", "all"))
    assert len(plain) == len(drawn) == 4
    assert drawn[0].shape[0] > 2 * 256
    assert drawn[0].shape[1] > 2 * 256
    sheets = [(tmp_path / name / f"{clip.stem}.png").read_bytes() for name in ("first", "all")]
    assert sheets[0] != sheets[1]
    assert (tmp_path / "all" / f"{clip.stem}.csv").read_bytes() == (
        tmp_path / "first" / f"{clip.stem}.csv"
    ).read_bytes()
    endless = json.loads(labels.read_text())
    endless["videos"][0]["num_frames"] = 10**7
    (out / "endless.json").write_text(json.dumps(endless))
    words = ["--out", tmp_path / "no", "--labels", out / "endless.json"]
    status, _, complaints = run(capsys, model, clip, *words)
    assert (status, len(complaints)) == (2, 1)
    assert "frames, but its labels say 10000000: correct the labels" in complaints[0]
    absent = ["--labels", tmp_path / "absent.json"]
    status, _, complaints = run(capsys, model, clip, "--out", tmp_path / "no", *absent)
    assert (status, len(complaints)) == (2, 1)
    assert "absent.json: cannot be read" in complaints[0]


def test_labels_of_every_split_are_drawn_and_what_lacks_a_video_is_said(tmp_path, capsys, model):
    sources = [video(tmp_path / f"{name}.mp4", count=2) for name in "ab"]
    objects = [{"class": "cup", "box": [5, 5, 60, 60]}]
    videos = {"a.mp4": {"0": objects, "1": objects}, "cam.mp4": {"0": []}}
    video(tmp_path / "cam.mp4", count=2)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"videos": videos, "val": ["cam.mp4"]}))
    words = ["--sheet"]
    assert run(capsys, model, *sources, "--out", tmp_path / "plain", *words)[0] == 0
    more = ["--labels", labels, "--beside", tmp_path / "plain/a.json"]
    status, _, complaints = run(capsys, model, *sources, "--out", tmp_path / "out", *words, *more)
    assert status == 0
    assert complaints == [
        f"trovid: {sources[1]}: is not among the videos of --labels: none are drawn",
        f"trovid: {sources[1]}: is not in the --beside of tiny: its panel stays empty",
    ]
    plain, drawn = ((tmp_path / name / "a.png").read_bytes() for name in ("plain", "out"))
    assert plain != drawn


def test_classes_keep_only_those_named(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    run(capsys, model, source, "--out", tmp_path / "all", "--no-video")
    every = {name for d in found_in(tmp_path / "all" / "a.json") for name in d.names}
    assert len(every) > 1
    chosen = sorted(every)[0]
    run(capsys, model, source, "--out", tmp_path / "one", "--classes", f"{chosen}, cup")
    found = found_in(tmp_path / "one" / "a.json")
    assert {name for d in found for name in d.names} <= {chosen, "cup"}
    assert any(len(d) for d in found)
    status, _, complaints = run(
        capsys, model, source, "--out", tmp_path / "no", "--classes", "umbrela"
    )
    assert status == 2
    assert complaints == ["trovid: tiny knows no class 'umbrela'; did you mean 'umbrella'?"]


def test_a_part_has_the_boxes_of_the_whole(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4", count=24)
    run(capsys, model, source, "--out", tmp_path / "whole", "--no-video")
    words = ["--start", "0:00.5", "--end", "1.5", "--stride", "3"]
    run(capsys, model, source, "--out", tmp_path / "part", *words)
    whole, part = (found_in(tmp_path / name / "a.json") for name in ("whole", "part"))
    assert [d.frame_index for d in part] == [6, 9, 12, 15]
    for d in part:
        assert d.time == whole[d.frame_index].time == pytest.approx(d.frame_index / 12)
        assert d.boxes.tolist() == whole[d.frame_index].boxes.tolist()
    drawn = list(open_video(tmp_path / "part" / "a.mp4"))
    assert [frame.time for frame in drawn] == pytest.approx([0, 0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "9"], "no frame lies in the time asked for, the last one is at 0.33 s"),
        (["--start", "soon"], "the time 'soon' is not understood"),
        (["--start", "2", "--end", "1"], "--end must lie after --start"),
        (["--stride", "0"], "--stride must be at least 1"),
        (["--lookahead", "3"], "--lookahead belongs to --online"),
        (["--online", "--lookahead", "-1"], "--lookahead must not be negative"),
        (["--overwrite", "--resume"], "give one of them"),
        (["--socre", "1"], "Did you mean --score?"),
        (["--no-video", "--timeline"], "--timeline is drawn into the video, of a source that ends"),
        (["--no-video", "--sheet", "--side-by-side"], "--side-by-side is drawn into pictures"),
        (["--no-video", "--no-labels"], "--no-labels is drawn into pictures, and none is written"),
        (["--no-video", "--label-size", "20"], "--label-size is drawn into pictures"),
        (["--no-labels", "--label-size", "20"], "which --no-labels leaves out: give one of them"),
    ],
)
def test_wrong_options_are_said(tmp_path, capsys, model, words, message):
    source = video(tmp_path / "a.mp4")
    status, _, complaints = run(capsys, model, source, "--out", tmp_path / "out", *words)
    assert status == 2
    assert len(complaints) == 1
    assert message in complaints[0]
    assert not (tmp_path / "out" / "a.json").exists()


def test_what_some_sources_cannot_show_is_said(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    frames = folder(tmp_path / "frames")
    pictures = [frames / f"{index}.png" for index in range(2)]
    words = ["--out", tmp_path / "out", "--timeline"]
    status, _, complaints = run(capsys, model, source, *pictures, *words)
    assert status == 0
    assert complaints == [f"trovid: {pictures[0]} (and 1 more): no file of it shows --timeline"]
    status, _, complaints = run(capsys, model, *pictures, *words, "--overwrite")
    assert status == 2
    assert "--timeline is drawn into the video" in complaints[0]


def test_results_are_not_overwritten_unasked(tmp_path, capsys, model):
    sources = [video(tmp_path / "a.mp4"), video(tmp_path / "b.mp4", count=2)]
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").write_text("mine")
    status, _, complaints = run(capsys, model, *sources, "--out", out)
    assert status == 1
    assert complaints == [
        f"trovid: {out / 'a.csv'}: exists; give --overwrite, --resume or another --out"
    ]
    assert (out / "a.csv").read_text() == "mine"
    assert names(out) == {"a.csv", "b.mp4", "b.json", "b.csv"}
    assert run(capsys, model, *sources, "--out", out)[0] == 2
    status, _, complaints = run(capsys, model, sources[0], "--out", out, "--resume")
    assert status == 2
    assert "cannot be resumed without a.json" in complaints[0]
    assert (out / "a.csv").read_text() == "mine"
    assert run(capsys, model, *sources, "--out", out, "--overwrite")[0] == 0
    assert (out / "a.csv").read_text().startswith("frame,time,class")


def test_globs_folders_of_videos_and_of_images(tmp_path, capsys, model, monkeypatch):
    for name in ("clip10.mp4", "clip2.mp4"):
        video(tmp_path / "clips" / name, count=2)
    folder(tmp_path / "frames", count=2)
    monkeypatch.chdir(tmp_path)
    words = ["clips/*.mp4", "frames", "none*.mp4", "--out", "out", "--no-video", "--json"]
    status, out, complaints = run(capsys, model, *words)
    assert status == 1
    assert complaints == ["trovid: none*.mp4: no file or folder fits this pattern; check it"]
    summary = json.loads("\n".join(out))
    assert [v["source"] for v in summary["videos"]] == [
        "none*.mp4",
        "clips/clip2.mp4",
        "clips/clip10.mp4",
        "frames",
    ]
    assert run(capsys, model, "clips", "--out", "all", "--no-video")[0] == 0
    assert names(tmp_path / "all") == {
        *("clip2.json", "clip2.csv", "clip10.json", "clip10.csv"),
    }


def test_json_and_quiet(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    status, out, _ = run(capsys, model, source, "--out", tmp_path / "out", "--json")
    summary = json.loads("\n".join(out))
    assert (status, summary["status"]) == (0, 0)
    (record,) = summary["videos"]
    assert (record["frames"], record["state"], record["losses"]) == (FRAMES, "done", [])
    assert all(Path(file).exists() for file in record["files"].values())
    assert run(capsys, model, source, "--out", tmp_path / "quiet", "--quiet") == (0, [], [])


def start(source: Path, out: Path, model: str, *words: str) -> Program:
    options = ["--model", model, "--score", "0.2", "--device", "cpu", *words]
    return start_program(COMMAND, ["detect", source, "--out", out, *options])


def wait_for_partial(out: Path, process: Program, *, size: int) -> None:
    """Until some frames are on their way to the JSON file."""
    for _ in range(1200):
        partial = list(out.glob(".*.partial.csv")) if out.exists() else []
        if partial and partial[0].stat().st_size > size:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    pytest.fail("nothing was written")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, capsys, model, number):
    source = video(tmp_path / "a.mp4", count=70)
    rest = video(tmp_path / "b.mp4", count=2)
    words = ["--coco", "--timeline", "--support", "consecutive:2"]
    out = tmp_path / "out"
    process = start(source, out, model, str(rest), *words)
    wait_for_partial(out, process, size=1500)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert f"{source}: stopped after" in stderr
    assert f"{rest}: interrupted before it began" in stderr
    assert "incomplete" in stdout
    assert names(out) == {"a.mp4", "a.json", "a.csv", "a.coco.json"}
    done = found_in(out / "a.json")
    assert 0 < len(done) < 70
    assert read_document(out / "a.json")["videos"][0]["complete"] is False
    assert len(pixels(out / "a.mp4")) == len(done)
    json.loads((out / "a.coco.json").read_text())

    status, _, complaints = run(capsys, model, source, rest, "--out", out, *words, "--resume")
    assert (status, complaints) == (0, [])
    assert run(capsys, model, source, rest, "--out", tmp_path / "straight", *words)[0] == 0
    assert names(out) == names(tmp_path / "straight")
    for name in ("a.json", "a.csv", "a.coco.json", "b.json"):
        assert (out / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
    for resumed, straight in zip(
        pixels(out / "a.mp4"), pixels(tmp_path / "straight" / "a.mp4"), strict=True
    ):
        np.testing.assert_array_equal(resumed, straight)

    status, lines, _ = run(capsys, model, source, rest, "--out", out, *words, "--resume")
    assert status == 0
    assert sum("done before" in line for line in lines) == 2


@pytest.mark.parametrize("options", [[], ["--seq-nms"], ["--track", "--batch", "2"]])
def test_resume_makes_files_that_are_missing(tmp_path, capsys, model, options, monkeypatch):
    """Without detecting again, as far as sequences do not need all candidates."""
    sources = [video(tmp_path / f"{name}.mp4") for name in "ab"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(capsys, model, *sources, "--out", whole, "--coco", *options)[0] == 0
    assert run(capsys, model, *sources, "--out", out, "--no-video", *options)[0] == 0
    (out / "a.csv").unlink()
    looked_at = note_batches(monkeypatch)
    words = [*sources, "--out", out, "--coco", "--resume", "--json", *options]
    status, lines, complaints = run(capsys, model, *words)
    assert (status, complaints) == (0, [])
    assert bool(looked_at) == ("--seq-nms" in options)
    for record in json.loads("\n".join(lines))["videos"]:
        assert record["state"] == "done"
        assert all(Path(file).exists() for file in record["files"].values())
    assert names(out) == names(whole)
    for name in names(whole):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    _, lines, _ = run(capsys, model, *words)
    states = [record["state"] for record in json.loads("\n".join(lines))["videos"]]
    assert states == ["done before"] * 2


def test_resume_refuses_other_options_model_and_video(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    out = tmp_path / "out"
    assert run(capsys, model, source, "--out", out)[0] == 0
    before = (out / "a.json").read_bytes()

    def complaint(*words: str) -> str:
        status, _, complaints = run(capsys, model, source, "--out", out, "--resume", *words)
        assert status == 2
        assert (out / "a.json").read_bytes() == before
        return complaints[0]

    assert "--stride was 1 and is 2" in complaint("--stride", "2")
    assert "--support was uniform:3 and is uniform:2" in complaint("--support", "uniform:2")
    video(source, count=3)
    assert "the video's num_frames was 5 and is 3" in complaint()
    os.truncate(out / "a.json", 200)
    before = (out / "a.json").read_bytes()
    assert "is not JSON" in complaint()


def test_the_second_signal_stops_at_once_and_leaves_nothing(tmp_path, model):
    source = video(tmp_path / "a.mp4", count=150)
    out = tmp_path / "out"
    process = start(source, out, model)
    wait_for_partial(out, process, size=500)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=300)
    assert "Traceback" not in stderr
    assert process.returncode in (1, 130)
    if process.returncode == 130:
        assert names(out) == set()


def test_a_bad_image_in_the_middle_keeps_what_was_done(tmp_path, capsys, model):
    source = folder(tmp_path / "frames", count=6)
    whole = (source / "4.png").read_bytes()
    (source / "4.png").write_bytes(whole[:200])
    words = [source, "--out", tmp_path / "out", "--support", "uniform:0"]
    status, _, complaints = run(capsys, model, *words)
    assert status == 1
    assert "4.png: not a readable image" in complaints[0]
    assert "stopped after 4 frames" in complaints[1]
    assert len(found_in(tmp_path / "out" / "frames.json")) == 4
    (source / "4.png").write_bytes(whole)
    assert run(capsys, model, *words, "--resume")[0] == 0
    assert len(found_in(tmp_path / "out" / "frames.json")) == 6
    assert len(pixels(tmp_path / "out" / "frames.mp4")) == 6
