"""Impossible numbers in labels of every form: one line with the file and the place, no traceback.

The cause is one and is tried everywhere: whatever a text can write in the place of a number.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.imagenet_folder import write_imagenet
from tests.datasets.labelled_folder import coco_vid_labels, labelled_folder, write_frames
from tests.datasets.labelling_tools import CVAT, epic, label_studio
from tests.datasets.mot_folder import write_mot
from tests.datasets.stills_folders import mmtracking_document, voc_folder, yolo_folder
from tests.datasets.youtube_vis_folder import write_youtube_vis
from tests.media import encode
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.findings import Faults
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import check_ranges
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.structures import Video

NO_NUMBER = ("1e400", "-1e400", "NaN", "9" * 400, "9" * 5000, "1" + "0" * 30)
NO_JSON_NUMBER = (*NO_NUMBER, "true", '"5"', "[5]", "{}")
NO_SIZE = ("-5", "0", "1.5", "99999999")


def frames_of(folder: Path) -> Path:
    for number, name in enumerate(("street", "kitchen", "garden", "yard", "park")):
        write_frames(folder / name, shade=40 * number)
    return folder


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def with_video(folder: Path, name: str, text: str) -> Path:
    written(folder, name, text)
    encode(folder / "street.mp4", num_frames=8)
    return folder


FORMS = {
    "own": (labelled_folder, "labels.json"),
    "coco-vid": (
        lambda folder: written(
            frames_of(folder),
            "labels.json",
            json.dumps(
                {
                    **coco_vid_labels(),
                    "images": [{"width": 96, **x} for x in coco_vid_labels()["images"]],
                }
            ),
        ),
        "labels.json",
    ),
    "coco": (
        lambda folder: written(folder, "labels.json", json.dumps(mmtracking_document())),
        "labels.json",
    ),
    "youtube-vis": (write_youtube_vis, "train/instances.json"),
    "label-studio": (
        lambda folder: with_video(folder, "labels.json", json.dumps(label_studio())),
        "labels.json",
    ),
    "mix": (
        lambda folder: written(
            labelled_folder(folder / "own").parent,
            "mix.json",
            '{"mix": [{"data": "own", "weight": 1}]}',
        ),
        "mix.json",
    ),
    "cvat": (lambda folder: with_video(folder, "annotations.xml", CVAT), "annotations.xml"),
    "voc": (voc_folder, "Annotations/a.xml"),
    "yolo": (yolo_folder, "labels/train/train.txt"),
    "epic": (epic, "annotations/EPIC_train_object_labels.csv"),
    "mot": (lambda folder: write_mot(folder, "MOT17-02-DPM"), "train/MOT17-02-DPM/gt/gt.txt"),
    "seqinfo": (lambda folder: write_mot(folder, "MOT17-02-DPM"), "train/MOT17-02-DPM/seqinfo.ini"),
    "imagenet": (
        write_imagenet,
        "Annotations/VID/val/ILSVRC2015_val_00000000/000000.xml",
    ),
    "imagenet-list": (write_imagenet, "ImageSets/VID_train_15frames.txt"),
}
"""By form what writes it, and the file that is changed."""

PLACES: list[tuple[str, str, tuple[str, ...]]] = [
    ("own", r'(?<="box": \[)10', NO_JSON_NUMBER),
    ("own", r'(?<="id": )1', (*NO_JSON_NUMBER, "-5", "1.5")),
    ("own", r'(?<="street": \{)"0"', ('"-1"', '"6"', f'"{"9" * 5000}"', '"1e400"', '"0.5"')),
    ("own", r'(?="id": 1)', ('"ignore": "no", ', '"crowd": NaN, ', '"ignore": 2, ')),
    ("own", r'(?="videos")', ('"val": [["street"]], ', '"val": [5], ', '"classes": [1e400], ')),
    ("coco-vid", r'(?<="bbox": \[)10', NO_JSON_NUMBER),
    ("coco-vid", r'(?<="num_frames": )6', (*NO_JSON_NUMBER, *NO_SIZE)),
    ("coco-vid", r'(?<="width": )96', (*NO_JSON_NUMBER, *NO_SIZE)),
    ("coco-vid", r'(?<="frame_index": )0', (*NO_JSON_NUMBER, "-5", "6")),
    ("coco-vid", r'(?<="width": )96(?=, "id": 1)', (*NO_JSON_NUMBER, *NO_SIZE, "95")),
    ("coco-vid", r'(?="bbox")', ('"area": NaN, ', '"x": 1e400, ', '"iscrowd": "no", ')),
    ("coco-vid", r'(?="num_frames")', ('"frame_rate": -1, ', '"frame_rate": 1e30, ')),
    ("coco", r'(?<="bbox": \[)10', NO_JSON_NUMBER),
    ("coco", r'(?<="width": )96', (*NO_JSON_NUMBER, *NO_SIZE)),
    ("coco", r'(?<="area": )100', NO_NUMBER),
    ("coco", r'(?<="instance_id": )7', (*NO_JSON_NUMBER, "-5", "1.5")),
    ("coco", r'(?<="segmentation": \[\[)12', NO_JSON_NUMBER),
    ("coco", r'(?="name": "train/v")', ('"fps": -1, ', '"fps": 1e30, ')),
    ("coco", r'(?="bbox")', ('"ignore": "no", ', '"weight": 1e400, ')),
    ("youtube-vis", r'(?<="bboxes": \[\[)0', NO_JSON_NUMBER),
    ("youtube-vis", r'(?<="areas": \[)36', NO_JSON_NUMBER),
    ("youtube-vis", r'(?<="id": )7', (*NO_JSON_NUMBER, "-5")),
    ("youtube-vis", r'(?<="length": )\d+', (*NO_JSON_NUMBER, *NO_SIZE)),
    ("label-studio", r'(?<="x": )10', NO_JSON_NUMBER),
    ("label-studio", r'(?<="width": )20', (*NO_JSON_NUMBER, "-5", "0")),
    ("label-studio", r'(?<="frame": )2', (*NO_JSON_NUMBER, "0", "-1", "1.5", "9")),
    ("mix", r'(?<="weight": )1', (*NO_JSON_NUMBER, "0", "-1")),
    ("mix", r"(?<=.mix.: )\[.*\]", ("5", "{}", "null", '["own"]', '[{"data": "mix.json"}]')),
    ("cvat", r'(?<=xtl=")10.0', (*NO_NUMBER, "x", "50")),
    ("cvat", r'(?<=frame=")1', (*NO_NUMBER, "x", "-1", "1.5")),
    ("cvat", r'(?<=track id=")0', (*NO_NUMBER, "x", "-1", "1.5")),
    ("cvat", r"(?<=<size>)8", (*NO_NUMBER, "x", "-1", "1.5")),
    ("cvat", r"(?<=<start_frame>)0", (*NO_NUMBER, "x", "-1", "1.5")),
    ("voc", r"(?<=<xmin>)11", (*NO_NUMBER, "x")),
    ("voc", r"(?<=<width>)96", (*NO_NUMBER, "x", *NO_SIZE)),
    ("voc", r"(?<=<name>)cat", ("", " ")),
    ("yolo", r"0\.25", (*NO_NUMBER, "x", "25")),
    ("yolo", r"0\.1", ("-0.1", "0", "-1e400")),
    ("yolo", r"^0", (*NO_NUMBER, "-1", "0.5", "2")),
    ("yolo", r"0\.25 .*", tuple(f"0.1 0.2 0.3 0.2 {n} 0.6" for n in (*NO_NUMBER, "1e308"))),
    ("epic", r"20(?=,bag)", (*NO_NUMBER, "-1", "x", "")),
    ("epic", r"31(?=,)", (*NO_NUMBER, "-1", "x", "")),
    (
        "epic",
        r"(?<=\()100",
        ("9" * 400, "9" * 5000, "1" + "0" * 30, "nan", "1.2.3", " " * 9000),
    ),
    ("mot", r"(?<=1,1,)10", (*NO_NUMBER, "x")),
    ("mot", r"^1", (*NO_NUMBER, "x", "0", "-1", "1.5", "3")),
    ("mot", r"(?<=^1,)1", (*NO_NUMBER, "x", "1.5")),
    ("seqinfo", r"(?<=seqLength=)2", (*NO_NUMBER, "x", *NO_SIZE)),
    ("seqinfo", r"(?<=frameRate=)30", (*NO_NUMBER, "x", "-1")),
    ("imagenet", r"(?<=<xmax>)60", (*NO_NUMBER, "x", "1.5")),
    ("imagenet", r"(?<=<width>)160", (*NO_NUMBER, "x", *NO_SIZE)),
    ("imagenet", r"(?<=<occluded>)0", (*NO_NUMBER, "x", "-1")),
    ("imagenet-list", r"(?<=1 )0(?= 8)", (*NO_NUMBER, "x", "-1", "8")),
    ("imagenet-list", r"(?<=1 0 )8", (*NO_NUMBER, "x", "-1", "0")),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    return {
        form: write(tmp_path_factory.mktemp(form) / "data") for form, (write, _) in FORMS.items()
    }


def answer(path: Path, split: str | None) -> str | None:
    """What is said of the labels; None where they are taken."""
    try:
        read_dataset(path, split=split)
    except TrovidError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("form", "place", "values"), PLACES, ids=lambda x: str(x)[:40])
def test_an_impossible_number_is_one_line(folders, form, place, values):
    folder, name = folders[form], FORMS[form][1]
    file = folder / name
    path = file if form in ("mix", "coco") else folder
    split = "train" if form in ("voc", "yolo", "imagenet-list", "youtube-vis") else None
    split = "val" if form == "imagenet" else split
    whole = file.read_text()
    read_dataset(path, split=split)
    taken = []
    try:
        for value in values:
            changed = re.sub(place, lambda _, new=value: new, whole, count=1)
            assert changed != whole
            file.write_text(changed)
            said = answer(path, split)
            if said is None or Path(name).name not in said or not said.isprintable():
                taken.append((value[:40], said))
            elif len(said) > 700:
                taken.append((value[:40], said[:700]))
    finally:
        file.write_text(whole)
    assert taken == []


@pytest.mark.parametrize(
    ("video", "row", "message"),
    [
        ({}, {"box": (0, 0, np.inf, 4)}, r"video 'v' frame 0: a box must have four finite"),
        ({}, {"box": (0, 0, np.nan, 4)}, r"video 'v' frame 0: a box must have four finite"),
        ({}, {"frame": 3}, r"video 'v' frame 3: the frame must lie within its video"),
        ({}, {"attributes": {"area": np.inf}}, r"video 'v' frame 0: area must be finite"),
        ({"width": 10**8}, {}, r"video 'v': width must lie in"),
        ({"num_frames": 10**30}, {}, r"video 'v': num_frames must lie in"),
        ({"frame_rate": np.inf}, {}, r"video 'v': the frame rate must lie in"),
        ({"frame_rate": np.nan}, {}, r"video 'v': the frame rate must lie in"),
        ({"class": " "}, {}, r"class 0 must have a name"),
    ],
)
def test_no_reader_hands_on_what_is_out_of_range(tmp_path, video, row, message):
    """The last look, for what a reader forgets."""
    rows = ObjectRows()
    row = {"frame": 0, "box": (0, 0, 4, 4), **row}
    rows.add(0, row.pop("frame"), 0, row.pop("box"), **row)
    measures = {"num_frames": 3, "height": 8, "width": 8, "frame_rate": 1.0, **video}
    names = [str(measures.pop("class", "cup"))]
    dataset = Dataset(names, [VideoEntry(Video("v", **measures), "v", [0])], rows.objects())
    with pytest.raises(TrovidError, match=f"labels.x: {message}"):
        check_ranges(dataset, Path("labels.x"), Faults())
    faults = Faults(collect=True)
    check_ranges(dataset, Path("labels.x"), faults)
    assert [found.name for found in faults.findings()] == ["unreadable-labels"]
