"""`trovid detect` short of disk, of memory, and of frames in the middle of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.cli.runs import names, run, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode, number
from tests.programs import run_program
from trovid.runs.predictions import read_document, read_predictions
from trovid.video.opening import open_video
from trovid.zoo.weights import load_weights, save_weights

LIMITED = """
import resource, sys
import torch, trovid.runs.batch, trovid.runs.sinks.making
from trovid.cli.main import main
kind, room, *words = sys.argv[1:]
if kind == "memory":
    torch.set_num_threads(1)
    pages = int(open("/proc/self/statm").read().split()[0])
    room = int(room) + pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
main(["detect", *words])
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def limited(kind: str, room: int, model: Path, *words: str | Path) -> tuple[int, list[str]]:
    """Exit status and complaints of a process that may not take more than `room` bytes."""
    options = ["--model", model, "--device", "cpu"]
    done = run_program(LIMITED, [kind, str(room), *words, *options])
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [s for s in done.stderr.splitlines() if s.startswith("trovid: ")]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, model):
    """Files may not grow beyond a size, which writing reports as it does a full disk."""
    source = video(tmp_path / "a.mp4", count=40)
    out = tmp_path / "out"
    words = [source, "--out", out, "--no-video", "--score", "0.2"]
    status, complaints = limited("disk", 2000, model, *words)
    assert (status, len(complaints)) == (2, 1), complaints
    assert f"cannot write {out / 'a.'}" in complaints[0]
    assert names(out) == set()


def test_a_disk_too_full_for_the_video_leaves_nothing(tmp_path, model):
    source = tmp_path / "noise"
    source.mkdir()
    for index in range(6):
        image = np.random.default_rng(index).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        Image.fromarray(image).save(source / f"{index}.png")
    out = tmp_path / "out"
    words = [source, "--out", out, "--no-csv", "--score", "0.999"]
    status, complaints = limited("disk", 20_000, model, *words)
    assert (status, len(complaints)) == (2, 1), complaints
    assert f"cannot write {out / 'noise.mp4'}" in complaints[0]
    assert names(out) == set()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_short_memory_says_what_lowers_the_need(tmp_path, model):
    detector, card = load_weights(model)
    recipe = replace(card.recipe, image=replace(card.recipe.image, shorter=4000, longer=6000))
    large = tmp_path / "large.safetensors"
    save_weights(large, detector, recipe, provenance={})
    source = video(tmp_path / "a.mp4", count=3)
    out = tmp_path / "out"
    status, complaints = limited("memory", 1500 * 2**20, large, source, "--out", out, "--no-video")
    assert (status, len(complaints)) == (2, 1), complaints
    assert "out of memory" in complaints[0]
    assert "--support uniform:4" in complaints[0]
    assert names(out) == set()


def test_damage_in_the_middle_is_gone_over_and_counted(tmp_path, capsys, model):
    path = encode(tmp_path / "a.mp4", num_frames=48, container_options={"movflags": "+faststart"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[20:23]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    status, lines, complaints = run(capsys, str(model), path, "--out", tmp_path / "out")
    assert status == 1
    assert any("damaged" in line for line in lines)
    (frames,) = read_predictions(tmp_path / "out" / "a.json")[1].values()
    with open_video(path) as reader:
        pictures = list(reader)
        assert len(frames) == len(pictures) == reader.video.num_frames
    lost = 48 - len(frames)
    assert number(pictures[-1].image) == 47
    problems = read_document(tmp_path / "out" / "a.json")["videos"][0]["problems"]
    assert [f"trovid: {problem}" for problem in problems] == complaints
    if lost:
        assert f"{lost} of 48 frames are missing" in complaints[0]
    else:
        assert "damaged places, where frames may look wrong: " in complaints[0]
    assert all(str(path) in line for line in complaints)
