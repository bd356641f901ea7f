"""CVAT for video, Label Studio video and EPIC-KITCHENS-55 in their real layouts, and damaged."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.datasets.labelling_tools import CVAT, epic, label_studio
from tests.media import encode
from trovid.datasets.check import check_data
from trovid.datasets.reading import format_of, read_dataset, splits_of
from trovid.errors import TrovidError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("video") / "street.mp4", num_frames=8)


@pytest.fixture
def folder(tmp_path, video):
    (tmp_path / "street.mp4").write_bytes(video.read_bytes())
    return tmp_path


def test_cvat_moves_boxes_evenly_between_key_frames(folder):
    path = folder / "annotations.xml"
    path.write_text(CVAT)
    for place in (path, folder):
        assert format_of(place).name == "CVAT for video"
    dataset = read_dataset(folder, split=None)
    assert dataset.class_names == ("car", "dog")
    assert dataset.labelled_frames("street.mp4").tolist() == list(range(8))
    truth = dataset.ground_truth("street.mp4")
    assert [frame.labels.tolist() for frame in truth] == [[], [0], [0], [0], [0], [0], [1], [1]]
    assert truth[3].boxes.tolist() == [[14, 10, 34, 40]]
    assert {i for frame in truth for i in frame.instance_ids.tolist()} == {0, 1}
    assert check_data(folder).errors == []


@pytest.mark.parametrize(
    ("start", "step", "size", "labelled", "sides"),
    [
        (1, 1, 6, [1, 2, 3, 4, 5, 6], {1: 10, 2: 12, 3: 14, 4: 16, 5: 18}),
        (1, 2, 3, [1, 3, 5], {1: 10, 3: 14, 5: 18}),
        (1, 4, 9, [1, 5], {1: 10, 5: 18}),
    ],
)
def test_cvat_counts_a_tasks_frames_in_the_video(folder, start, step, size, labelled, sides):
    """Of a task that begins later or has only every n-th frame, too."""
    text = CVAT.replace("<size>8", f"<frame_filter>step={step}</frame_filter><size>{size}")
    text = text.replace("<start_frame>0", f"<start_frame>{start}")
    text = text.replace('frame="6" keyframe="1" outside="1"', f'frame="{5 + step}" outside="1"')
    (folder / "annotations.xml").write_text(
        text.replace('frame="6" keyframe', 'frame="5" keyframe')
    )
    dataset = read_dataset(folder, split=None)
    assert dataset.labelled_frames("street.mp4").tolist() == labelled
    objects = dataset.objects[dataset.objects.labels == 0]
    found = zip(objects.frames.tolist(), objects.boxes[:, 0].tolist(), strict=True)
    assert dict(found) == sides
    assert check_data(folder).errors == []


@pytest.mark.parametrize(
    ("old", "new", "name", "message"),
    [
        ("<start_frame>0", "<start_frame>2", "frame-outside", r"frame 1 is none of .* 2\.\.9;"),
        ("<size>", "<frame_filter>step=0</frame_filter><size>", "unreadable-labels", "step must"),
        ('frame="5"', 'frame="9"', "frame-outside", "frame 9 lies behind the video's end"),
        ('xtl="10.0"', 'xtl="ten"', "unreadable-labels", "track 0: xtl must be a number"),
        ('label="dog"', 'label="dgo"', "unknown-class", "'dgo' is no class; did you mean 'dog'"),
        ("street.mp4", "strait.mp4", "missing-video", "its video 'strait.mp4' is not there"),
        ("</annotations>", "", "unreadable-labels", r"annotations\.xml:\d+: is no XML"),
    ],
)
def test_cvat_damaged(folder, old, new, name, message):
    path = folder / "annotations.xml"
    path.write_text(CVAT.replace(old, new))
    with pytest.raises(TrovidError, match=message) as error:
        read_dataset(path)
    assert "\n" not in str(error.value)
    assert name in {finding.name for finding in check_data(path).errors}


def test_the_folder_of_the_labels_is_not_the_video(folder):
    """`street/annotations.xml` and its video beside, or elsewhere; frames may lie in it."""
    place = folder / "street"
    place.mkdir()
    (place / "annotations.xml").write_text(CVAT.replace("street.mp4", "street.mkv"))
    with pytest.raises(TrovidError, match=r"'street\.mkv' is not there"):
        read_dataset(place, split=None)
    elsewhere = folder / "in/street.mkv"
    elsewhere.parent.mkdir()
    (folder / "street.mp4").rename(elsewhere)
    (place / "annotations.xml").write_text(CVAT.replace("street.mp4", "../in/street.mkv"))
    assert read_dataset(place, split=None).path("street.mkv").samefile(elsewhere)
    (place / "annotations.xml").write_text(CVAT.replace("street.mp4", ".."))
    with pytest.raises(TrovidError, match="is not there"):
        read_dataset(place, split=None)
    (place / "annotations.xml").write_text(CVAT.replace("street.mp4", "street"))
    for index in range(8):
        Image.new("RGB", (96, 64)).save(place / f"{index}.png")
    assert read_dataset(place, split=None).videos[0].num_frames == 8


def test_label_studio_counts_from_one_in_per_cent(folder):
    (folder / "labels.json").write_text(json.dumps(label_studio()))
    dataset = read_dataset(folder, split=None)
    assert dataset.class_names == ("Car", "Dog")
    truth = dataset.ground_truth("street.mp4")
    assert [frame.labels.tolist() for frame in truth] == [[], [0], [0], [0], [0], [0], [1], [1]]
    assert truth[3].boxes[0].tolist() == pytest.approx([19.2, 16, 38.4, 48])
    assert truth[5].boxes[0].tolist() == pytest.approx([28.8, 16, 48, 48])
    assert check_data(folder).errors == []


def test_label_studio_of_the_sdk(folder):
    """The task as the SDK's own types hold it."""
    types = pytest.importorskip(
        "label_studio_sdk.types.annotation",
        reason="label-studio-sdk is not installed",
        exc_type=ImportError,
    )
    (task,) = label_studio()
    result = types.Annotation(result=task["annotations"][0]["result"]).dict()
    (folder / "labels.json").write_text(
        json.dumps([{**task, "annotations": [{"result": result["result"]}]}], default=str)
    )
    assert len(read_dataset(folder, split=None).objects) == 7


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (lambda tasks: tasks[0].update(data={"video": "x.mp4"}), "missing-video", "is not there"),
        (lambda tasks: tasks.append(5), "unreadable-labels", "task 1: has no `data`"),
        (
            lambda tasks: tasks[0]["annotations"][0]["result"][0]["value"].update(labels=[]),
            "unknown-class",
            "result 0: has no label",
        ),
        (
            lambda tasks: tasks[0]["annotations"][0]["result"][0]["value"]["sequence"][0].pop("x"),
            "unreadable-labels",
            "key frame 0 must have frame",
        ),
    ],
)
def test_label_studio_damaged(folder, change, name, message):
    tasks = label_studio()
    change(tasks)
    path = folder / "labels.json"
    path.write_text(json.dumps(tasks))
    with pytest.raises(TrovidError, match=message):
        read_dataset(path)
    assert name in {finding.name for finding in check_data(path).errors}


