"""`trovid detect --batch`: several videos at once, with the results of one after another."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cli.runs import HEIGHT, folder, names, run, video
from tests.cli.tiny_model import save_tiny_model
from tests.programs import COMMAND, start_program
from tests.runs.batches import note_batches
from trovid.cli.main import main
from trovid.errors import TrovidError
from trovid.runs.predictions import read_document, read_predictions
from trovid.runs.sinks.csv import CsvSink


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


def assert_same_results(path: Path, wanted: Path):
    (head, found), (other, expected) = read_predictions(path), read_predictions(wanted)
    assert head == other
    assert list(found) == list(expected)
    for name, frames in expected.items():
        assert len(found[name]) == len(frames)
        for one, same in zip(found[name], frames, strict=True):
            assert one.frame_index == same.frame_index
            assert one.labels.tolist() == same.labels.tolist()
            assert one.boxes.numpy() == pytest.approx(same.boxes.numpy(), abs=0.011)
            assert one.scores.numpy() == pytest.approx(same.scores.numpy(), abs=1e-4)


def test_the_results_are_those_of_one_after_another(tmp_path, capsys, model, monkeypatch):
    """Other lengths and sizes, one that is no video, one that is missing, places that refill."""
    sources: list[Path] = [
        video(tmp_path / "a.mp4", count=7),
        video(tmp_path / "b.mp4", count=3),
        folder(tmp_path / "small", width=64, height=HEIGHT),
        video(tmp_path / "c.mp4", count=4),
        tmp_path / "missing.mp4",
        tmp_path / "empty.mp4",
    ]
    sources[-1].touch()
    alone = run(capsys, model, *sources, "--out", tmp_path / "alone", "--coco")
    sizes = note_batches(monkeypatch)
    words = ["--out", tmp_path / "together", "--coco", "--batch", 3]
    status, _, complaints = run(capsys, model, *sources, *words)
    assert status == alone[0] == 1
    assert sorted(complaints) == sorted(alone[2])
    assert len(complaints) == 2
    assert max(sizes) == 2
    assert names(tmp_path / "together") == names(tmp_path / "alone")
    for name in ("a", "b", "small", "c"):
        assert_same_results(tmp_path / f"together/{name}.json", tmp_path / f"alone/{name}.json")


def test_what_goes_wrong_in_one_does_not_stop_the_others(tmp_path, capsys, model, monkeypatch):
    """The file of one video cannot be written after its second frame."""
    write = CsvSink.write

    def failing(self, frame, detections):
        if self.path.name == "b.csv" and detections.frame_index == 2:
            raise TrovidError("b.csv: the disk is full")
        write(self, frame, detections)

    monkeypatch.setattr(CsvSink, "write", failing)
    sources = [video(tmp_path / f"{name}.mp4") for name in "abc"]
    words = ["--no-video", "--out", tmp_path / "out", "--batch", 3]
    status, lines, complaints = run(capsys, model, *sources, *words)
    assert (status, complaints) == (1, ["trovid: b.csv: the disk is full"])
    assert names(tmp_path / "out") == {"a.csv", "a.json", "c.csv", "c.json"}
    assert sum("not done" in line for line in lines) == 1


def test_an_interrupted_run_goes_on(tmp_path, capsys, model):
    sources = [video(tmp_path / f"{name}.mp4", count=60) for name in "ab"]
    words = [*sources, "--no-video", "--end", "4", "--batch", "2"]
    out = tmp_path / "out"
    options = ["--out", out, "--model", model, "--score", "0.2", "--device", "cpu"]
    process = start_program(COMMAND, ["detect", *words, *options])
    until = time.monotonic() + 120
    sizes: list[int] = []
    while len(sizes) < 2 or min(sizes) < 400:  # until some frames of both are found
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
        sizes = [partial.stat().st_size for partial in out.glob(".*.partial.csv")]
    os.kill(process.pid, signal.SIGTERM)
    complaints = process.communicate(timeout=120)[1]
    assert process.returncode == 1, complaints
    done = [len(read_document(out / f"{n}.json")["videos"][0]["frames"]) for n in "ab"]
    assert 0 < min(done) <= max(done) < 48
    assert run(capsys, model, *words, "--out", out, "--resume")[0] == 0
    (a, b) = (read_document(out / f"{n}.json")["videos"][0] for n in "ab")
    assert [f["index"] for f in a["frames"]] == [f["index"] for f in b["frames"]]
    assert len(a["frames"]) == 48


def test_progress_counts_all_frames(tmp_path, capsys, model):
    sources = [video(tmp_path / f"{name}.mp4", count=3) for name in "ab"]
    words = [*sources, "--out", tmp_path / "out", "--model", model, "--batch", "2"]
    with pytest.raises(SystemExit) as exited:
        main(["detect", *map(str, words), "--device", "cpu"])
    said = capsys.readouterr().err
    assert exited.value.code == 0, said
    assert "2 videos: 6/6 frames" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch", "0"), "--batch must be at least 1, but is 0"),
        (("--batch", "2", "--seq-nms"), "--seq-nms goes through one video at a time"),
        (("--batch", "2", "--online"), "--online goes through one video at a time"),
    ],
)
def test_what_does_not_go_together(tmp_path, capsys, model, words, said):
    status, _, complaints = run(capsys, model, tmp_path, "--out", tmp_path / "out", *words)
    assert status == 2
    assert said in complaints[0]


def test_json_names_each_video_once(tmp_path, capsys, model):
    sources = [video(tmp_path / f"{name}.mp4", count=n) for name, n in (("a", 5), ("b", 2))]
    words = ["--no-video", "--out", tmp_path / "out", "--batch", 2, "--json"]
    status, lines, _ = run(capsys, model, *sources, *words)
    assert status == 0
    videos = json.loads("\n".join(lines))["videos"]
    assert {Path(v["source"]).name: v["frames"] for v in videos} == {"a.mp4": 5, "b.mp4": 2}
