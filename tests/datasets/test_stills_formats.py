"""Pictures with labels: COCO, Pascal VOC and YOLO, written by supervision, and damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.datasets.stills_folders import mmtracking_document, voc_folder, yolo_folder
from tests.shared import SHARED
from trovid.datasets.check import check_data
from trovid.datasets.reading import format_of, read_dataset, read_split, splits_of
from trovid.errors import TrovidError

CLASSES = ["cat", "dog"]
BOXES = {"a.jpg": [[10, 5, 40, 30], [50, 20, 90, 60]], "b.jpg": [[0, 0, 96, 64]], "c.jpg": []}
LABELS = {"a.jpg": [0, 1], "b.jpg": [1], "c.jpg": []}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The same three pictures in the three forms, by supervision."""
    supervision = pytest.importorskip("supervision")
    folder = tmp_path_factory.mktemp("written")
    images, annotations = {}, {}
    for name, boxes in BOXES.items():
        path = folder / "source" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (96, 64), (len(images) * 60, 90, 30)).save(path)
        images[str(path)] = np.array(Image.open(path))
        annotations[str(path)] = supervision.Detections(
            xyxy=np.array(boxes, dtype=float).reshape(-1, 4),
            class_id=np.array(LABELS[name], dtype=int),
        )
    dataset = supervision.DetectionDataset(
        classes=CLASSES, images=list(images), annotations=annotations
    )
    voc = folder / "voc"
    dataset.as_pascal_voc(str(voc / "JPEGImages"), str(voc / "Annotations"))
    yolo = folder / "yolo"
    dataset.as_yolo(str(yolo / "images"), str(yolo / "labels"), str(yolo / "data.yaml"))
    text = (yolo / "data.yaml").read_text()
    (yolo / "data.yaml").write_text(text + "train: images\n")
    coco = folder / "coco"
    dataset.as_coco(str(coco / "images"), str(coco / "labels.json"))
    return folder


@pytest.mark.parametrize(
    ("form", "name"), [("voc", "Pascal VOC"), ("yolo", "YOLO"), ("coco", "JSON")]
)
def test_what_supervision_writes_is_read(written, form, name):
    path = written / form
    assert format_of(path).name == name
    dataset = read_split(path, None)
    assert dataset.class_names == ("cat", "dog")
    by_name = {video.name.rpartition("/")[2]: video.name for video in dataset.videos}
    assert set(by_name) == set(BOXES)
    for short, full in by_name.items():
        (truth,) = dataset.ground_truth(full)
        assert truth.boxes.numpy() == pytest.approx(np.array(BOXES[short]).reshape(-1, 4), abs=0.1)
        assert truth.labels.tolist() == LABELS[short]
        assert dataset.labelled_frames(full).tolist() == [0]
        assert dataset.open(full).read([0])[0].image.shape == (64, 96, 3)
    report = check_data(path)
    assert report.errors == []


