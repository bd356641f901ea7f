"""Every kind of file on a disk that is really full: one line, nothing half-written.

A tmpfs of some KiB in a mount namespace of its own is filled by the command itself; its room grows
from run to run, so that the disk is full in each file in turn.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from trovid.datasets.synthvid import write_split

NAMESPACE = ["unshare", "--mount", "--map-root-user"]
FREE_SPACE = "; free space or choose another place"
FULL = f"No space left on device{FREE_SPACE}"


def _refused() -> str:
    """Why no disk of the test's own can be had here; "" where it can."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    done = subprocess.run([*NAMESPACE, *words], capture_output=True, text=True)
    return f"no tmpfs can be mounted: {done.stderr.strip()}" if done.returncode else ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_refused()), reason=_refused())]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def disk(tmp_path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def runs(disk: Path, sizes: tuple[int, int, int], *words: str | Path) -> list[dict]:
    program = Path(__file__).with_name("full_disk.py")
    command = [*NAMESPACE, sys.executable, program, disk, *sizes, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for run in found:
        assert not run["traceback"], run
        assert not run["torn"], run
        assert (run["status"] == 0) != bool(run["complaints"]), run
    return found


def check(found: list[dict], wanted: set[str], *, together: bool = True) -> set[str]:
    """The files in which the disk was full; the last run must have had room for all.

    `together`: all of them appear, or none.
    """
    full = set()
    for run in found[:-1]:
        if run["status"] == 0:
            assert names(run) == wanted, run
            continue
        (line,) = run["complaints"]
        assert line.startswith("trovid: cannot write "), run
        assert line.endswith(FREE_SPACE), run
        assert run["status"] == 2, run
        assert names(run) < wanted, run
        assert not (together and run["files"]), run
        full.add(Path(line.removeprefix("trovid: cannot write ").partition(": ")[0]).name)
    assert found[-1]["status"] == 0, found[-1]
    assert names(found[-1]) == wanted
    return full


def names(run: dict) -> set[str]:
    """Names of the files, but for those from which a training goes on: checkpoint, log, frames."""
    going_on = (".checkpoint", ".jsonl", ".npy")
    return {Path(file).name for file in run["files"] if not file.endswith(going_on)}


@pytest.mark.parametrize(
    ("endings", "sizes"),
    [
        ({"mp4", "json"}, (8, 160, 8)),
        ({"csv", "json"}, (4, 60, 4)),
        ({"coco.json", "json"}, (4, 60, 4)),
        ({"png", "json"}, (8, 400, 24)),
        ({"parquet", "json"}, (4, 100, 8)),
        ({"mp4", "csv", "coco.json", "json"}, (8, 300, 16)),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_results(tmp_path, disk, model, endings, sizes):
    source = video(tmp_path / "a.mp4", count=40)
    options = {"mp4": "--no-video", "csv": "--no-csv"}
    words = [option for ending, option in options.items() if ending not in endings]
    extra = {"coco.json": "--coco", "png": "--sheet", "parquet": "--parquet"}
    words += [option for ending, option in extra.items() if ending in endings]
    words += [
        "--out",
        disk,
        "--model",
        model,
        "--device",
        "cpu",
        "--score",
        "0.2",
        "--max-detections",
        "3",
    ]
    found = runs(disk, sizes, "detect", source, *words)
    full = check(found, {f"a.{ending}" for ending in endings})
    assert full <= {f"a.{ending}" for ending in endings}
    assert full - {"a.json"}


def test_one_video_without_room_leaves_those_before_it(tmp_path, disk, model):
    small, large = video(tmp_path / "a.mp4", count=5), tmp_path / "noise"
    large.mkdir()
    for index in range(6):
        image = np.random.default_rng(index).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        Image.fromarray(image).save(large / f"{index}.png")
    words = ["--out", disk, "--model", model, "--device", "cpu", "--score", "0.999", "--no-csv"]
    (run,) = runs(disk, (128, 128, 1), "detect", small, large, *words)
    assert run["status"] == 1
    assert run["files"] == ["a.json", "a.mp4"]
    assert run["complaints"] == [f"trovid: cannot write {disk / 'noise.mp4'}: {FULL}"]


def test_exported_models(disk, model):
    words = ["export", model, "--out", disk, "--frame-size", "64x96", "--format", "torch-export"]
    found = runs(disk, (64, 20544, 10240), *map(str, words))
    wanted = {"tiny.pt2", "tiny-encode.pt2"}
    assert check(found, wanted, together=False) == wanted


def test_reports(tmp_path, disk, model):
    data = tmp_path / "data"
    write_split(data, split="test", videos=1, workers=1)
    words = ["evaluate", "--model", model, "--data", data / "test.json", "--every", "12"]
    words += ["--device", "cpu", "--out", disk / "report.json"]
    assert check(runs(disk, (4, 36, 4), *words), {"report.json"}) == {"report.json"}
    words = ["explain", data / "test" / "test_00000.mp4", "--out", disk / "why.png"]
    words += ["--model", model, "--device", "cpu", "--box", "20,20,90,90"]
    wanted = {"why.png", "why.html"}
    assert check(runs(disk, (4, 4004, 500), *words), wanted) & wanted


def test_weights_of_a_training(tmp_path, disk):
    data = tmp_path / "data"
    for split in ("train", "val"):
        write_split(data, split=split, videos=2, workers=1)
    recipe = {
        "base": "synthvid-single",
        "training": {"start": None, "steps": 2, "batch": 1, "videos": 2},
    }
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(recipe))
    words = ["train", tmp_path / "short.yaml", "--data", data, "--validate", "0", "--out", disk]
    wanted = {"short-seed0.safetensors", "short-seed0.png"}
    found = runs(disk, (64, 40064, 4000), *words)
    full = check(found, wanted, together=False)
    assert full & {"short-seed0.safetensors", "short-seed0.checkpoint"}  # frames need not be kept


def test_clips(disk):
    words = ["synthvid", disk, "--videos", "1", "--workers", "1"]
    found = runs(disk, (16, 600, 48), *words)
    wanted = {"test/test_00000.mp4", "test.json"}
    assert found[0]["status"] == 2
    assert found[-1]["status"] == 0
    assert set(found[-1]["files"]) == wanted
    for run in found:
        assert set(run["files"]) <= wanted
        assert ("test.json" in run["files"]) == (run["status"] == 0)
        assert all(FULL in line for line in run["complaints"])
