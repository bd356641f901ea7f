"""YOLO's layout: data.yaml, the labelled frames as pictures, a text file each."""

from __future__ import annotations

import logging
from pathlib import Path

import yaml

from trovid.datasets.contract import Dataset
from trovid.datasets.splitting import split_videos
from trovid.datasets.writing.places import plain_names, write_frames
from trovid.files import replacing

log = logging.getLogger("trovid")


def write(path: Path, dataset: Dataset) -> None:
    """Writes a folder with data.yaml, and images and labels of train and val.

    Videos are divided by their names (`split_videos`), since Ultralytics trains nothing without
    val; where none can be spared there is train alone.
    """
    written: set[Path] = set()
    objects, held_out = dataset.objects, split_videos(dataset)[1]
    names = plain_names(dataset)
    for video in dataset.videos:
        split = "val" if video.name in held_out else "train"
        called = f"{names[video.name]}_{{:06}}.png"
        files = write_frames(path / "images" / split, dataset, video.name, called=called)
        written.update(files.values())
        rows = dataset.rows(video.name)
        lines: dict[int, list[str]] = {frame: [] for frame in files}
        for row in range(rows.start, rows.stop):
            if objects.counted[row]:
                x1, y1, x2, y2 = objects.boxes[row].tolist()
                shares = (
                    (x1 + x2) / 2 / video.width,
                    (y1 + y2) / 2 / video.height,
                    (x2 - x1) / video.width,
                    (y2 - y1) / video.height,
                )
                words = [str(int(objects.labels[row])), *(f"{share:.6f}" for share in shares)]
                lines[int(objects.frames[row])].append(" ".join(words))
        for frame, file in files.items():
            text = path / "labels" / split / f"{file.stem}.txt"
            with replacing(text) as partial:
                partial.write_text("".join(f"{line}\n" for line in lines[frame]), "utf-8")
    others = sum(file not in written for file in (path / "images").glob("*/*"))
    if others:
        log.warning("%s: holds %d pictures of before, which a training takes too", path, others)
    splits = {"train": "images/train", **({"val": "images/val"} if held_out else {})}
    values = {**splits, "names": dict(enumerate(dataset.class_names))}
    with replacing(path / "data.yaml") as partial:
        partial.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
