import copy
import gc
import json
import tracemalloc

import pytest
import torch

from trovid.datasets.coco_vid import read_coco_vid
from trovid.errors import TrovidError
from trovid.structures import Video

DOCUMENT = {
    "info": {"name": "a test"},
    "categories": [{"id": 7, "name": "cup"}, {"id": 3, "name": "anchor"}],
    "videos": [
        {
            "id": 5,
            "name": "a",
            "file_name": "clips/a.mp4",
            "width": 8,
            "height": 6,
            "num_frames": 3,
            "frame_rate": 25,
        },
        {"id": 2, "name": "b", "file_name": "b", "width": 4, "height": 4, "num_frames": 1},
    ],
    "images": [
        {"id": 10, "video_id": 5, "frame_index": 2},
        {"id": 11, "video_id": 5, "frame_index": 0},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 10,
            "video_id": 5,
            "instance_id": 4,
            "category_id": 7,
            "bbox": [1, 2, 3.5, 2],
            "deterioration": "noise",
            "strength": 1.2,
            "motion_iou": 0.8,
            "segmentation": {"size": [6, 8], "counts": "82V1"},
        },
    ],
}

OPTIONAL = ("deterioration", "strength", "motion_iou", "segmentation")


def write(tmp_path, document):
    path = tmp_path / "labels.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_a_video_may_name_the_files_of_its_frames(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    document["videos"][0] |= {"file_name": "clips", "files": ["9.png", "a/1.png", "5.png"]}
    labels = read_coco_vid(write(tmp_path, document))
    files = [tmp_path / "clips" / file for file in ("9.png", "a/1.png", "5.png")]
    assert labels.source("a") == files
    for odd in (["9.png"], ["9.png", "", "5.png"], ["9.png", 1, "5.png"]):
        document["videos"][0]["files"] = odd
        with pytest.raises(TrovidError, match=r"videos\[0\]\.files must hold a name for each"):
            read_coco_vid(write(tmp_path, document))


def test_reading(tmp_path):
    labels = read_coco_vid(write(tmp_path, DOCUMENT))
    assert labels.class_names == ("anchor", "cup")
    assert labels.videos == [Video("a", 3, 6, 8, 25.0), Video("b", 1, 4, 4, 0.0)]
    assert labels.path("a") == tmp_path / "clips" / "a.mp4"
    assert labels.info == {"name": "a test"}
    assert labels.labelled_frames("a").tolist() == [0, 2]
    assert labels.labelled_frames("b").tolist() == []
    truth = labels.ground_truth("a")
    assert [len(frame) for frame in truth] == [0, 0, 1]
    assert [frame.frame_index for frame in truth] == [0, 1, 2]
    assert truth[2].boxes.tolist() == [[1, 2, 4.5, 4]]
    assert truth[2].labels.tolist() == [1]
    assert truth[2].instance_ids.tolist() == [4]
    assert truth[2].attributes["deterioration"] == ("noise",)
    assert truth[2].attributes["strength"].tolist() == pytest.approx([1.2])
    assert truth[2].attributes["motion_iou"].tolist() == pytest.approx([0.8])
    assert truth[2].counted.tolist() == [True]
    assert truth[2].image_size == (6, 8)
    assert truth[2].masks is None
    assert truth[0].boxes.shape == (0, 4)
    assert len(labels.ground_truth("b")) == 1


def test_masks_on_demand(tmp_path):
    from pycocotools import mask

    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[2:4, 1:4] = True
    document = copy.deepcopy(DOCUMENT)
    code = mask.encode(expected.numpy().astype("uint8", order="F"))["counts"].decode()
    polygon = [1, 2, 4, 2, 4, 4, 1, 4]
    run_lengths = [8, 2, 4, 2, 4, 2, 26]
    for segmentation in (
        {"size": [6, 8], "counts": code},
        {"size": [6, 8], "counts": run_lengths},
        [polygon],
    ):
        document["annotations"][0]["segmentation"] = segmentation
        truth = read_coco_vid(write(tmp_path, document)).ground_truth("a", masks=True)
        assert torch.equal(truth[2].masks.dense(0)[0], expected)
        assert len(truth[1].masks) == 0


