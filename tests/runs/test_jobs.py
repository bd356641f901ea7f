"""What a word of the command line names, and what its results are called."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trovid.runs.jobs import Job, find_inputs, jobs_for, result_stem
from trovid.video import open_video


def frames(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(np.full((8, 8, 3), index, np.uint8)).save(folder / f"{index:06d}.jpg")
    return folder


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def relative(found: list[str], root: Path) -> list[str]:
    return [Path(word).relative_to(root).as_posix() for word in found]


def test_a_folder_of_videos_folders_of_frames_and_mot_sequences(tmp_path, caplog):
    touch(tmp_path / "clip10.mp4"), touch(tmp_path / "clip2.avi"), touch(tmp_path / "notes.txt")
    frames(tmp_path / "walk"), frames(tmp_path / "MOT17-02" / "img1")
    touch(tmp_path / "MOT17-02" / "gt" / "gt.txt")
    touch(tmp_path / ".hidden.mp4")
    assert relative(find_inputs(str(tmp_path)), tmp_path) == [
        *("clip2.avi", "clip10.mp4", "MOT17-02/img1", "walk"),
    ]
    assert caplog.records == []


def test_what_is_left_out_is_said(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    touch(tmp_path / "day" / "a.mp4"), touch(tmp_path / "day" / "one" / "b.mp4")
    frames(tmp_path / "day" / "deeper" / "walk")
    assert relative(find_inputs(str(tmp_path / "day")), tmp_path) == ["day/a.mp4"]
    assert "2: deeper, one" in caplog.text
    caplog.clear()
    touch(frames(tmp_path / "mixed") / "c.mp4")
    assert find_inputs(str(tmp_path / "mixed")) == [str(tmp_path / "mixed")]
    assert "1: c.mp4" in caplog.text


def test_what_lies_deep_or_is_called_otherwise_is_said_too(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    touch(tmp_path / "nest" / "a.mp4"), touch(tmp_path / "nest" / "one" / "two" / "b.mp4")
    touch(tmp_path / "nest" / "labels" / "a.json")
    (tmp_path / "nest" / "noext").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "nest" / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    assert relative(find_inputs(str(tmp_path / "nest")), tmp_path) == ["nest/a.mp4"]
    assert "(2: noext, one/two)" in caplog.text
    caplog.clear()
    assert relative(find_inputs(str(tmp_path / "nest" / "one" / "two")), tmp_path) == [
        "nest/one/two/b.mp4",
    ]
    assert caplog.records == []
    frames(tmp_path / "stray"), touch(tmp_path / "stray" / "clips" / "c.mp4")
    assert find_inputs(str(tmp_path / "stray")) == [str(tmp_path / "stray")]
    assert "(1: clips)" in caplog.text
    caplog.clear()
    frames(tmp_path / "MOT17-02" / "img1"), touch(tmp_path / "MOT17-02" / "c.avi")
    assert relative(find_inputs(str(tmp_path / "MOT17-02")), tmp_path) == ["MOT17-02/img1"]
    assert "(1: c.avi)" in caplog.text


def test_a_folder_that_a_pattern_finds_is_as_one_that_is_named(tmp_path):
    touch(tmp_path / "car.mp4"), touch(tmp_path / "a" / "dog.mp4")
    frames(tmp_path / "b" / "img1")
    found = relative(find_inputs(str(tmp_path / "*")), tmp_path)
    assert found == ["a/dog.mp4", "b/img1", "car.mp4"]
    found = relative(find_inputs(str(tmp_path / "**")), tmp_path)
    assert [found.count(name) for name in ("a/dog.mp4", "b/img1", "car.mp4")] == [1, 1, 1]


@pytest.mark.parametrize("word", ["MOT17-02", "MOT17-02/img1", "MOT17-02/img1/"])
def test_a_mot_sequence_is_called_by_its_own_name(tmp_path, word):
    frames(tmp_path / "MOT17-02" / "img1")
    (found,) = find_inputs(str(tmp_path / word))
    assert relative([found], tmp_path) == ["MOT17-02/img1"]
    assert open_video(tmp_path / word).video.name == result_stem(found) == "MOT17-02"
    (job,) = jobs_for([found], [found], tmp_path / "out", ["json"])
    assert (job.name, job.files["json"].name) == ("MOT17-02", "MOT17-02.json")


@pytest.mark.parametrize("name", ["dog.JPG", "dog.jfif", "dog.avif"])
def test_a_single_picture_has_a_drawn_picture(tmp_path, name):
    picture = touch(tmp_path / name)
    kinds = ["video", "csv", "sheet", "json"]
    (job,) = jobs_for([str(picture)], [str(picture)], tmp_path, kinds)
    assert [file.name for file in job.files.values()] == ["dog.csv", "dog.png", "dog.json"]
    (job,) = jobs_for([str(picture)], [str(picture)], tmp_path, ["json"])
    assert list(job.files) == ["json"]
    (job,) = jobs_for([str(tmp_path / "dog.png")], [str(tmp_path / "dog.png")], tmp_path, kinds)
    assert job.files["picture"].name == "dog-2.png"  # the input is not replaced


def test_an_address_of_a_picture_has_a_drawn_picture_unless_it_is_a_stream(tmp_path):
    address = "https://host/films/dog.JPG?size=1"
    (job,) = jobs_for([address], [address], tmp_path, ["video", "json"])
    assert {kind: file.name for kind, file in job.files.items()} == {
        **{"picture": "dog.png", "json": "dog.json"},
    }
    (job,) = jobs_for([address], [address], tmp_path, ["video", "json"], online=True)
    assert {*job.files} == {"video", "json"}


def test_results_in_the_folder_of_frames_itself_replace_no_frame(tmp_path):
    folder = frames(tmp_path / "0001")
    touch(folder / "0001.PNG"), touch(folder / "0001-2.json")
    (job,) = jobs_for([str(folder)], [str(folder)], folder, ["sheet", "json"])
    assert [file.name for file in job.files.values()] == ["0001-2.png", "0001-2.json"]


def test_addresses_are_called_by_what_they_end_with():
    assert result_stem("https://host/films/dog.mp4?download=1") == "dog"
    assert Job("https://host/dog.mp4", {}).name == "https://host/dog.mp4"
