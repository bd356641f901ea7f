"""Detecting in a long video takes no more memory than in a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.tiny_model import save_tiny_model
from trovid.runs.predictions import read_predictions
from trovid.video.opening import VideoWriter

SHORT, LONG = 300, 3000
PIECE, LONGEST = 1000, 100_000
MEBIBYTE = 2**20
FEW = ("--score", "0.99")
MASKS = 100

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


def peak_memory(video: Path, model: Path, out: Path, *more: str, command: str = "detect") -> int:
    """Bytes that `trovid detect` or `segment` takes at most, with annotated video and JSON."""
    words = [command, video, "--out", out, "--model", model, "--device", "cpu", *more]
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("peak ")[1])


def write(path: Path, count: int, *, enlarged: tuple[int, int] = (1, 1)) -> Path:
    """A moving scene of 64 x 64 pixels, each repeated so many times down and across."""
    scene = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    down, across = enlarged
    with VideoWriter(path, height=64 * down, width=64 * across, frame_rate=25) as writer:
        for index in range(count):
            left = index % 64
            part = scene[:, left : left + 64]
            writer.write(part.repeat(down, axis=0).repeat(across, axis=1))
    return path


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    short, long = (
        peak_memory(write(tmp_path / f"{count}.mp4", count), model, tmp_path / "out", *FEW)
        for count in (SHORT, LONG)
    )
    assert long - short < 30 * MEBIBYTE, f"{short / MEBIBYTE:.0f} and {long / MEBIBYTE:.0f} MiB"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_masks_in_every_large_frame(tmp_path):
    """At 1088x1920; the masks of a random model, drawn, followed and written."""
    model = save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-masktrack")
    peaks, out = [], tmp_path / "out"
    for count in (SHORT, LONG):
        video = write(tmp_path / f"{count}.mp4", count, enlarged=(17, 30))
        words = ("--score", "0", "--max-detections", str(MASKS), "--coco")
        peaks.append(peak_memory(video, model, out, *words, command="segment"))
        (frames,) = read_predictions(out / f"{count}.json")[1].values()
        assert [len(found) for found in frames] == [MASKS] * count
        assert all(found.masks is not None for found in frames)
        del frames
    growth = peaks[1] - peaks[0]
    assert growth < 50 * MEBIBYTE, f"{peaks[0] / MEBIBYTE:.0f} and {peaks[1] / MEBIBYTE:.0f} MiB"


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
