"""A made-up folder in the layout of ImageNet VID and DET."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ZEBRA, DOG, CHAIR = "n02391049", "n02084071", "n03001627"
VAL = {"ILSVRC2015_val_00000000": (3, (96, 160)), "ILSVRC2015_val_00000001": (2, (120, 90))}
TRAIN = {"ILSVRC2015_train_00000000": (8, (96, 160)), "ILSVRC2015_train_00001000": (5, (120, 90))}
LISTED = {"ILSVRC2015_train_00000000": (0, 3, 6), "ILSVRC2015_train_00001000": (2,)}


def write_imagenet(folder: Path) -> Path:
    """Two videos to validate, two to train, of which some frames are listed, and two images."""
    for name, (length, size) in VAL.items():
        _write_video(folder, f"VID/val/{name}", length, size)
    lines = []
    for name, (length, size) in TRAIN.items():
        path = f"train/ILSVRC2015_VID_train_0000/{name}"
        _write_video(folder, f"VID/{path}", length, size, annotated=LISTED[name])
        lines += [f"{path} 1 {frame} {length}" for frame in LISTED[name]]
    (folder / "ImageSets").mkdir()
    (folder / "ImageSets/VID_train_15frames.txt").write_text("\n".join(lines) + "\n")
    images = [
        "train/ILSVRC2013_train/n02084071/n02084071_1",
        "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663",
    ]
    for path in images:
        _write_frame(folder, f"DET/{path}", (100, 100), [(DOG, None, (10, 20, 60, 90))])
    (folder / "ImageSets/DET_train_30classes.txt").write_text(
        "\n".join(f"{path} 1" for path in [*images, images[0]])
    )
    return folder


def _write_video(folder, path, length, size, *, annotated=None) -> None:
    for frame in range(length):
        things = [
            (ZEBRA, "0", (10 + 2 * frame, 12, 60 + 2 * frame, 52)),
            (DOG, "1", (5, 40, 45, 85)),
            (CHAIR, "2", (1, 1, 9, 9)),
        ]
        labelled = annotated is None or frame in annotated
        _write_frame(folder, f"{path}/{frame:06}", size, things if labelled else None)


def _write_frame(folder, path, size, things) -> None:
    height, width = size
    picture = folder / "Data" / f"{path}.JPEG"
    picture.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height // 4 + 1, width // 4 + 1, 3))
    large = np.kron(pixels.astype(np.uint8), np.ones((4, 4, 1), np.uint8))[:height, :width]
    for number, (_, _, (x1, y1, x2, y2)) in enumerate(things or ()):
        large[y1:y2, x1:x2] = 80 * number
    Image.fromarray(large).save(picture, quality=95)
    if things is None:
        return
    objects = "".join(
        f"<object>{'' if track is None else f'<trackid>{track}</trackid>'}<name>{code}</name>"
        f"<bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin></bndbox>"
        "<occluded>0</occluded><generated>0</generated></object>"
        for code, track, (x1, y1, x2, y2) in things
    )
    xml = folder / "Annotations" / f"{path}.xml"
    xml.parent.mkdir(parents=True, exist_ok=True)
    xml.write_text(
        f"<annotation><folder>x</folder><filename>{xml.stem}</filename>"
        f"<size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"
    )
