"""Detecting in a long video takes no more memory than in a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.tiny_model import save_tiny_model
from tests.programs import run_program
from trovid.runs.predictions import read_predictions
from trovid.structures import Masks
from trovid.video.opening import VideoWriter

SHORT, LONG = 300, 3000
PIECE, LONGEST = 1000, 100_000
MEBIBYTE = 2**20
FEW = ("--score", "0.99")
MASKS = 100
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

RUN = """
import resource, sys
from trovid.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as exited:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak * (1 if sys.platform == "darwin" else 1024))
    raise
"""


def peak_memory(video: Path, model: Path, out: Path, *more: str) -> int:
    """Bytes that `trovid detect` takes at most, with annotated video and JSON."""
    words = ["detect", video, "--out", out, "--model", model, "--device", "cpu", *more]
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("peak ")[1])


def write(path: Path, count: int, *, size: tuple[int, int] = (64, 64)) -> Path:
    """A moving scene, the pixels of 64 x 64 enlarged to the size."""
    scene = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    height, width = size
    down, across = -(-height // 64), -(-width // 64)
    with VideoWriter(path, height=height, width=width, frame_rate=25) as writer:
        for index in range(count):
            left = index % 64
            part = scene[:, left : left + 64].repeat(down, axis=0).repeat(across, axis=1)
            writer.write(np.ascontiguousarray(part[:height, :width]))
    return path


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    short, long = (
        peak_memory(write(tmp_path / f"{count}.mp4", count), model, tmp_path / "out", *FEW)
        for count in (SHORT, LONG)
    )
    assert long - short < 30 * MEBIBYTE, f"{short / MEBIBYTE:.0f} and {long / MEBIBYTE:.0f} MiB"


def used_by_masks(video: Path, out: Path, **model) -> list[int]:
    """Bytes held before each frame of a video whose every frame has many masks.

    The model alone is none: it gives masks as a mask head does, and tells objects apart as a track
    head does. All else is `trovid segment`, in a process of its own.
    """
    program = "from tests.inference.blobs import main; main()"
    done = run_program(program, [json.dumps(model), video, "--out", out], timeout=7000)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_masks(path: Path, frames: int, count: int) -> None:
    """That as many masks and identities as there are objects are really in every frame."""
    lines = [line for line in path.open() if line.startswith('{"index"')]
    assert len(lines) == frames
    for line in lines:
        assert line.count('"segmentation"') == count
    found = json.loads(lines[-1].rstrip(",\n"))["detections"]
    assert {row["track"] for row in found} == {*range(count)}
    height, width = found[0]["segmentation"]["size"]
    masks = Masks.from_coco([row["segmentation"] for row in found], (height, width))
    assert (masks.areas > 0).all()


@needs_proc
def test_masks_are_kept_as_codes_alone(tmp_path):
    """As pixels those of one frame would take 9 MB, and that is noticed."""
    video, out = write(tmp_path / "a.mp4", 36, size=(360, 640)), tmp_path / "out"
    used = used_by_masks(video, out, count=40, hoarded_since=24)
    check_masks(out / "a.json", 36, 40)
    assert max(used[12:24]) - max(used[:12]) < 40 * MEBIBYTE < used[-1] - max(used[:24])


@needs_proc
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_masks_in_every_large_frame(tmp_path):
    """With overlay and tracks; 3000 frames of 1080 x 1920 take a quarter of an hour on a core."""
    piece = write(tmp_path / "piece.mp4", 100, size=(1080, 1920))
    video = repeated(tmp_path / "a.mp4", piece, LONG // 100)
    used = used_by_masks(video, tmp_path / "out", count=MASKS)
    check_masks(tmp_path / "out/a.json", LONG, MASKS)
    growth = max(used[SHORT:]) - max(used[:SHORT])
    assert growth < 50 * MEBIBYTE, [u // MEBIBYTE for u in used[::SHORT]]


def repeated(path: Path, piece: Path, times: int) -> Path:
    """A video's coded packets several times behind one another."""
    with av.open(str(path), "w") as target, av.open(str(piece)) as source:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.dts is not None]
        contents = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in packets]
        length = video.duration
        for round_ in range(times):
            for data, pts, dts, key in contents:
                packet = av.Packet(data)
                packet.pts, packet.dts = pts + round_ * length, dts + round_ * length
                packet.time_base, packet.stream, packet.is_keyframe = video.time_base, stream, key
                target.mux(packet)
    return path


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_frames(tmp_path):
    """All are decoded and drawn from; one in a hundred is looked at, or the test takes an hour."""
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    piece = write(tmp_path / "piece.mp4", PIECE)
    out = tmp_path / "out"
    peaks = []
    for count, stride in ((PIECE, 1), (LONGEST, LONGEST // PIECE)):
        path = repeated(tmp_path / f"{count}.mp4", piece, count // PIECE)
        peaks.append(peak_memory(path, model, out, "--stride", str(stride), "--timeline", *FEW))
        (frames,) = read_predictions(out / f"{count}.json")[1].values()
        assert [d.frame_index for d in frames] == list(range(0, count, stride))
        assert frames[-1].time == pytest.approx(frames[-1].frame_index / 25)
    growth = peaks[1] - peaks[0]
    assert growth < 30 * MEBIBYTE, f"{peaks[0] / MEBIBYTE:.0f} and {peaks[1] / MEBIBYTE:.0f} MiB"