def test_epic_kitchens(tmp_path):
    folder = epic(tmp_path / "epic")
    assert format_of(folder).name == "EPIC-KITCHENS-55"
    dataset = read_dataset(folder, split=None)
    assert dataset.class_names == ("knife", "bag", "lid")
    assert len(dataset.videos) == 3
    assert dataset.labelled_frames("P01_01").tolist() == [1, 2]
    _, second, third = dataset.ground_truth("P01_01")
    assert second.boxes.tolist() == [[20, 10, 60, 40], [0, 0, 6, 5], [90, 50, 99, 58]]
    assert second.labels.tolist() == [1, 1, 0]
    assert len(set(second.instance_ids.tolist())) == 3
    assert len(third) == 0
    assert splits_of(folder) == ("train", "val", "test")
    parts = [read_dataset(folder, split=split) for split in splits_of(folder)]
    names = [{video.name for video in part.videos} for part in parts]
    assert set.union(*names) == {"P01_01", "P01_02", "P02_01"}
    assert not names[0] & names[1]
    assert len({name[:3] for name in names[2]}) == 1
    assert not {name[:3] for name in names[2]} & {name[:3] for name in names[0] | names[1]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[(500, 900, 80, 90)]", "[(500, 900, 80)]", r"labels\.csv:4: bounding_boxes must be"),
        (',31,"[(500, 900, 80, 90)]"', "", r"labels\.csv:4: has fewer columns than the first"),
        ("P01_01,31", "P01_01,x", r"labels\.csv:2: frame must be a whole number"),
        ("P01_01,31", "P01_01,32", r"labels\.csv:2: no picture has the number 32"),
        ("20,bag,P01", "77,bag,P01", "noun_class 77 is not in EPIC_noun_classes.csv"),
        ("video_id", "video", r"labels\.csv:1: has no column video_id"),
        ("P02,P02_01", "P02,../../x", "video_id and participant_id must be names"),
    ],
)
def test_epic_kitchens_damaged(tmp_path, old, new, message):
    folder = epic(tmp_path / "epic")
    file = folder / "annotations/EPIC_train_object_labels.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(TrovidError, match=message) as error:
        read_dataset(folder, split=None)
    assert "\n" not in str(error.value)
