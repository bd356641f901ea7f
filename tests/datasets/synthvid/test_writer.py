import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import VERSION, class_names, make_clip, write_split
from trovid.video.opening import open_video

SMALL = {"size": 96, "split": "val"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthvid")
    return write_split(folder, videos=3, **SMALL)


def test_what_is_written(written):
    assert sorted(p.name for p in written.parent.iterdir()) == ["val", "val.json"]
    names = sorted(p.name for p in (written.parent / "val").iterdir())
    assert names == ["val_00000.mp4", "val_00001.mp4", "val_00002.mp4"]
    info = json.loads(written.read_text())["info"]
    assert info["name"] == "SynthVID"
    assert info["version"] == VERSION
    assert (info["split"], info["seed"]) == ("val", 0)


def test_labels_read_back_as_they_were_made(written):
    labels = read_coco_vid(written)
    assert labels.class_names == class_names()
    instances = set()
    for index, video in enumerate(labels.videos):
        clip = make_clip("val", index, height=96, width=96)
        truth = labels.ground_truth(video.name, masks=True)
        assert len(truth) == video.num_frames == 24
        for frame, ground_truth in enumerate(truth):
            made = [a for a in clip.annotations if a.frame_index == frame]
            assert ground_truth.labels.tolist() == [a.label for a in made]
            assert ground_truth.attributes["deterioration"] == tuple(a.deterioration for a in made)
            for a, box, mask in zip(
                made, ground_truth.boxes, ground_truth.masks.dense(), strict=True
            ):
                x, y, w, h = a.box
                assert box.tolist() == [x, y, x + w, y + h]
                assert mask.sum() == a.mask.sum()
                assert np.array_equal(mask[y : y + h, x : x + w].numpy(), a.mask)
        here = {i for g in truth for i in g.instance_ids.tolist()}
        assert not here & instances
        instances |= here


def test_masks_are_the_reference_implementation_s(written):
    document = json.loads(written.read_text())
    for annotation in document["annotations"][::7]:
        code = annotation["segmentation"]
        assert annotation["area"] == oracle.area(code)
        assert annotation["bbox"] == oracle.toBbox(code).tolist()
        again = oracle.encode(np.asfortranarray(oracle.decode(code)))
        assert again["counts"].decode() == code["counts"]


def test_mp4_holds_the_frames_nearly(written):
    clip = make_clip("val", 0, height=96, width=96)
    with open_video(written.parent / "val" / "val_00000.mp4") as reader:
        assert reader.video.num_frames == 24
        assert reader.video.frame_rate == pytest.approx(12)
        frames = np.stack([frame.image for frame in reader])
    grey = np.array([0.3, 0.59, 0.11])
    difference = np.abs((frames.astype(float) - clip.frames) @ grey)
    assert difference.mean() < 3
    assert np.percentile(difference, 99) < 20


def test_png_holds_the_frames_exactly(tmp_path):
    path = write_split(tmp_path, videos=1, format="png", **SMALL)
    labels = read_coco_vid(path)
    folder = labels.path(labels.videos[0].name)
    files = sorted(folder.iterdir())
    frames = np.stack([np.asarray(Image.open(file)) for file in files])
    assert np.array_equal(frames, make_clip("val", 0, height=96, width=96).frames)


def test_a_longer_split_begins_with_the_shorter_one(written, tmp_path):
    longer = json.loads(write_split(tmp_path, videos=4, workers=2, **SMALL).read_text())
    shorter = json.loads(written.read_text())
    assert longer["videos"][:3] == shorter["videos"]
    assert longer["annotations"][: len(shorter["annotations"])] == shorter["annotations"]


def test_progress_counts_the_clips(tmp_path):
    seen = []
    write_split(tmp_path, videos=2, progress=seen.append, **SMALL)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "`split` must be one of train, val, test, but got 'dev'"),
        ({"videos": 0}, "`videos` must lie in 1..100000, but got 0"),
        ({"seed": -1}, "`seed` must lie in"),
        ({"strength": 0}, "`strength` must be above 0"),
        ({"strength": float("nan")}, "`strength` must be above 0"),
        ({"num_frames": 23}, "`num_frames` must be at least 24, but got 23"),
        ({"size": 65}, "`height` and `width` must be even and at least 64, but got 65 x 65"),
        ({"format": "avi"}, "`format` must be one of mp4, png, but got 'avi'"),
        ({"workers": 0}, "`workers` must be at least 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(ValueError) as error:
        write_split(tmp_path / "out", **options)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()
