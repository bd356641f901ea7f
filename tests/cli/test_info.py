"""`trovid info` on files made by real encoders: what is stated and what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.command import trovid_command
from tests.cli.runs import folder, video
from tests.media import encode


def info_of(capsys, *words) -> dict:
    status, out, complaints = trovid_command(capsys, "info", "--json", *words)
    document = json.loads(out)
    assert (document["status"], complaints) == (status, [])
    (info,) = document["videos"]
    return info


def test_streams_size_rate_and_frames(tmp_path, capsys):
    path = encode(tmp_path / "a.mp4", num_frames=25, sound="aac", more_streams=True)
    info = info_of(capsys, path)
    assert [(s["kind"], s["read"]) for s in info["streams"]] == [
        ("video", True),
        ("video", False),
        ("audio", False),
        ("audio", False),
    ]
    assert info["streams"][0]["codec"].startswith("h264")
    assert info["streams"][0]["description"] == "96x64, yuv420p, 8 bit"
    assert info["streams"][2]["description"] == "48000 Hz, stereo"
    assert (info["width"], info["height"], info["rotation"]) == (96, 64, 0)
    assert (info["frames"], info["stated_frames"]) == (25, 25)
    assert info["frame_rate"] == info["stated_frame_rate"] == 25
    assert info["duration"] == pytest.approx(1, abs=1e-6)
    assert info["variable_frame_rate"] is False
    assert info["bytes"] == path.stat().st_size
    assert info["problems"] == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rate(tmp_path, capsys, name):
    ticks = [0, 512, 2560, 3072, 8192, 8704]
    info = info_of(capsys, encode(tmp_path / name, num_frames=6, ticks=ticks))
    assert info["variable_frame_rate"] is True
    assert info["shortest_step"] == pytest.approx(0.04, abs=1e-3)
    assert info["longest_step"] == pytest.approx(0.4, abs=1e-3)
    assert info["frame_rate"] == pytest.approx(5 / 0.68, rel=0.01)


def test_a_clock_of_milliseconds_is_no_variable_rate(tmp_path, capsys):
    ticks = [round(index * 12800 / 30) for index in range(30)]
    info = info_of(capsys, encode(tmp_path / "a.mkv", num_frames=30, ticks=ticks))
    assert info["variable_frame_rate"] is False


def test_rotation_and_pixel_format(tmp_path, capsys):
    info = info_of(capsys, encode(tmp_path / "a.mov", rotation=90, pix_fmt="yuv422p10le"))
    assert (info["width"], info["height"], info["rotation"]) == (64, 96, 90)
    assert info["streams"][0]["description"] == "96x64, yuv422p10le, 10 bit"


def test_a_mirrored_video(tmp_path, capsys):
    path = encode(tmp_path / "a.mp4", rotation=180, mirrored=True)
    info = info_of(capsys, path)
    assert (info["rotation"], info["mirrored"]) == (0, True)
    assert "96x64, mirrored top to bottom" in trovid_command(capsys, "info", path)[1]


def test_damage_is_told_and_is_status_1(tmp_path, capsys):
    path = encode(tmp_path / "a.mkv", num_frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    status, out, _ = trovid_command(capsys, "info", path)
    assert status == 1
    (damage,) = (line for line in out.splitlines() if line.startswith("  damage"))
    assert "cut off" in damage


def test_a_folder_of_images(tmp_path, capsys):
    source = folder(tmp_path / "frames", count=3)
    info = info_of(capsys, source, "--frame-rate", "2")
    assert (info["container"], info["frames"], info["streams"]) == ("folder of images", 3, [])
    assert (info["width"], info["height"], info["duration"]) == (96, 72, 1.5)
    assert info["bytes"] == sum(path.stat().st_size for path in source.iterdir())


def test_the_page_for_people(tmp_path, capsys):
    path = encode(tmp_path / "a.mp4", num_frames=25)
    status, out, _ = trovid_command(capsys, "info", path)
    assert status == 0
    lines = {line.split("  ")[1].strip(): line for line in out.splitlines()[1:]}
    assert list(lines) == [
        *("container", "stream 0", "size", "frame rate", "duration", "frames", "damage")
    ]
    assert "25.000, constant" in lines["frame rate"]
    assert "25 decode (the container states 25)" in lines["frames"]
    assert lines["damage"].endswith("none")


def test_what_cannot_be_read_is_named_and_the_others_done(tmp_path, capsys):
    good = encode(tmp_path / "good.mp4")
    (tmp_path / "empty.mp4").touch()
    words = [tmp_path / "empty.mp4", good, "rtsp://127.0.0.1/door"]
    status, out, complaints = trovid_command(capsys, "info", *words)
    assert status == 1
    assert len(complaints) == 2
    assert out.startswith(str(good))
    assert trovid_command(capsys, "info", tmp_path / "absent.mp4")[:2] == (2, "")
    assert trovid_command(capsys, "info")[0] == 2


def test_a_reader_that_leaves_early_is_no_failure(tmp_path):
    video(tmp_path / "a.mp4")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-u", "-m", "trovid", "info", tmp_path]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