def test_voc_counts_pixels_from_one_and_ignores_what_is_difficult(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    assert splits_of(folder) == ("train",)
    dataset = read_dataset(folder, split="train")
    (truth,) = dataset.ground_truth("a.jpg")
    assert truth.boxes.tolist() == [[10, 5, 41, 31]]
    assert truth.counted.tolist() == [False]


def test_voc_is_of_the_picture_that_is_called_like_it(tmp_path, caplog):
    """Whatever a tool has left in `filename`, which may be another picture's."""
    folder = voc_folder(tmp_path / "voc", filename="b.jpg")
    Image.new("RGB", (96, 64)).save(folder / "JPEGImages/b.jpg")
    assert [video.name for video in read_split(folder, None).videos] == ["a.jpg"]
    (line,) = caplog.messages
    assert line.endswith("`filename` is not that of the XML: a.xml says 'b.jpg', a.jpg is taken")
    caplog.clear()
    Image.new("RGB", (96, 64)).save(folder / "JPEGImages/a.png")
    file = folder / "Annotations/a.xml"
    text = file.read_text()
    for stated, taken in (("a.png", "a.png"), ("a", "a.jpg"), (r"x\a.jpg", "a.jpg"), ("", "a.jpg")):
        file.write_text(text.replace("b.jpg", stated))
        assert [video.name for video in read_split(folder, None).videos] == [taken]
    assert caplog.messages == []
    file.with_name("other.xml").write_text(text)
    file.unlink()
    assert [video.name for video in read_split(folder, None).videos] == ["b.jpg"]


def test_voc_damaged(tmp_path):
    folder = voc_folder(tmp_path / "voc", xmax="wide")
    with pytest.raises(TrovidError, match=r"a\.xml: object 0: bndbox/xmax must be a number"):
        read_dataset(folder, split="train")
    file = folder / "Annotations/a.xml"
    file.write_text(file.read_text()[:120])
    with pytest.raises(TrovidError, match=r"a\.xml:\d+: is no XML") as error:
        read_dataset(folder, split="train")
    assert "\n" not in str(error.value)
    report = check_data(folder)
    assert "unreadable-labels" in {finding.name for finding in report.findings}


def test_yolo_as_ultralytics_lays_it_out(tmp_path):
    folder = yolo_folder(tmp_path / "yolo", names="{0: cat, 1: dog}")
    assert splits_of(folder) == ("train", "val")
    dataset = read_dataset(folder, split="val")
    (truth,) = dataset.ground_truth("images/val/val.png")
    assert truth.boxes.tolist() == [[20, 20, 30, 30]]
    assert check_data(folder).errors == []


def test_yolo_polygons_are_masks(tmp_path):
    folder = yolo_folder(tmp_path / "yolo", line="1 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6")
    dataset = read_dataset(folder, split="train")
    (truth,) = dataset.ground_truth("images/train/train.png", masks=True)
    assert truth.boxes[0].tolist() == pytest.approx([10, 10, 30, 30])
    assert truth.masks.areas.tolist() == [400]


@pytest.mark.parametrize(
    ("line", "name", "message"),
    [
        ("0 25 25 10 10", "box-in-pixels", "must hold shares of the picture"),
        ("7 0.5 0.5 0.1 0.1", "unknown-class", r"class 7 must lie in 0\.\.1"),
        ("cat 0.5 0.5 0.1 0.1", "unreadable-labels", "must be `class x y width height`"),
        ("0 0.5 0.5 0.1", "unreadable-labels", "must be `class x y width height`"),
        ("0 0.5 0.5 0.1 nan", "unreadable-labels", "must be `class x y width height`"),
    ],
)
def test_yolo_damaged(tmp_path, line, name, message):
    folder = yolo_folder(tmp_path / "yolo", line=line)
    with pytest.raises(TrovidError, match=rf"train\.txt:1: .*{message}"):
        read_dataset(folder, split="train")
    assert name in {finding.name for finding in check_data(folder).errors}


def test_yolo_without_classes(tmp_path):
    folder = yolo_folder(tmp_path / "yolo")
    (folder / "data.yaml").write_text("train: [\n")
    with pytest.raises(TrovidError, match=r"data\.yaml:2: not YAML"):
        read_dataset(folder, split="train")
    (folder / "data.yaml").unlink()
    with pytest.raises(TrovidError, match="names no classes"):
        read_dataset(folder, split="train")


@pytest.fixture
def mmtracking(tmp_path):
    frames = tmp_path / "Data/VID/train/v"
    frames.mkdir(parents=True)
    (tmp_path / "annotations").mkdir()
    for i in range(5):
        Image.new("RGB", (96, 64), (i * 40, 0, 0)).save(frames / f"{i:06}.JPEG", format="JPEG")
    return tmp_path / "annotations" / "imagenet_vid_train.json"


def test_coco_vid_of_mmtracking(mmtracking):
    mmtracking.write_text(json.dumps(mmtracking_document()))
    dataset = read_dataset(mmtracking)
    (video,) = dataset.videos
    assert (video.name, video.num_frames) == ("train/v", 5)
    assert dataset.labelled_frames("train/v").tolist() == [1, 3]
    assert dataset.ids.frames[:, 1:].tolist() == [[0, index] for index in range(5)]
    first, second = dataset.ground_truth("train/v", frames=[1, 3])
    assert first.boxes.tolist() == [[10, 5, 40, 30]]
    assert first.instance_ids.tolist() == second.instance_ids.tolist() == [7]
    assert first.attributes["occluded"].tolist() == [1]
    assert dataset.objects.masks is not None
    assert len(dataset.open("train/v").read([4])) == 1
    assert check_data(mmtracking).errors == []


def test_frames_out_of_order_are_named(mmtracking):
    document = mmtracking_document()
    images = document["images"]
    images[1]["file_name"], images[2]["file_name"] = (
        images[2]["file_name"],
        images[1]["file_name"],
    )
    mmtracking.write_text(json.dumps(document))
    with pytest.raises(TrovidError, match=r"frame_id 2 is train/v/000001.JPEG, which by its name"):
        read_dataset(mmtracking)
    assert {finding.name for finding in check_data(mmtracking).errors} == {"frame-order"}


@pytest.mark.skipif(not (SHARED / "data/stills").is_dir(), reason="the shared stills are not here")
@pytest.mark.slow
def test_the_shared_stills_are_called_right(tmp_path):
    report = check_data(SHARED / "data/stills", cache=tmp_path)
    assert report.errors == []
    assert report.counts["train"]["videos"] == 5500
