"""`trovid data`: every action on a small folder."""

from __future__ import annotations

import json
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import FullStream, trovid_command
from tests.datasets.labelled_folder import folder_labels, labelled_folder, write_labels
from tests.media import encode
from trovid.datasets.reading import read_dataset, read_split, splits_of
from trovid.datasets.writing import FORMS
from trovid.runs.sinks.json import JsonWriter
from trovid.structures import Detections
from trovid.video.opening import open_video


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    return labelled_folder(tmp_path / "my-videos")


def same(one, other) -> bool:
    """Whether two data sets hold the same boxes of the same classes in the same frames."""
    mine, theirs = (
        sorted(
            (
                frame.frame_index,
                d.class_names[label],
                np.round(box, 1).tolist(),
            )
            for video in d.videos
            for frame in d.ground_truth(video.name)
            for label, box in zip(frame.labels.tolist(), frame.boxes.numpy(), strict=True)
        )
        for d in (one, other)
    )
    return len(mine) == len(theirs) and all(
        a[:2] == b[:2] and np.allclose(a[2], b[2], atol=0.11)
        for a, b in zip(mine, theirs, strict=True)
    )


def test_check_says_what_is_wrong(capsys, folder, tmp_path):
    sheet, out = tmp_path / "labels.png", tmp_path / "found.json"
    status, said, _ = trovid_command(
        capsys, "data", "check", folder, "--sheet", sheet, "--out", out
    )
    assert status == 0
    assert "no-val" in said
    assert "0 errors, 1 warnings" in said
    assert Image.open(sheet).size[0] > 300
    assert json.loads(out.read_text())["splits"][""]["objects"] == 30
    labels = folder_labels()
    labels["videos"]["street"]["0"][0]["box"] = [0, 0, 5000, 40]
    write_labels(folder, labels)
    status, said, _ = trovid_command(capsys, "data", "check", folder, "--json")
    assert status == 1
    (error,) = [f for f in json.loads(said)["findings"] if f["level"] == "error"]
    assert error["name"] == "box-too-large"
    assert error["places"] == ["street frame 0"]
    status, _, (line,) = trovid_command(capsys, "data", "check", folder / "labls.json")
    assert status == 2
    assert "did you mean 'labels.json'" in line


def test_stats(capsys, folder, tmp_path):
    plots = tmp_path / "stats.png"
    status, said, _ = trovid_command(capsys, "data", "stats", folder, "--plots", plots)
    assert status == 0
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["class", "boxes", "objects", "videos", "size", "speed", "length"]
    assert lines[1][:4] == ["all", "30", "10", "5"]
    assert lines[2][:4] == ["cup", "15", "5", "5"]
    assert Image.open(plots).size[0] > 300
    status, said, _ = trovid_command(capsys, "data", "stats", folder, "--json")
    assert json.loads(said)["star"]["sizes"] == pytest.approx([34.641] * 3, abs=1e-3)


def test_split_writes_the_division_down(capsys, folder, tmp_path):
    status, said, _ = trovid_command(capsys, "data", "split", folder, "--out", tmp_path / "parts")
    assert status == 0
    assert "train.json: 4 videos" in said
    parts = [read_dataset(tmp_path / "parts", split=split) for split in ("train", "val")]
    assert [len(part.videos) for part in parts] == [4, 1]
    assert len(parts[1].open(parts[1].videos[0].name)) == 6
    status, _, (line,) = trovid_command(
        capsys, "data", "split", folder, "--out", tmp_path / "parts"
    )
    assert status == 2
    assert "train.json: is there already" in line
    with redirect_stdout(FullStream()):
        status, _, _ = trovid_command(capsys, "data", "split", folder, "--out", tmp_path / "more")
    assert status == 2
    assert {path.name for path in (tmp_path / "more").iterdir()} == {"train.json", "val.json"}


def test_videos_of_other_splits_are_not_left_out_in_silence(capsys, folder, tmp_path):
    write_labels(folder, folder_labels() | {"val": ["park"]})
    parts, target = tmp_path / "parts", tmp_path / "x.json"
    status, _, (line,) = trovid_command(capsys, "data", "split", folder, "--out", parts)
    assert status == 2
    assert "has splits of its own (train, val)" in line
    assert not parts.exists()
    status, said, (line,) = trovid_command(capsys, "data", "convert", folder, target)
    assert status == 0
    assert "4 videos" in said
    assert "of train are taken, without val; `trovid data convert --split val`" in line
    words = ["data", "convert", folder, target, "--split", "val"]
    status, said, lines = trovid_command(capsys, *words)
    assert (status, lines) == (0, [])
    assert "1 videos" in said

    write_labels(folder, folder_labels() | {"test": ["park"]})
    status, said, (line,) = trovid_command(capsys, "data", "split", folder, "--out", parts)
    assert status == 0
    assert "val.json: 1 videos" in said
    assert "without test" in line


