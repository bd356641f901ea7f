"""ImageNet VID's own layout: labels, the command that verifies a figure, training batches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import shared
from tests.datasets.coco_document import write_coco_vid
from tests.datasets.imagenet_folder import LISTED, VAL, write_imagenet
from tests.zoo.published_files import small_recipe
from trovid.cli.main import main
from trovid.datasets.imagenet_vid import CLASSES
from trovid.datasets.reading import read_dataset
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import Recipe, load_recipe
from trovid.training import train
from trovid.training.clips import TrainingClips
from trovid.video.transforms import make_transform
from trovid.zoo.weights import save_weights

SHARED = shared.SHARED / "data" / "splits"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_imagenet(tmp_path_factory.mktemp("ILSVRC2015"))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The published detector, small, with its own 30 classes."""
    full = load_recipe("mmtracking/selsa-troi-r50")
    small = small_recipe("selsa-troi")
    return replace(
        small,
        model=replace(small.model, classes=full.model.classes),
        image=replace(small.image, shorter=96, longer=160),
        training=replace(full.training, steps=2, batch=2, warmup=1, drops=(), learning_rate=1e-4),
    )


def test_validation_labels_are_those_of_every_frame(folder):
    labels = read_dataset(folder, split="val")
    assert labels.class_names == load_recipe("mmtracking/selsa-troi-r101").model.classes
    assert [(v.name, v.num_frames, (v.height, v.width)) for v in labels.videos] == [
        (name, *rest) for name, rest in VAL.items()
    ]
    truth = labels.ground_truth("ILSVRC2015_val_00000000")
    assert [t.boxes.tolist() for t in truth][2] == [[14, 12, 64, 52], [5, 40, 45, 85]]
    assert truth[2].labels.tolist() == [29, 8]
    assert truth[0].instance_ids.tolist() == truth[2].instance_ids.tolist()
    assert labels.path(labels.videos[0].name) == folder / "Data/VID/val/ILSVRC2015_val_00000000"


def test_training_labels_are_those_of_the_lists(folder):
    labels = read_dataset(folder, split="train")
    names = [video.name for video in labels.videos]
    assert names[:2] == list(LISTED)
    assert names[2:] == ["n02084071_1", "ILSVRC2014_train_00000663", "n02084071_1#2"]
    assert [labels.labelled_frames(name).tolist() for name in names[:2]] == [[0, 3, 6], [2]]
    assert labels.videos[0].num_frames == 8
    assert labels.ground_truth(names[0], frames=[3])[0].boxes[0].tolist() == [16, 12, 66, 52]


def test_classes_and_lists_are_the_published_ones():
    assert tuple(CLASSES.values()) == load_recipe("paper/selsa-r50").model.classes
    if not SHARED.exists():
        pytest.skip("the published lists are not beside this checkout")
    training = load_recipe("mmtracking/selsa-r50").training
    frames = (SHARED / "VID_train_15frames.txt").read_text().split("\n")
    images = (SHARED / "DET_train_30classes.txt").read_text().strip().split("\n")
    videos = {line.split()[0] for line in frames if line}
    assert training.videos == len(videos) + len(images)
    assert training.steps == 7 * (len([line for line in frames if line]) + len(images)) // 8


def command(*words: object) -> None:
    with pytest.raises(SystemExit) as exited:
        main(list(map(str, words)))
    assert not exited.value.code


def test_one_command_evaluates_a_model_on_the_folder(folder, recipe, tmp_path):
    """The figures are those of the same predictions against the same labels as JSON."""
    torch.manual_seed(0)
    save_weights(tmp_path / "m.safetensors", build_detector(recipe), recipe, provenance={})
    words = ["--model", tmp_path / "m.safetensors", "--device", "cpu", "--score", "0.0001"]
    command("evaluate", *words, "--data", folder, "--out", tmp_path / "folder.json")
    labels = read_dataset(folder)
    write_coco_vid(tmp_path / "val.json", labels)
    command("evaluate", *words, "--data", tmp_path / "val.json", "--out", tmp_path / "file.json")
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("folder", "file"))
    assert first["overall"] == second["overall"]
    assert first["overall"]["objects"] == 10
    assert set(first["per_class"]) >= {"zebra", "dog"}


def test_predictions_of_detect_are_held_against_the_folder(folder, tmp_path):
    """What `detect` calls a folder of frames is what the labels call the video."""
    labels = read_dataset(folder)
    name = labels.videos[0].name
    words = ["detect", labels.path(labels.videos[0].name), "--out", tmp_path, "--no-video"]
    command(*words, "--frame-rate", "25", "--device", "cpu")
    document = json.loads((tmp_path / f"{name}.json").read_text())
    document["head"]["class_names"] = list(labels.class_names)
    for frame, truth in zip(
        document["videos"][0]["frames"], labels.ground_truth(name), strict=True
    ):
        frame["detections"] = [
            {"label": label, "score": 0.9, "box": box}
            for label, box in zip(truth.labels.tolist(), truth.boxes.tolist(), strict=True)
        ]
    (tmp_path / "perfect.json").write_text(json.dumps(document))
    out = tmp_path / "report.json"
    command("evaluate", tmp_path / "perfect.json", "--labels", folder, "--out", out)
    assert json.loads(out.read_text())["overall"]["AP50"] == pytest.approx(1.0)


def test_a_training_runs_on_the_folder(folder, recipe, tmp_path):
    labels = read_dataset(folder, split="train")
    clips = TrainingClips(
        labels, make_transform(shorter=96, longer=160, divisor=16), cache=tmp_path / "frames"
    )
    losses = []
    train(
        recipe, clips, seed=0, checkpoint=tmp_path / "c", report=lambda p: losses.append(p.losses)
    )
    assert len(losses) == 2
    assert all(np.isfinite(list(step.values())).all() for step in losses)


def test_what_is_missing_or_broken_is_one_line(folder, tmp_path):
    (tmp_path / "Data/VID/val").mkdir(parents=True)
    (tmp_path / "Annotations/VID").mkdir(parents=True)
    with pytest.raises(TrovidError, match="holds no videos"):
        read_dataset(tmp_path)
    with pytest.raises(TrovidError, match=r"15frames.txt: cannot be read .*published list"):
        read_dataset(tmp_path, split="train")
    copy = write_imagenet(tmp_path / "copy")
    xml = copy / "Annotations/VID/val/ILSVRC2015_val_00000000/000001.xml"
    for text, message in (
        ("<annotation><object>", "is no XML"),
        ('<?xml version="1.0" encoding="utf-0"?><annotation/>', "is no XML"),
        ("<annotation></annotation>", "it has no size/width"),
    ):
        xml.write_text(text)
        with pytest.raises(TrovidError, match=rf"000001.xml:(1:)? .*{message}") as error:
            read_dataset(copy)
        assert "\n" not in str(error.value)
    xml.unlink()
    with pytest.raises(TrovidError, match=r"000001.xml: cannot be read"):
        read_dataset(copy)
    (copy / "ImageSets/VID_train_15frames.txt").write_text("train/x 1 a 5\n")
    with pytest.raises(TrovidError, match=r"VID_train_15frames.txt:1: must be `video 1 frame"):
        read_dataset(copy, split="train")
