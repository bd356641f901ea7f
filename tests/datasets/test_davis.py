"""DAVIS folders: a small one in the real layout, and the real sequences where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests import shared
from trovid.datasets.davis import palette, read_davis, write_mask_picture
from trovid.datasets.reading import read_dataset, splits_of
from trovid.errors import TrovidError
from trovid.structures import Masks

REAL = shared.SHARED / "data" / "davis"


@pytest.fixture
def root(tmp_path):
    for name, years in (("bear", "2017"), ("cows", "2017")):
        images, masks = tmp_path / "JPEGImages/480p" / name, tmp_path / "Annotations/480p" / name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame in range(3):
            Image.new("RGB", (10, 8), (frame, 0, 0)).save(images / f"{frame:05d}.jpg")
            indices = np.zeros((8, 10), dtype=np.uint8)
            if frame == 1:
                indices[1:4, 2:5], indices[5:7, 5:9] = 1, 2
            if frame == 2:
                indices[0:2, 0:2] = 2
            picture = Image.fromarray(indices, mode="P")
            picture.putpalette(palette())
            picture.save(masks / f"{frame:05d}.png")
        lists = tmp_path / "ImageSets" / years
        lists.mkdir(parents=True, exist_ok=True)
    (lists / "train.txt").write_text("cows\n")
    (lists / "val.txt").write_text("bear\n\n")
    return tmp_path


def test_a_folder_in_the_real_layout(root):
    assert splits_of(root) == ("train", "val")
    labels = read_dataset(root)
    assert labels.class_names == ("object",)
    assert [video.name for video in labels.videos] == ["bear"]
    assert labels.labelled_frames("bear").tolist() == [0, 1, 2]
    empty, two, one = labels.ground_truth("bear", masks=True)
    assert len(empty) == 0
    assert two.instance_ids.tolist() == [1, 2]
    assert two.boxes.tolist() == [[2, 1, 5, 4], [5, 5, 9, 7]]
    assert one.instance_ids.tolist() == [2]
    assert two.masks.areas.tolist() == [9, 8]
    assert [video.name for video in read_davis(root).videos] == ["bear", "cows"]
    assert labels.open("bear").video.num_frames == 3


def test_one_object_as_in_2016_and_pixels_of_nothing(root):
    masks = root / "Annotations/480p/bear"
    indices = np.zeros((8, 10), dtype=np.uint8)
    indices[2:4] = 255
    Image.fromarray(indices).save(masks / "00000.png")
    indices[6:] = 1
    Image.fromarray(indices).save(masks / "00001.png")
    Image.fromarray(indices > 200).save(masks / "00002.png")
    frames = read_davis(root, "val").ground_truth("bear", masks=True)
    assert [frame.instance_ids.tolist() for frame in frames] == [[1], [1], [1]]
    assert [frame.masks.areas.tolist() for frame in frames] == [[20], [20], [20]]
    assert frames[1].boxes.tolist() == [[0, 6, 10, 8]]


def test_written_as_it_is_read(root):
    dense = torch.zeros(2, 8, 10, dtype=torch.bool)
    dense[0, :4], dense[1, 3:] = True, True
    path = root / "Annotations/480p/bear/00001.png"
    write_mask_picture(path, Masks.from_dense(dense), [7, 3])
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
    frame = read_davis(root, "val").ground_truth("bear", masks=True)[1]
    assert frame.instance_ids.tolist() == [3, 7]
    assert torch.equal(frame.masks.dense(0)[0], dense[1])
    assert frame.masks.areas.tolist() == [50, 30]
    with pytest.raises(ValueError, match=r"must lie in 1\.\.254, but are \[7, 255\]"):
        write_mask_picture(path, Masks.from_dense(dense), [7, 255])


def test_damage_is_named(root):
    masks = root / "Annotations/480p/bear"
    broken = masks / "00001.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(TrovidError, match=r"00001\.png: not a readable image"):
        read_davis(root)
    Image.new("RGB", (10, 8)).save(broken)
    with pytest.raises(TrovidError, match="must be a palette or grey picture of numbers"):
        read_davis(root)
    Image.new("P", (9, 8)).save(broken)
    with pytest.raises(TrovidError, match="is 9x8, but the frames are 10x8"):
        read_davis(root)
    broken.rename(masks / "00009.png")
    with pytest.raises(TrovidError, match=r"00009\.png: has no frame of this name"):
        read_davis(root)
    (root / "ImageSets/2017/val.txt").write_text("../bear\n")
    with pytest.raises(TrovidError, match="leads out of"):
        read_davis(root, "val")
    (root / "ImageSets/2017/val.txt").write_text("lion\n")
    with pytest.raises(TrovidError, match="lion"):
        read_davis(root, "val")


@pytest.mark.skipif(not REAL.exists(), reason="the real sequences are not at hand")
def test_the_real_sequences(tmp_path):
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind).mkdir()
        for name in ("bmx-bumps", "dog"):
            (tmp_path / kind / name).symlink_to(REAL / kind / name)
    labels = read_dataset(tmp_path, split=None)
    assert [video.name for video in labels.videos] == ["bmx-bumps", "dog"]
    for video in labels.videos:
        frames = labels.ground_truth(video.name, masks=True)
        assert len(labels.labelled_frames(video.name)) == video.num_frames == len(frames)
        assert {i for frame in frames for i in frame.instance_ids.tolist()} == {1}
        empty = sum(len(frame) == 0 for frame in frames)
        assert empty == (8 if video.name == "bmx-bumps" else 0)
