"""MOT Challenge in and out: a small tree in the layout of MOT17, results there and back."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.datasets.mot_folder import INFO, ROWS, write_mot
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.mot import mot_lines, read_mot, read_mot_results, write_mot_results
from trovid.datasets.objects import ObjectRows
from trovid.datasets.reading import read_dataset, splits_of
from trovid.datasets.writing import write_dataset
from trovid.errors import TrovidError
from trovid.structures import Detections, Video


@pytest.fixture
def root(tmp_path):
    return write_mot(tmp_path, "MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-04-SDP")


def test_a_tree_in_the_real_layout(root, caplog):
    assert splits_of(root) == ("train",)
    with caplog.at_level(logging.WARNING):
        labels = read_dataset(root, split=None)
    assert "1 sequences are copies" in caplog.text
    assert [video.name for video in labels.videos] == ["MOT17-02-FRCNN", "MOT17-04-SDP"]
    assert labels.class_names == ("pedestrian", "static person")
    assert labels.videos[0].frame_rate == 30
    first, second = labels.ground_truth("MOT17-02-FRCNN")
    assert first.boxes.tolist() == [[10, 5, 18, 25], [30, 5, 38, 25]]
    assert first.labels.tolist() == [0, 1]
    assert first.instance_ids.tolist() == [1, 2]
    assert first.ignore.tolist() == [False, True]
    assert second.ignore.tolist() == [False, True]
    assert second.attributes["visibility"].tolist() == [0.5, 1]
    assert labels.open("MOT17-04-SDP").video.num_frames == 2


def test_a_single_sequence_without_its_information(root):
    folder = root / "train/MOT17-04-SDP"
    (folder / "seqinfo.ini").unlink()
    (folder / "gt/gt.txt").write_text("1 3 1 2 3 4 1 -1 -1 -1\n")
    labels = read_mot(folder)
    assert labels.class_names == ("pedestrian",)
    assert (labels.videos[0].num_frames, labels.videos[0].width) == (2, 64)
    assert labels.ground_truth("MOT17-04-SDP")[0].boxes.tolist() == [[1, 2, 4, 6]]


@pytest.mark.parametrize("place", ["4.8,5.9,0", "4,5,0", "-1,-1,-1", "4.8,5.9"])
def test_a_position_in_the_world_is_no_class(root, place):
    """MOT15 has it where MOT16 has class and visibility."""
    folder = root / "train/MOT17-04-SDP"
    (folder / "gt/gt.txt").write_text(f"1,1,10,10,20,30,1,{place}\n")
    labels = read_mot(folder)
    assert labels.class_names == ("pedestrian",)
    assert labels.objects.labels.tolist() == [0]
    assert labels.objects.attributes == {}


def test_results_there_and_back(root, tmp_path):
    labels = read_mot(root / "train")
    frames = [
        Detections(
            torch.tensor([[1.25, 2, 11.5, 12], [3, 4, 5, 6]])[:count],
            torch.tensor([0.9, 0.5])[:count],
            torch.zeros(count, dtype=torch.long),
            labels.class_names,
            index,
            image_size=(48, 64),
            track_ids=torch.tensor([7, 3])[:count],
        )
        for index, count in enumerate((2, 0))
    ]
    out = tmp_path / "out"
    write_mot_results(out, [("MOT17-02-DPM", frames)])
    lines = (out / "MOT17-02-DPM.txt").read_text().splitlines()
    assert lines[0] == "1,7,1.25,2.0,10.25,10.0,0.9,-1,-1,-1"
    found = read_mot_results(out, labels)
    assert [len(frame) for frame in found["MOT17-02-FRCNN"]] == [2, 0]
    assert [len(frame) for frame in found["MOT17-04-SDP"]] == [0, 0]
    again = found["MOT17-02-FRCNN"][0]
    assert torch.equal(again.boxes, frames[0].boxes.double())
    assert again.track_ids.tolist() == [7, 3]
    nameless = Detections(frames[0].boxes, frames[0].scores, frames[0].labels, ("a", "b"))
    with pytest.raises(TrovidError, match="frame 0 have no identities"):
        write_mot_results(out, [("x", [nameless])])
    assert not (out / "x.txt").exists()


def test_results_are_of_the_class_that_counts(tmp_path):
    """The form tells no classes: where several count, nobody knows which one is meant."""

    def labels(*ignored: bool) -> Dataset:
        rows = ObjectRows()
        for label, ignore in enumerate(ignored):
            rows.add(0, 0, label, (1, 2, 3, 4), ignore=ignore)
        entry = VideoEntry(Video("x", 1, 48, 64), "x", [0])
        return Dataset(["bus", "car"], [entry], rows.objects())

    path = tmp_path / "x.txt"
    path.write_text("1,1,1,2,2,2,0.9\n")
    for ignored, label in (((True, False), 1), ((False, True), 0), ((True, True), 0)):
        (frame,) = read_mot_results(path, labels(*ignored))["x"]
        assert frame.labels.tolist() == [label]
    with pytest.raises(TrovidError, match=r"the labels count 2 \(bus, car\): give NAME.json of"):
        read_mot_results(path, labels(False, False))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,1,10,5,eight,20,1,1,1", "must hold numbers"),
        ("1,1,10,5", "must hold frame, identity, x, y, width, height"),
        ("3,1,10,5,8,20,1,1,1", r"frame must lie in 1\.\.2, but is 3"),
        ("0,1,10,5,8,20,1,1,1", r"frame must lie in 1\.\.2, but is 0"),
        ("1,1,nan,5,8,20,1,1,1", "must hold frame"),
        ("1,1,10,5,8,20,1,14,1", r"class must lie in 1\.\.13, but is 14"),
    ],
)
def test_damaged_rows_are_named(root, row, message):
    path = root / "train/MOT17-04-SDP/gt/gt.txt"
    path.write_text(ROWS + row + "\n")
    with pytest.raises(TrovidError, match=rf"gt\.txt:5: {message}"):
        read_mot(root)


def test_damaged_information_and_results_are_named(root, tmp_path):
    labels = read_mot(root)
    (root / "x.txt").write_text("1,1,1,1,1,1,1\n")
    with pytest.raises(TrovidError, match=r"x\.txt: video 'x' is not in the labels"):
        read_mot_results(root / "x.txt", labels)
    with pytest.raises(TrovidError, match="holds no results"):
        read_mot_results(root / "train", labels)
    info = root / "train/MOT17-04-SDP/seqinfo.ini"
    info.write_text(INFO.replace("seqLength=2", "seqLength=two"))
    with pytest.raises(TrovidError, match="holds no number"):
        read_mot(root)
    info.write_text("nothing")
    with pytest.raises(TrovidError, match=r"seqinfo\.ini: cannot be read"):
        read_mot(root)
    with pytest.raises(TrovidError, match="holds no sequence"):
        read_mot(root, "test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,-1,10,5,8,20,0.9", r"a detection of frame 2 has no identity \(-1\): give results of"),
        ("1,4,30,5,8,20,0.2", "identity 4 is in frame 1 twice: keep one row"),
        ("2,4,10,5,0,20,0.9", "width and height must be above 0, but are 0 and 20: correct"),
        ("2,4,10,5,8,-20,0.9", "width and height must be above 0, but are 8 and -20"),
    ],
)
def test_results_that_cannot_be_measured_are_refused(root, row, message):
    file = root / "MOT17-04-SDP.txt"
    file.write_text(f"1,4,10,5,8,20,0.9\n{row}\n")
    with pytest.raises(TrovidError, match=rf"MOT17-04-SDP\.txt:2: {message}"):
        read_mot_results(file, read_mot(root))


def test_a_box_thinner_than_the_form_tells_is_still_one():
    boxes = torch.tensor([[1.0, 2, 1.001, 12]])
    found = Detections(boxes, torch.tensor([0.5]), torch.tensor([0]), ("a",))
    line = mot_lines(replace(found, track_ids=torch.tensor([3])))
    assert line == "1,3,1.0,2.0,0.01,10.0,0.5,-1,-1,-1\n"


def test_labels_written_and_read_back(root, tmp_path):
    labels = read_mot(root)
    assert write_dataset(tmp_path / "again", labels, "mot") == ["attributes"]
    again = read_mot(tmp_path / "again")
    assert again.class_names == labels.class_names
    assert [v.name for v in again.videos] == [v.name for v in labels.videos]
    for name in ("boxes", "labels", "instance_ids", "ignore", "frames"):
        assert np.array_equal(getattr(again.objects, name), getattr(labels.objects, name))
    assert again.open("MOT17-02-FRCNN").video.num_frames == 2
    cats = Dataset(["cat"], [], ObjectRows().objects())
    with pytest.raises(TrovidError, match="MOT Challenge has no class 'cat'"):
        write_dataset(tmp_path / "cats", cats, "mot")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x"])
def test_a_name_of_a_video_leads_nowhere_else(tmp_path, name):
    with pytest.raises(TrovidError, match="leads out of"):
        write_mot_results(tmp_path / "out", [(name, [])])
    assert not any(tmp_path.iterdir())
