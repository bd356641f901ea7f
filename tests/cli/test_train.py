"""`trovid train`: what it writes and prints, and how it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from tests.cli.command import trovid_command
from tests.programs import COMMAND, Program, start_program
from tests.training.tiny import tiny_folder, tiny_recipe
from trovid.recipes import recipe_values
from trovid.storage.tensor_files import read_tensors
from trovid.training.start import initial_detector
from trovid.zoo.weights import read_card, save_weights

PROC = Path("/proc")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("train") / "data")


def recipe_file(folder: Path, **training) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(recipe_values(tiny_recipe(**training))))
    return path


def test_it_trains_and_says_so(capsys, data, tmp_path):
    words = ["train", recipe_file(tmp_path, steps=2), "--data", data, "--out", tmp_path / "runs"]
    status, out, complaints = trovid_command(capsys, *words, "--validate", "20", "--device", "auto")
    assert status == 0
    assert [line for line in complaints if "a step needs about" not in line] == []
    file = tmp_path / "runs" / "tiny-seed0.safetensors"
    assert out.startswith(f"{file}: ")
    assert "AP50 on 2 validation clips: " in out
    (line,) = (tmp_path / "runs" / "tiny-seed0.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 2
    status, out, _ = trovid_command(capsys, *words)
    assert (status, out) == (0, f"{file} is there already: delete it to train again\n")
    status, out, _ = trovid_command(capsys, *words, "--json")
    assert json.loads(out)["facts"]["seed"] == 0


def test_the_best_weights_of_an_earlier_training_are_set_aside(capsys, data, tmp_path):
    """However good they were: those of this training are the best that it came by."""
    recipe = tiny_recipe(steps=2, validate_every=1)
    detector = initial_detector(recipe, seed=0, start=None)
    best, aside = (tmp_path / f"tiny-seed0.best{end}.safetensors" for end in ("", "-1"))
    save_weights(best, detector, recipe, provenance={"val_ap50": 1.0})
    before = best.read_bytes()
    words = ["train", recipe_file(tmp_path, steps=2, validate_every=1), "--data", data]
    words += ["--out", tmp_path, "--validate", "1", "--device", "cpu"]
    status, out, said = trovid_command(capsys, *words)
    assert status == 0
    assert "better" not in out
    assert f"trovid: {best} is of an earlier training: it is {aside.name} now" in said
    assert aside.read_bytes() == before
    provenance = read_card(best).provenance
    assert provenance["step"] in (1, 2)
    assert provenance["val_ap50"] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "-1"], "--workers must be at least 0, but is -1"),
        (["--validate", "-3"], "--validate must be at least 0, but is -3"),
        (["--device", "gpu"], "device 'gpu' cannot be used"),
        (["--start", "a", "--backbone", "b"], "leave out --backbone or --start"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, tmp_path, words, message):
    words = ["train", recipe_file(tmp_path), "--out", tmp_path / "runs", *words]
    status, out, (complaint,) = trovid_command(capsys, *words)
    assert (status, out) == (2, "")
    assert message in complaint


def begin(recipe: Path, data: Path, out: Path, *more: str) -> Program:
    words = ["train", recipe, "--data", data, "--out", out, "--validate", "0", *more]
    return start_program(COMMAND, words, leads=True)


def wait_for_step(process: Program, log: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and any(json.loads(x)["step"] >= step for x in whole_lines(log)):
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def whole_lines(log: Path) -> list[str]:
    return [x for x in log.read_text().splitlines(keepends=True) if x.endswith("\n")]


def descendants(pid: int) -> set[int]:
    words = (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    return {*map(int, words)}.union(*(descendants(int(word)) for word in words))


def alive(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(
    not (PROC / "self" / "task" / str(os.getpid()) / "children").exists(),
    reason="no /proc tells which processes there are",
)
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
)
def test_however_it_ends_no_process_stays(data, tmp_path, number, status):
    out = tmp_path / "runs"
    process = begin(recipe_file(tmp_path, steps=100_000), data, out, "--workers", "1")
    try:
        wait_for_step(process, out / "tiny-seed0.jsonl", 1)
        started = descendants(process.pid)
        assert started
        if number != signal.SIGKILL:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        err = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == status
    assert "Traceback" not in err
    checkpoint = out / "tiny-seed0.checkpoint"
    assert checkpoint.exists() == (number != signal.SIGKILL)
    if checkpoint.exists():
        step = json.loads(read_tensors(checkpoint)[1]["head"])["step"]
        said = f"trovid: stopped after step {step} of 100000, which {checkpoint} holds: "
        assert err.splitlines()[-1].startswith(said)
    deadline = time.monotonic() + 30
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if alive(pid)]
    assert not list(out.rglob("*.partial*"))


def test_two_processes_are_not_at_the_same_training(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trovid.training.alone.PATIENCE", 0.5)
    out, recipe = tmp_path / "runs", recipe_file(tmp_path, steps=100_000)
    for _ in range(2):  # the second one after the first was killed
        process = begin(recipe, data, out)
        try:
            wait_for_step(process, out / "tiny-seed0.jsonl", 1)
            words = ["train", recipe, "--data", data, "--out", out]
            status, _, complaints = trovid_command(capsys, *words)
            assert (status, process.poll()) == (2, None)
            assert "is being trained by another process: wait for it, or" in complaints[-1]
        finally:
            process.kill()
            process.communicate()
        (out / "tiny-seed0.jsonl").unlink()


def test_what_another_process_has_just_trained_is_taken(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trovid.training.alone.PATIENCE", 100)
    out, recipe = tmp_path / "runs", recipe_file(tmp_path, steps=30)
    process = begin(recipe, data, out)
    try:
        wait_for_step(process, out / "tiny-seed0.jsonl", 1)
        status, _, complaints = trovid_command(
            capsys, "train", recipe, "--data", data, "--out", out, "--validate", "0"
        )
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert (status, process.returncode) == (0, 0)
    assert any("another process is at it, waiting" in line for line in complaints)
    lines = [json.loads(line) for line in (out / "tiny-seed0.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30]
    assert lines[0]["seconds"] < lines[-1]["seconds"]


@pytest.mark.slow
def test_a_killed_training_ends_at_the_same_bits(data, tmp_path):
    recipe, steps = recipe_file(tmp_path, steps=230), (90, 205, 215)
    ends = []
    for out, kills in ((tmp_path / "whole", ()), (tmp_path / "parts", steps)):
        for kill in kills:
            process = begin(recipe, data, out, "--workers", "1")
            wait_for_step(process, out / "tiny-seed0.jsonl", kill)
            process.kill()
            process.communicate()
        process = begin(recipe, data, out)
        assert process.communicate()[1] is not None
        assert process.returncode == 0
        lines = [json.loads(line) for line in (out / "tiny-seed0.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(10, 231, 10))
        losses = [[line[key] for key in line if key != "seconds"] for line in lines]
        ends.append((losses, read_tensors(out / "tiny-seed0.safetensors")[0]))
    (losses, whole), (losses_of_parts, parts) = ends
    assert losses == losses_of_parts
    assert all(torch.equal(value, parts[key]) for key, value in whole.items())
