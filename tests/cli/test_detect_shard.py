"""`trovid detect --shard` and `trovid merge`, on real files."""

import json
import shutil

import pytest

from tests.cli.runs import folder, run, video
from tests.cli.tiny_model import save_tiny_model
from tests.external import need_package
from trovid.cli.main import main
from trovid.runs.predictions import read_frames, read_predictions

PATHS = ["a.mp4", "b.mp4", "deep/a.mp4", "deep/er/c.mp4", "d.mp4"]


@pytest.fixture(autouse=True)
def parquet():
    need_package("pyarrow")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    for path in PATHS:
        video(root / path, count=2)
    folder(root / "frames", count=2)
    return root


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "videos")


def merge(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(["merge", *map(str, words)])
    said = capsys.readouterr()
    return stop.value.code, said.out, said.err


def test_shards_together_do_every_video_once_and_merge_to_one(root, tmp_path, capsys, model):
    out = tmp_path / "out"
    for i in range(2):
        status, said, complaints = run(capsys, model, root, "--shard", f"{i}/2", "--out", out)
        assert (status, complaints) == (0, [])
        assert said[0].startswith(f"shard {i}/2: ")
    found = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.parquet"))
    assert found == sorted([*(f"{path}.parquet" for path in PATHS), "frames.parquet"])
    assert len(list(out.rglob("*.done"))) == 6

    assert merge(capsys, out, "--out", tmp_path / "all.parquet")[0] == 0
    assert merge(capsys, out, "--out", tmp_path / "all.json")[0] == 0
    _, parquet = read_frames(tmp_path / "all.parquet")
    _, text = read_frames(tmp_path / "all.json")
    assert list(parquet) == list(text) == ["a", "b", "d", "deep/a", "deep/er/c", "frames"]
    alone = tmp_path / "alone"
    assert run(capsys, model, root / "b.mp4", "--out", alone, "--no-video", "--parquet")[0] == 0
    (single,) = read_frames(alone / "b.json")[1].values()
    (columns,) = read_frames(alone / "b.parquet")[1].values()
    for detections, *others in zip(single, columns, text["b"], parquet["b"], strict=True):
        for other in others:
            assert other.boxes.tolist() == detections.boxes.tolist()
            assert other.scores.tolist() == detections.scores.tolist()
            assert other.time == detections.time
    assert sum(map(len, single)) > 0


def test_the_same_command_does_what_is_missing(root, tmp_path, capsys, model):
    out = tmp_path / "out"
    words = [root, "--shard", "0/1", "--out", out]
    whole = (root / "b.mp4").read_bytes()
    (root / "b.mp4").write_bytes(whole[:100])
    status, said, complaints = run(capsys, model, *words)
    assert status == 1
    assert "1 failed" in said[0]
    assert ["b.mp4" in line for line in complaints] == [True]
    assert "b.mp4" in json.loads((out / "b.mp4.failed").read_text())["error"]
    assert not (out / "b.mp4.parquet").exists()
    status, said, err = merge(capsys, out, "--out", tmp_path / "all.json")
    assert status == 2
    assert "b.mp4" in err
    assert "--partial" in err
    assert not (tmp_path / "all.json").exists()
    assert merge(capsys, out, "--out", tmp_path / "all.json", "--partial")[0] == 1
    assert "b" not in read_predictions(tmp_path / "all.json")[1]

    (root / "b.mp4").write_bytes(whole)
    (out / "d.mp4.done").unlink()
    before = (out / "a.mp4.parquet").stat().st_mtime_ns
    status, said, complaints = run(capsys, model, *words)
    assert (status, complaints) == (0, [])
    assert "2 done, 4 done before" in said[0]
    assert (out / "a.mp4.parquet").stat().st_mtime_ns == before
    assert not (out / "b.mp4.failed").exists()
    assert merge(capsys, out, "--out", tmp_path / "all.json")[0] == 0

    status, _, complaints = run(capsys, model, *words, score=0.3)
    assert status == 2
    assert "other options" in complaints[0]
    assert run(capsys, model, *words, "--overwrite", score=0.3)[0] == 0


def test_videos_of_one_stem_are_told_apart(tmp_path, capsys, model):
    root, out, merged = tmp_path / "alike", tmp_path / "out", tmp_path / "all.json"
    shutil.copy(video(root / "a.mp4", count=2), root / "a.mkv")
    for name in ("cam.1", "cam.2"):
        folder(root / name, count=2)
    whole = (root / "a.mp4").read_bytes()
    (root / "a.mp4").write_bytes(whole[:100])
    words = [root, "--shard", "0/1", "--out", out]
    assert run(capsys, model, *words)[0] == 1
    assert merge(capsys, out, "--out", merged, "--partial")[0] == 1
    assert list(read_frames(merged)[1]) == ["a.mkv", "cam.1", "cam.2"]

    (root / "a.mp4").write_bytes(whole)
    assert run(capsys, model, *words)[0] == 0
    assert merge(capsys, out, "--out", merged)[0] == 0
    assert list(read_frames(merged)[1]) == ["a.mkv", "a.mp4", "cam.1", "cam.2"]


def test_another_frame_rate_is_another_option(tmp_path, capsys, model):
    root, out = tmp_path / "rates", tmp_path / "out"
    root.mkdir()
    folder(root / "frames", count=2)
    words = [root, "--shard", "0/1", "--out", out, "--frame-rate"]
    assert run(capsys, model, *words, "25")[0] == 0
    status, _, complaints = run(capsys, model, *words, "2")
    assert status == 2
    assert "other options" in complaints[0]
    assert run(capsys, model, *words, "25")[1][0].endswith("(1 done before)")


def test_a_shard_that_never_ran_is_named(root, tmp_path, capsys, model):
    out = tmp_path / "out"
    assert run(capsys, model, root, "--shard", "1/3", "--out", out)[0] == 0
    status, _, err = merge(capsys, out, "--out", tmp_path / "all.json")
    assert status == 2
    assert "shard 0/3 has not begun" in err
    assert "shard 2/3 has not begun" in err
    assert run(capsys, model, root, "--shard", "0/2", "--out", out)[0] == 0
    assert "several runs" in merge(capsys, out, "--out", tmp_path / "all.json")[2]


def test_places_that_fsspec_knows(root, tmp_path, capsys, model):
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(root), "/bucket/videos", recursive=True)
    words = ["memory://bucket/videos", "--shard", "0/1", "--out", "memory://bucket/out"]
    status, said, complaints = run(capsys, model, *words)
    assert (status, complaints) == (0, [])
    assert "5 videos (5 done)" in said[0]
    assert run(capsys, model, *words)[1][0].endswith("(5 done before)")
    assert merge(capsys, "memory://bucket/out", "--out", tmp_path / "all.json")[0] == 0
    _, found = read_frames(tmp_path / "all.json")
    assert [len(frames) for frames in found.values()] == [2] * 5
    status, _, complaints = run(capsys, model, "nowhere://a/b", "--shard", "0/1")
    assert status == 2
    assert "nowhere" in complaints[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shard", "2/2"], "--shard must be i/n"),
        (["--shard", "0/2", "--coco"], "leave out --coco"),
        (["--shard", "0/2", "--resume"], "leave out --resume"),
        (["second", "--shard", "0/2"], "one folder"),
    ],
)
def test_what_does_not_go_together(tmp_path, capsys, words, message):
    status, _, complaints = run(capsys, "nothing", tmp_path, *words)
    assert status == 2
    assert message in complaints[0]


def test_a_folder_without_videos(tmp_path, capsys, model):
    status, _, complaints = run(capsys, model, tmp_path, "--shard", "0/1", "--out", tmp_path / "o")
    assert status == 2
    assert "no video is below it" in complaints[0]
