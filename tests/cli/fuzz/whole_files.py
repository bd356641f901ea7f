"""Whole files of every kind that trovid reads, to be changed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.cli.fuzz.trials import run_here
from tests.cli.runs import folder, video
from tests.cli.tiny_model import save_tiny_model
from tests.datasets.labelled_folder import labelled_folder
from tests.datasets.labelling_tools import CVAT
from tests.datasets.mot_folder import write_mot
from tests.datasets.stills_folders import yolo_folder
from tests.datasets.youtube_vis_folder import write_youtube_vis
from tests.media import encode
from tests.training.tiny import LENGTHS, tiny_folder, tiny_recipe
from tests.zoo.published_files import save_published, small_recipe
from trovid.datasets.synthvid import write_split
from trovid.recipes import recipe_values
from trovid.training.run import train_recipe
from trovid.zoo.weights import load_weights, save_weights

VIDEOS = {
    "a.mp4": {},
    "b.mkv": {"sound": "aac"},
    "c.ts": {"codec": "mpeg2video"},
    "d.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "e.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "f.mov": {"rotation": 90, "container_options": {"movflags": "+faststart"}},
}
PROVENANCE = {
    "seed": 0,
    "minutes": 1.0,
    "machine": "a machine",
    "commit": "0",
    "data": {"name": "SynthVID"},
    "val_ap50": 0.5,
    "test_ap50": {"all": 0.5},
    "test_clips": 3,
    "licence": "Apache-2.0",
    "published": {"metric": "AP50", "value": 50.0, "data": "x"},
}
PARQUET = importlib.util.find_spec("pyarrow") is not None


def write_whole_files(place: Path) -> Path:
    """Fills a folder with a whole file of every kind that trovid reads."""
    for name, kind in VIDEOS.items():
        encode(place / name, num_frames=8, **kind)
    video(place / "street.mp4")
    _write_labels_of_every_form(place)
    save_tiny_model(place / "masks.safetensors", name="synthvid-masktrack-troi")
    folder(place / "frames", count=4)
    detector, card = load_weights(save_tiny_model(place / "model.safetensors"))
    save_weights(place / "model.safetensors", detector, card.recipe, provenance=PROVENANCE)
    labels = write_split(place / "clips", split="test", videos=1, workers=1, num_frames=24, size=64)
    document = json.loads(labels.read_text())
    document["videos"] = [
        {**record, "file_name": f"clips/{record['file_name']}"} for record in document["videos"]
    ]
    (place / "labels.json").write_text(json.dumps(document))
    recipe = tiny_recipe(steps=1, batch=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe_values(recipe)))
    small = small_recipe("selsa")
    (place / "small.yaml").write_text(json.dumps(recipe_values(small)))
    save_published(place / "published.pth", small)
    network = torch.load(place / "published.pth", weights_only=True)["state_dict"]
    beginning = "detector.backbone."
    network = {k.removeprefix(beginning): v for k, v in network.items() if k.startswith(beginning)}
    torch.save(network, place / "backbone.pth")
    tiny_folder(place / "data")
    text = (place / "data" / "train.json").read_text().replace(f"{place / 'data'}/", "")
    for split in ("train", "val"):
        (place / "data" / f"{split}.json").write_text(text)
    _exchange_of(place)
    start = train_recipe(
        recipe, data=place / "data", out=place / "trained", seed=0, validate=0, device="cpu"
    )
    shutil.copy(start, place / "start.safetensors")
    longer = tiny_recipe(steps=2, batch=1)
    (place / "longer.yaml").write_text(json.dumps(recipe_values(longer)))
    _save_checkpoint(place, longer)
    words = ("detect", str(place / "street.mp4"), "--out", str(place / "found"))
    model = ("--model", str(place / "model.safetensors"), "--device", "cpu", "--no-video")
    assert run_here(*words, *model)[0] == 0
    shutil.copy(place / "found" / "street.json", place / "found.json")
    of_clip = next((place / "clips").rglob("*.mp4"))
    words = ["detect", str(of_clip), "--out", str(place / "found"), "--score", "0.01"]
    if PARQUET:
        words.append("--parquet")
    assert run_here(*words, *model)[0] == 0
    shutil.copy(place / "found" / f"{of_clip.stem}.json", place / "predictions.json")
    if PARQUET:
        shutil.copy(place / "found" / f"{of_clip.stem}.parquet", place / "predictions.parquet")
    return place


def _exchange_of(place: Path) -> None:
    """others/: clips with other pictures, but as long as those in data/ and written as long ago."""
    (place / "others").mkdir()
    for name, frames in LENGTHS.items():
        clip = place / "data" / f"{name}.mp4"
        other = encode(place / "others" / clip.name, num_frames=frames)
        size = max(clip.stat().st_size, other.stat().st_size) + 8
        for path in (clip, other):
            free = size - path.stat().st_size
            with path.open("ab") as file:
                file.write(free.to_bytes(4, "big") + b"free" + bytes(free - 8))
            os.utime(path, (10**9, 10**9))


def _write_labels_of_every_form(place: Path) -> None:
    labelled_folder(place / "own")
    (place / "cvat").mkdir()
    (place / "cvat/annotations.xml").write_text(CVAT)
    shutil.copy(place / "a.mp4", place / "cvat/street.mp4")
    yolo_folder(place / "yolo")
    write_mot(place / "mot", "MOT17-02-DPM")
    write_youtube_vis(place / "vis")


def _save_checkpoint(place: Path, recipe) -> None:
    """OUT/tiny-seed0.checkpoint after the first of two steps."""
    from trovid.training.loop import Stopped

    @contextlib.contextmanager
    def stopping():
        yield lambda: True

    with pytest.raises(Stopped):
        train_recipe(
            recipe,
            data=place / "data",
            out=place / "stopped",
            seed=0,
            validate=0,
            device="cpu",
            stopping=stopping,
        )
