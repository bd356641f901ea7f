"""Every fault that is planted is named as what it is, and what is right is called right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.datasets.labelled_folder import (
    coco_vid_labels,
    folder_labels,
    labelled_folder,
    write_labels,
)
from tests.media import encode
from trovid.datasets.check import check_data
from trovid.datasets.findings import ERRORS, WARNINGS
from trovid.datasets.synthvid import write_split


def names(report: Any, level: str = "error") -> set[str]:
    return {finding.name for finding in report.findings if finding.level == level}


@pytest.fixture
def folder(tmp_path) -> Path:
    return labelled_folder(tmp_path / "own")


def test_what_is_right_is_called_right(folder, tmp_path):
    for labels in (folder_labels(), coco_vid_labels()):
        report = check_data(write_labels(folder, labels), cache=tmp_path / "cache")
        assert names(report) == set()
        assert names(report, "warning") == {"no-val"}
        assert report.counts[""]["objects"] == 30
    decoded = check_data(folder, decode=True)
    assert names(decoded) == set()


def test_synthvid_is_called_right(tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path, split=split, videos=2, workers=1, num_frames=24)
    report = check_data(tmp_path)
    assert names(report) == set()
    assert {split: counts["videos"] for split, counts in report.counts.items()} == {
        "train": 2,
        "val": 2,
    }


def every_box(labels: dict, change: Callable[[list], list]) -> None:
    for frames in labels["videos"].values():
        for objects in frames.values():
            for thing in objects:
                thing["box"] = change(thing["box"])


def one_box(labels: dict, box: list) -> None:
    labels["videos"]["street"]["2"][0]["box"] = box


def own_fault(change: Callable[[dict, Path], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        labels = folder_labels()
        change(labels, folder)
        write_labels(folder, labels)

    return plant


def coco_fault(change: Callable[[dict, Path], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        labels = coco_vid_labels()
        change(labels, folder)
        write_labels(folder, labels)

    return plant


def as_corners(labels: dict, folder: Path) -> None:
    for record in labels["annotations"]:
        x, y, width, height = record["bbox"]
        record["bbox"] = [x, y, x + width, y + height]


def normalised(labels: dict, folder: Path) -> None:
    for record in labels["annotations"]:
        x, y, width, height = record["bbox"]
        record["bbox"] = [x / 96, y / 64, width / 96, height / 64]


def without_file_names(labels: dict, folder: Path) -> None:
    for image in labels["images"]:
        del image["file_name"]


def stray(labels: dict, folder: Path) -> None:
    Image.new("RGB", (96, 64)).save(folder / "street" / "0000_thumbnail.png")


def stray_unnamed(labels: dict, folder: Path) -> None:
    without_file_names(labels, folder)
    stray(labels, folder)


def lost(labels: dict, folder: Path) -> None:
    without_file_names(labels, folder)
    (folder / "street" / "0003.png").unlink()


def lost_by_name(labels: dict, folder: Path) -> None:
    (folder / "street" / "0003.png").unlink()


def exchanged(labels: dict, folder: Path) -> None:
    one, other = labels["images"][0], labels["images"][1]
    one["file_name"], other["file_name"] = other["file_name"], one["file_name"]


def swapped_size(labels: dict, folder: Path) -> None:
    for video in labels["videos"]:
        video["width"], video["height"] = video["height"], video["width"]


def other_size(labels: dict, folder: Path) -> None:
    for video in labels["videos"]:
        video["width"], video["height"] = 960, 640


def cut_off(labels: dict, folder: Path) -> None:
    file = folder / "street" / "0006.png"
    file.write_bytes(file.read_bytes()[:60])


def empty(labels: dict, folder: Path) -> None:
    (folder / "street" / "0004.png").write_bytes(b"")


def no_objects(labels: dict, folder: Path) -> None:
    for frames in labels["videos"].values():
        for frame in frames:
            frames[frame] = []


def short_video(labels: dict, folder: Path) -> None:
    encode(folder / "short.mp4", num_frames=4)
    record = {"id": 9, "name": "short", "file_name": "short.mp4"}
    labels["videos"].append({**record, "width": 96, "height": 64, "num_frames": 12})


FAULTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "corners": ("box-xyxy", coco_fault(as_corners)),
    "sizes": (
        "box-xywh",
        own_fault(
            lambda labels, folder: every_box(
                labels, lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]
            )
        ),
    ),
    "shares": ("box-normalised", coco_fault(normalised)),
    "shares of corners": (
        "box-normalised",
        own_fault(
            lambda labels, folder: every_box(
                labels, lambda b: [b[0] / 96, b[1] / 64, b[2] / 96, b[3] / 64]
            )
        ),
    ),
    "5000 wide": ("box-too-large", own_fault(lambda labels, _: one_box(labels, [3, 3, 5000, 40]))),
    "outside": ("box-outside", own_fault(lambda labels, _: one_box(labels, [100, 3, 140, 40]))),
    "no width": ("box-degenerate", own_fault(lambda labels, _: one_box(labels, [9, 3, 9, 40]))),
    "size exchanged": ("size-swapped", coco_fault(swapped_size)),
    "other size": ("size-differs", coco_fault(other_size)),
    "stray picture": ("stray-picture", coco_fault(stray)),
    "stray picture, files not named": ("stray-picture", coco_fault(stray_unnamed)),
    "missing frame": ("missing-frame", coco_fault(lost)),
    "missing frame, files named": ("missing-frame", coco_fault(lost_by_name)),
    "short video": ("missing-frame", coco_fault(short_video)),
    "wrong order": ("frame-order", coco_fault(exchanged)),
    "cut off": ("unreadable-frame", own_fault(cut_off)),
    "empty file": ("empty-file", own_fault(empty)),
    "nothing labelled": ("no-objects", own_fault(no_objects)),
    "unknown class": (
        "unknown-class",
        coco_fault(lambda labels, _: labels["annotations"][3].update(category_id=77)),
    ),
    "repeated id": (
        "repeated-id",
        own_fault(lambda labels, _: labels["videos"]["street"]["2"][1].update(id=1)),
    ),
    "missing video": (
        "missing-video",
        own_fault(lambda labels, folder: shutil.rmtree(folder / "yard")),
    ),
    "missing video, measures stated": (
        "missing-video",
        coco_fault(lambda labels, folder: shutil.rmtree(folder / "yard")),
    ),
    "no video": (
        "unreadable-video",
        own_fault(
            lambda labels, folder: (
                (folder / "odd.mp4").write_bytes(b"not a video at all"),
                labels["videos"].update({"odd.mp4": {}}),
            )
        ),
    ),
    "frame beyond the end": (
        "frame-outside",
        own_fault(lambda labels, _: labels["videos"]["street"].update({"70": []})),
    ),
    "zero-length video": (
        "empty-video",
        coco_fault(lambda labels, _: labels["videos"][0].update(num_frames=0)),
    ),
    "half a file": (
        "unreadable-labels",
        lambda folder: write_labels(folder, json.dumps(folder_labels())[:400]),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named(folder, fault):
    name, plant = FAULTS[fault]
    plant(folder)
    report = check_data(folder)
    assert names(report) >= {name}, [str(finding) for finding in report.findings]
    consequences = {"zero-length video": {"unreadable-labels"}}
    others = names(report) - {name} - consequences.get(fault, set())
    assert others == set(), [str(finding) for finding in report.findings]
    assert all("\n" not in str(finding) for finding in report.findings)


def jump(labels: dict, folder: Path) -> None:
    for video in labels["videos"].values():
        video["2"][0]["box"], video["0"][0]["box"] = [90, 58, 95, 63], [1, 1, 6, 6]


def beyond(labels: dict, folder: Path) -> None:
    labels["videos"]["street"]["2"][0]["box"] = [80, 10, 105, 40]


def without_ids(labels: dict, folder: Path) -> None:
    for frames in labels["videos"].values():
        for thing in (thing for things in frames.values() for thing in things):
            del thing["id"]


HINTS = {
    "jumping-id": jump,
    "id-of-two-classes": lambda labels, _: labels["videos"]["street"]["2"][0].update(
        {"class": "star"}
    ),
    "box-beyond-frame": beyond,
    "box-tiny": lambda labels, _: one_box(labels, [10, 10, 11, 30]),
    "repeated-box": lambda labels, _: labels["videos"]["yard"]["2"].append(
        {**labels["videos"]["yard"]["2"][0], "id": 5}
    ),
    "unused-class": lambda labels, _: labels.update(classes=["cup", "star", "gear"]),
    "unlabelled-video": lambda labels, _: labels["videos"].update(yard={}),
    "repeated-video": lambda labels, folder: (
        shutil.rmtree(folder / "yard"),
        shutil.copytree(folder / "park", folder / "yard"),
    ),
    "no-ids": without_ids,
    "frame-gap": lambda labels, folder: (folder / "yard" / "0003.png").unlink(),
}


@pytest.mark.parametrize("name", HINTS)
def test_what_may_be_meant_so_is_a_warning(folder, name):
    labels = folder_labels()
    HINTS[name](labels, folder)
    report = check_data(write_labels(folder, labels))
    assert names(report) == set(), [str(finding) for finding in report.findings]
    assert names(report, "warning") == {name, "no-val"}


def test_what_becomes_of_a_box_beyond_its_frame(folder):
    labels = folder_labels()
    beyond(labels, folder)
    (finding,) = (
        found
        for found in check_data(write_labels(folder, labels)).findings
        if found.name == "box-beyond-frame"
    )
    assert finding.message.endswith("training cuts it there, evaluation does not")


def write_splits(folder: Path, **splits: dict) -> Path:
    (folder / "labels.json").unlink()
    for split, labels in splits.items():
        (folder / f"{split}.json").write_text(json.dumps(labels))
    return folder


def test_what_splits_contradict_each_other_in(folder):
    train, val = folder_labels(("street", "yard")), folder_labels(("yard", "park"))
    train["classes"], val["classes"] = ["cup", "star"], ["star", "cup"]
    for frames in train["videos"].values():
        for objects in frames.values():
            del objects[1]
    report = check_data(write_splits(folder, train=train, val=val))
    assert names(report) == {"duplicate-video", "classes-differ"}
    messages = {finding.name: finding.message for finding in report.findings}
    assert "the same classes as in train, but in another order" in messages["classes-differ"]
    assert "yard" in messages["duplicate-video"]
    val["classes"] = train["classes"]
    (folder / "val.json").write_text(json.dumps(val))
    assert "class-not-in-train" in names(check_data(folder), "warning")


def test_a_copy_under_another_name_in_another_split_is_found(folder):
    shutil.copytree(folder / "park", folder / "copy")
    splits = {"train": folder_labels(("street", "park")), "val": folder_labels(("copy",))}
    report = check_data(write_splits(folder, **splits))
    assert names(report) == {"duplicate-video"}


def test_files_are_looked_at_again_when_they_change(folder, tmp_path):
    cache = tmp_path / "cache"
    assert names(check_data(folder, cache=cache)) == set()
    middle = folder / "street" / "0003.png"
    content = middle.read_bytes()
    middle.write_bytes(content[:60])
    assert names(check_data(folder, cache=cache)) == set()  # not the first, not the last frame
    assert names(check_data(folder, cache=cache, decode=True)) == {"unreadable-frame"}
    middle.write_bytes(content)
    assert names(check_data(folder, cache=cache, decode=True)) == set()
    last = folder / "street" / "0006.png"
    last.write_bytes(last.read_bytes()[:60])
    assert names(check_data(folder, cache=cache)) == {"unreadable-frame"}
    (file,) = cache.iterdir()
    file.write_text("{")
    assert names(check_data(folder, cache=cache)) == {"unreadable-frame"}


def test_each_fault_has_one_level():
    assert not ERRORS.keys() & WARNINGS.keys()