def test_what_a_label_need_not_have(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    for key in OPTIONAL:
        del document["annotations"][0][key]
    truth = read_coco_vid(write(tmp_path, document)).ground_truth("a", masks=True)
    assert truth[2].attributes == {}
    assert truth[2].masks is None


def test_crowds_ignored_objects_and_objects_of_their_own(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    first = document["annotations"][0]
    for number, extra in enumerate(({"iscrowd": 1}, {"ignore": 1, "occluded": 1}, {}), 2):
        more = {"id": number, **{k: first[k] for k in ("image_id", "video_id", "category_id")}}
        document["annotations"].append({**more, "bbox": [0, 0, number, 1], **extra})
    document["annotations"][3]["instance_id"] = -1
    (truth,) = read_coco_vid(write(tmp_path, document)).ground_truth("a", frames=[2])
    assert truth.crowd.tolist() == [False, True, False, False]
    assert truth.ignore.tolist() == [False, False, True, False]
    assert truth.counted.tolist() == [True, False, False, True]
    assert truth.instance_ids[0] == 4
    assert len(set(truth.instance_ids.tolist())) == 4
    assert truth.attributes["deterioration"] == ("noise", "", "", "")
    assert truth.attributes["occluded"].isnan().tolist() == [True, True, False, True]


def test_a_list_may_stand_anywhere_in_the_file(tmp_path):
    """COCO's own files end with the categories."""
    backwards = dict(reversed(DOCUMENT.items()))
    one, other = (
        read_coco_vid(write(tmp_path, document)).ground_truth("a")[2]
        for document in (DOCUMENT, backwards)
    )
    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.labels, other.labels)


def test_unknown_video(tmp_path):
    labels = read_coco_vid(write(tmp_path, DOCUMENT))
    with pytest.raises(KeyError, match="nowhere"):
        labels.ground_truth("nowhere")


MISFITS = [
    (("categories",), [], "`categories` is empty"),
    (("categories", 1, "name"), "cup", "categories[1].name repeats 'cup' of categories[0]"),
    (("categories", 0, "name"), 3, "categories[0].name must be text, but is int '3'"),
    (("videos",), None, "`videos` must be a list, but is missing"),
    (("videos", 1), "b.mp4", "videos[1] must be an object, but is str 'b.mp4'"),
    (("videos", 1, "id"), 5, "videos[1].id repeats 5 of videos[0]"),
    (("videos", 1, "name"), "a", "videos[1].name repeats 'a' of videos[0]"),
    (("videos", 1, "width"), 0, "videos[1].width must lie in 1.."),
    (("videos", 0, "height"), 6.5, "videos[0].height must be an integer, but is float '6.5'"),
    (("videos", 0, "frame_rate"), -1, "videos[0].frame_rate must lie in 0..1000000"),
    (("images", 0, "video_id"), 9, "images[0].video_id is 9, but no video has this id"),
    (("images", 0, "frame_index"), 3, "images[0].frame_index must lie in 0..2, but is 3"),
    (("images", 1, "frame_index"), 2, "images[1].frame_index repeats frame 2 of images[0]"),
    (("images", 1, "frame_index"), True, "images[1].frame_index must be an integer"),
    (("annotations", 0, "image_id"), 1, "annotations[0].image_id is 1, but no image"),
    (
        ("annotations", 0, "video_id"),
        2,
        "video_id is 2, but its image is of video 5",
    ),
    (("annotations", 0, "category_id"), 1, "annotations[0].category_id is 1, but no category"),
    (("annotations", 0, "bbox"), [1, 2, 3], "annotations[0].bbox must be four numbers"),
    (("annotations", 0, "bbox"), [1, 2, "3", 4], "annotations[0].bbox must be four numbers"),
    (("annotations", 0, "bbox"), [1, 2, float("nan"), 4], "annotations[0].bbox must be four"),
    (("annotations", 0, "bbox"), [1, 2, 0, 4], "must have a width and a height above 0"),
    (("annotations", 0, "strength"), "much", "annotations[0].strength must be a number"),
    (("annotations", 0, "instance_id"), "7", "annotations[0].instance_id must be an integer"),
    (("annotations", 0, "iscrowd"), 2, "annotations[0].iscrowd must be 0 or 1, but is 2"),
    (("annotations", 0, "ignore"), "no", "annotations[0].ignore must be 0 or 1, but is str 'no'"),
    (("annotations", 0, "segmentation", "size"), [8, 6], "must be of size [6, 8], but is"),
    (("annotations", 0, "instance_id"), 2**64, "annotations[0].instance_id must lie below"),
    (("annotations", 0, "segmentation", "counts"), "\u00e9", "segmentation holds signs"),
    (("annotations", 0, "segmentation", "counts"), [47], "covers 47 pixels, but 6 x 8 has 48"),
]


@pytest.mark.parametrize(("keys", "value", "message"), MISFITS, ids=[m[2][:40] for m in MISFITS])
def test_misfits_are_named_with_their_place(tmp_path, keys, value, message):
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = write(tmp_path, document)
    with pytest.raises(TrovidError) as error:
        read_coco_vid(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["id", "image_id", "video_id", "category_id", "bbox"])
def test_missing_fields_are_named(tmp_path, key):
    document = copy.deepcopy(DOCUMENT)
    del document["annotations"][0][key]
    with pytest.raises(TrovidError, match=rf"annotations\[0\] has no `{key}`"):
        read_coco_vid(write(tmp_path, document))


BROKEN = ["", "{", "[]", "\xff", "{}x", '{"images": [1', '{"images": [1,]}', '{"images": [1 2]}']
BROKEN += ['{"a": 1,}', '{"a" 1}', "{1: 2}", "[{}]", '{"a":' + "[" * 10**5]


@pytest.mark.parametrize("text", BROKEN, ids=[text[:20] for text in BROKEN])
def test_no_document(tmp_path, text):
    path = tmp_path / "labels.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TrovidError, match=r"labels\.json: "):
        read_coco_vid(path)


def test_many_frames_take_columns_and_not_python_objects(tmp_path):
    """ImageNet VID's validation has 176,126 frames; what stays of each is less than one dict."""
    frames = 8_000
    document = copy.deepcopy(DOCUMENT)
    document["videos"][0]["num_frames"] = frames
    document["images"] = [{"id": i, "video_id": 5, "frame_index": i} for i in range(frames)]
    document["annotations"] = [
        {"id": i, "image_id": i, "video_id": 5, "instance_id": 1, "category_id": 7, "bbox": [i] * 4}
        for i in range(1, frames)
    ]
    path = write(tmp_path, document)
    del document
    tracemalloc.start()
    dataset = read_coco_vid(path)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / frames < 100
    assert dataset.ground_truth("a", frames=[7])[0].boxes.tolist() == [[7, 7, 14, 14]]


def test_the_ids_of_images_and_categories_are_kept_for_results(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    document["images"] = [
        {"id": 40 - index, "video_id": 5, "frame_index": index} for index in range(2)
    ]
    document["annotations"] = []
    ids = read_coco_vid(write(tmp_path, document)).ids
    assert ids.frames.tolist() == [[40, 0, 0], [39, 0, 1]]
    assert ids.labels == {3: 0, 7: 1}


def test_missing_file(tmp_path):
    with pytest.raises(TrovidError, match=r"gone\.json: cannot be read"):
        read_coco_vid(tmp_path / "gone.json")
