"""YouTube-VIS in and out: a small data set in its layout, results there and back, damage."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.datasets.youtube_vis_folder import LENGTH, document, square, write_youtube_vis
from trovid.datasets.reading import read_dataset, splits_of
from trovid.datasets.true_tracks import true_tracks
from trovid.datasets.writing import write_dataset
from trovid.datasets.youtube_vis import read_youtube_vis
from trovid.datasets.youtube_vis_results import (
    read_youtube_vis_results,
    write_youtube_vis_results,
)
from trovid.errors import TrovidError
from trovid.evaluation import evaluate_vis
from trovid.evaluation.protocols.youtube_vis import match_tracks, vis_figures


def write(folder, labels=None):
    path = folder / "train.json"
    path.write_text(json.dumps(document() if labels is None else labels))
    return path


def test_a_data_set_in_its_layout(tmp_path):
    root = write_youtube_vis(tmp_path)
    assert splits_of(root) == ("train",)
    labels = read_dataset(root, split=None)
    assert labels.class_names == ("cat", "dog")
    assert [v.name for v in labels.videos] == ["0043f083b5", "00f1a9c2d7"]
    assert labels.labelled_frames("0043f083b5").tolist() == [0, 1, 2]
    first, second, third = labels.ground_truth("0043f083b5", masks=True)
    assert first.labels.tolist() == [1, 0]
    assert first.instance_ids.tolist() == [7, 8]
    assert first.boxes.tolist() == [[0, 0, 6, 6], [20, 10, 29, 19]]
    assert first.attributes["area"].tolist() == [36, 81]
    assert torch.equal(second.masks.dense(0)[0], torch.from_numpy(square(3, 1)))
    assert third.labels.tolist() == [0]
    with labels.open("0043f083b5") as reader:
        assert reader.video.num_frames == LENGTH
        assert next(iter(reader)).image.shape == (24, 32, 3)


def test_hidden_labels_and_local_validation(tmp_path):
    root = write_youtube_vis(tmp_path)
    hidden = read_youtube_vis(root, "val")
    assert len(hidden.objects) == 0
    assert hidden.labelled_frames("0043f083b5").tolist() == []
    # the dog is in the first video alone, so only the second can be spared
    val = read_dataset(root, split="val")
    assert [v.name for v in val.videos] == ["00f1a9c2d7"]
    assert val.info["video_ids"]["00f1a9c2d7"] == 11


@pytest.mark.parametrize("layout", ["2019", "ovis"])
def test_other_layouts(tmp_path, layout):
    root = write_youtube_vis(tmp_path / "x")
    if layout == "2019":
        (root / "train/instances.json").rename(root / "train.json")
        (root / "valid/instances.json").rename(root / "valid.json")
    else:
        (root / "train/instances.json").rename(root / "annotations_train.json")
        (root / "train/JPEGImages").rename(root / "frames")
        (root / "train").rmdir()
        (root / "frames").rename(root / "train")
    labels = read_dataset(root, split=None)
    assert labels.open("00f1a9c2d7").video.num_frames == LENGTH


@pytest.mark.parametrize("name", ["results.json", "results.zip"])
def test_results_there_and_back(tmp_path, name):
    labels = read_youtube_vis(write(tmp_path))
    true = {video.name: true_tracks(labels, video.name) for video in labels.videos}
    path = tmp_path / name
    write_youtube_vis_results(path, true.items(), labels)
    text = path.read_text() if name.endswith("json") else zipfile.ZipFile(path).read("results.json")
    rows = json.loads(text)
    assert [(r["video_id"], r["category_id"], r["score"]) for r in rows] == [
        (10, 4, 1.0),
        (10, 2, 1.0),
        (11, 2, 1.0),
    ]
    assert [code is None for code in rows[0]["segmentations"]] == [False, False, True]
    found = read_youtube_vis_results(path, labels)
    overall, _ = vis_figures(match_tracks(found, true), 2)
    assert (overall.ap, overall.ar1, overall.num_objects) == (1, 1, 3)


def test_results_of_nothing(tmp_path):
    labels = read_youtube_vis(write(tmp_path))
    path = tmp_path / "results.json"
    write_youtube_vis_results(path, [], labels)
    assert {n: len(t) for n, t in read_youtube_vis_results(path, labels).items()} == {
        "0043f083b5": 0,
        "00f1a9c2d7": 0,
    }


FAULTS = [
    (("videos", 0, "length"), 4, r"videos\[0\].length is 4, but `file_names` has 3"),
    (("videos", 0, "file_names", 1), "../x.jpg", r"file_names\[1\]: '../x.jpg' leads out of"),
    (("videos", 0, "file_names", 1), "0043f083b5/19.jpg", "but by its name before it"),
    (("videos", 0, "width"), 0, r"videos\[0\].width must lie in"),
    (("videos", 1, "id"), 10, r"videos\[1\].id repeats 10"),
    (("annotations", 0, "video_id"), 3, r"annotations\[0\].video_id is 3, but no video"),
    (("annotations", 0, "category_id"), 9, r"annotations\[0\].category_id is 9"),
    (("annotations", 0, "segmentations"), [None], r"segmentations must have one entry a frame"),
    (("annotations", 1, "segmentations", 1, "counts"), "R1", r"segmentations\[1\] covers 34 pix"),
    (("annotations", 1, "segmentations", 2, "counts"), [5], r"segmentations\[2\] covers 5 pixels"),
    (("annotations", 1, "segmentations", 2, "size"), [5, 5], r"must be of size \[24, 32\]"),
    (("annotations", 1, "bboxes", 0), [1, 2, 3], r"bboxes\[0\] must be four numbers"),
    (("annotations", 1, "areas", 0), "big", r"areas\[0\] must be a number, but is str 'big'"),
    (("categories",), [], "`categories` is empty"),
]


@pytest.mark.parametrize(("place", "value", "message"), FAULTS)
def test_damaged_labels_are_named(tmp_path, place, value, message):
    labels = document()
    holder = labels
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with pytest.raises(TrovidError, match=rf"train\.json: .*{message}") as error:
        read_youtube_vis(write(tmp_path, labels))
    assert "\n" not in str(error.value)


def test_cut_off_files_are_named(tmp_path):
    path = write(tmp_path)
    text = path.read_text()
    for cut in (3, len(text) // 3, len(text) - 2):
        path.write_text(text[:cut])
        with pytest.raises(TrovidError, match=r"train\.json"):
            read_youtube_vis(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_id": 1}, r"\[0\].video_id is 1, but the labels have no such id"),
        ({"category_id": 3}, r"\[0\].category_id is 3"),
        ({"score": "high"}, r"\[0\].score does not fit: it is str 'high'"),
        ({"score": float("nan")}, r"\[0\].score is not finite"),
        ({"segmentations": [None]}, r"one entry a frame \(3\), but has 1"),
        ({"segmentations": [None, {"size": [24, 32], "counts": "R1"}, None]}, "covers 34 pixels"),
    ],
)
def test_damaged_results_are_named(tmp_path, change, message):
    labels = read_youtube_vis(write(tmp_path))
    row = {"video_id": 10, "category_id": 4, "score": 0.5, "segmentations": [None] * 3}
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**row, **change}]))
    with pytest.raises(TrovidError, match=message):
        read_youtube_vis_results(path, labels)
    path.write_text("{}")
    with pytest.raises(TrovidError, match="must hold a list of tracks"):
        read_youtube_vis_results(path, labels)
    (tmp_path / "results.zip").write_bytes(b"PK nonsense")
    with pytest.raises(TrovidError, match=r"results\.zip: cannot be read"):
        read_youtube_vis_results(tmp_path / "results.zip", labels)


def test_crowds_empty_masks_and_missing_boxes(tmp_path):
    labels = document()
    labels["annotations"][0]["iscrowd"] = 1
    labels["annotations"][0]["segmentations"][1]["counts"] = [24 * 32]
    labels["annotations"][0]["segmentations"][1]["size"] = [24, 32]
    labels["annotations"][0]["bboxes"][1] = None
    del labels["annotations"][2]["bboxes"], labels["annotations"][2]["areas"]
    found = read_youtube_vis(write(tmp_path, labels))
    first, second, _ = found.ground_truth("0043f083b5")
    assert first.crowd.tolist() == [True, False]
    assert second.instance_ids.tolist() == [8]
    assert found.ground_truth("00f1a9c2d7")[1].boxes.tolist() == [[5, 5, 11, 11]]
    assert np.isnan(found.objects.attributes["area"][-1])
    assert true_tracks(found, "0043f083b5").crowd.tolist() == [True, False]
    assert true_tracks(found, "00f1a9c2d7").sizes.tolist() == [36]


def test_labels_written_and_read_back(tmp_path):
    labels = read_youtube_vis(write_youtube_vis(tmp_path / "first"))
    path = tmp_path / "again" / "train.json"
    assert write_dataset(path, labels, "youtube-vis") == ["attributes"]
    again = read_dataset(path.parent, split=None)
    assert [v.name for v in again.videos] == [v.name for v in labels.videos]
    for name in ("boxes", "labels", "frames", "masks", "crowd"):
        assert np.array_equal(getattr(again.objects, name), getattr(labels.objects, name))
    assert again.open("00f1a9c2d7").video.num_frames == LENGTH
    boxes = read_dataset(path)
    boxes.objects = replace(boxes.objects, masks=None)
    with pytest.raises(TrovidError, match="is of masks, and these labels have none"):
        write_dataset(path, boxes, "youtube-vis")


def test_amodal_masks_stay_amodal_where_visible_parts_are_lost(tmp_path):
    labels = read_dataset(write_youtube_vis(tmp_path), split=None)
    assert not labels.amodal
    labels.objects = replace(labels.objects, visible_masks=labels.objects.masks)
    target = tmp_path / "again.json"
    assert write_dataset(target, labels, "youtube-vis")[0].startswith("what of each object can be")
    again = read_youtube_vis(target)
    tracks = {video.name: true_tracks(again, video.name) for video in again.videos}
    report = evaluate_vis(tracks, again)
    assert "amodal" in report.head["masks"]
    assert report.visible is None