@pytest.mark.parametrize(
    ("form", "name", "losses"),
    [
        ("own", "out/labels.json", ["attributes"]),
        ("coco-vid", "out/labels.json", []),
        ("cvat", "out", ["crowd", "ignore", "attributes", "looked at", "masks"]),
        ("label-studio", "out/labels.json", ["crowd", "ignore", "attributes", "looked", "masks"]),
        ("yolo", "out", ["crowd", "ignore", "attributes", "instance ids", "masks"]),
    ],
)
def test_convert_says_what_is_lost_and_what_is_read_back_is_the_same(
    capsys, tmp_path, form, name, losses
):
    """Two videos, sparse labels, all that labels may hold."""
    for video in ("one", "two"):
        encode(tmp_path / f"{video}.mp4", num_frames=4)
    code = {"size": [64, 96], "counts": "XX1"}
    from trovid.structures import Masks

    full = np.zeros((1, 64, 96), dtype=bool)
    full[0, 10:30, 10:30] = True
    code["counts"] = Masks.from_dense(full).counts[0].decode()
    thing = {"class": "cup", "box": [10, 10, 30, 30], "id": 1, "mask": code}
    other = {"class": "star", "box": [50, 10, 70, 40], "id": 2}
    frames = {"0": [thing], "1": [thing | {"box": [12, 10, 32, 30]}, other], "3": []}
    more = {"0": [other | {"ignore": True}, other | {"crowd": True, "box": [1, 1, 9, 9], "id": 3}]}
    write_labels(tmp_path, {"videos": {"one.mp4": frames, "two.mp4": more}})
    if "attributes" in losses or form == "coco-vid":
        source = tmp_path / "full.json"
        trovid_command(capsys, "data", "convert", tmp_path, source, "--to", "coco-vid")
        document = json.loads(source.read_text())
        document["annotations"][0]["occluded"] = 1
        source.write_text(json.dumps(document))
    words = ["data", "convert", source, tmp_path / name, "--to", form]
    status, said, _ = trovid_command(capsys, *words)
    assert status == 0
    lost = [line for line in said.splitlines() if line.startswith("lost: ")]
    assert len(lost) == len(losses)
    assert all(any(word in line for line in lost) for word in losses)
    before = read_dataset(source)
    after = read_split(tmp_path / "out", None)
    if form in ("own", "coco-vid"):
        assert same(before, after)
        names = [v.name for v in after.videos]
        assert [after.labelled_frames(n).tolist() for n in names] == [[0, 1, 3], [0]]
        assert after.objects.masks is not None
        assert after.objects.ignore.sum() == after.objects.crowd.sum() == 1
    elif form == "yolo":
        assert len(after.objects) == 3
        assert len(after.videos) == 4
        assert splits_of(tmp_path / "out") == ("train", "val")
        val = read_split(tmp_path / "out", "val")
        assert [video.name for video in val.videos] == ["images/val/two_000000.png"]
    else:
        kept = before.objects[np.flatnonzero(before.objects.counted)]
        assert len(after.objects) == len(kept) == 3
        assert np.allclose(np.sort(after.objects.boxes, 0), np.sort(kept.boxes, 0), atol=0.1)


def test_predictions_go_into_a_labelling_tool(capsys, tmp_path):
    import torch

    path = encode(tmp_path / "street.mp4", num_frames=3)
    video = open_video(path).video
    found = [
        Detections(
            boxes=torch.tensor([[10.0 + i, 10, 40 + i, 40], [60, 5, 90, 20]]),
            scores=torch.tensor([0.9, 0.1]),
            labels=torch.tensor([0, 1]),
            class_names=("cup", "star"),
            frame_index=i,
            image_size=(64, 96),
        )
        for i in range(3)
    ]
    predictions = tmp_path / "found.json"
    with JsonWriter(
        predictions, model="m", class_names=["cup", "star"], options={}, provenance={}
    ) as writer:
        writer.write_video(video, path, found)
    target = tmp_path / "tasks.json"
    words = ["data", "convert", predictions, target, "--to", "label-studio"]
    status, said, _ = trovid_command(capsys, *words)
    assert status == 0
    assert "1 videos, 3 boxes as label-studio" in said
    dataset = read_dataset(target)
    assert len(dataset.objects) == 3
    assert len(set(dataset.objects.instance_ids.tolist())) == 1


def test_view(capsys, folder, tmp_path):
    sheet = tmp_path / "some.png"
    status, said, _ = trovid_command(capsys, "data", "view", folder, "--out", sheet)
    assert (status, said) == (0, f"{sheet}\n")
    assert Image.open(sheet).size[0] > 300
    target = tmp_path / "street.mp4"
    status, _, _ = trovid_command(capsys, "data", "view", folder, "street", "--out", target)
    assert status == 0
    assert len(open_video(target)) == 6
    status, _, (line,) = trovid_command(capsys, "data", "view", folder, "stret")
    assert status == 2
    assert "did you mean 'street'" in line


def test_convert_names_every_form(capsys, folder, tmp_path):
    _, text, _ = trovid_command(capsys, "data", "convert", "--help")
    said = text.replace("\n", " ")
    assert all(f" {form} (" in said or f" {form}," in said for form in FORMS)
    status, _, (complaint,) = trovid_command(capsys, "data", "convert", folder, tmp_path / "x")
    assert status == 2
    assert all(form in complaint for form in FORMS)
