"""A split of SynthVID on disk: clips as MP4 or PNG and their labels as COCO-VID-style JSON."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from trovid.datasets.synthvid.clip import (
    FRAME_RATE,
    NUM_FRAMES,
    SIDE,
    VERSION,
    Clip,
    Setting,
    check_options,
    make_clip,
    split_strength,
)
from trovid.datasets.synthvid.glyphs import class_names
from trovid.files import replacing
from trovid.structures import Masks
from trovid.video.writer import VideoWriter

FORMATS = ("mp4", "png")
CRF = 14
MOST_CLIPS = 100_000


@dataclass(frozen=True)
class _Job:
    folder: Path
    split: str
    format: str
    options: dict[str, Any]


def write_split(
    out: str | Path,
    *,
    split: str = "test",
    videos: int = 100,
    first: int = 0,
    seed: int = 0,
    strength: float | None = None,
    num_frames: int = NUM_FRAMES,
    size: int = SIDE,
    format: Literal["mp4", "png"] = "mp4",
    setting: Setting = "classes",
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Writes OUT/<split>/ with the clips and OUT/<split>.json with the labels.

    Args:
        out: Folder; made where absent.
        split: "train", "val" or "test".
        videos: Number of clips; the same clips of a longer split are the same.
        first: Number of the first clip in the split.
        seed: Another seed gives another benchmark; the published figures use 0.
        strength: Factor on all deteriorations; by default the benchmark's own for the split.
        num_frames: Frames in a clip, at least 24.
        size: Height and width in pixels, even, at least 64.
        format: "mp4" (H.264) or "png" (a folder of images a clip, exact).
        setting: "classes" (the benchmark), "twins" or "unseen", see `make_clip`; another setting
            belongs into another folder, since its clips have the same names.
        workers: Processes; a script that asks for more than one needs the usual
            `if __name__ == "__main__":` around what it does.
        progress: Called with the number of finished clips.

    Returns:
        The path of the JSON.

    Raises:
        ValueError: If an option is out of range.
    """
    strength = split_strength(split, strength)
    check_options(split, seed, strength, num_frames, size, size, setting)
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}, but got {format!r}")
    if not 1 <= videos <= MOST_CLIPS:
        raise ValueError(f"`videos` must lie in 1..{MOST_CLIPS}, but got {videos}")
    if not 0 <= first <= MOST_CLIPS - videos:
        raise ValueError(f"`first` must lie in 0..{MOST_CLIPS - videos}, but got {first}")
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1, but got {workers}")
    options = {
        "seed": seed,
        "strength": strength,
        "num_frames": num_frames,
        "height": size,
        "width": size,
        **({} if setting == "classes" else {"setting": setting}),
    }
    folder = Path(out) / split
    folder.mkdir(parents=True, exist_ok=True)
    job = partial(_write_clip, _Job(folder, split, format, options))
    records = []
    for done, record in enumerate(_run(job, range(first, first + videos), workers), 1):
        records.append(record)
        if progress is not None:
            progress(done)

    path = Path(out) / f"{split}.json"
    info = {"name": "SynthVID", "version": VERSION, "split": split, **options}
    if first:
        info["first"] = first
    with replacing(path) as partial_path:
        partial_path.write_text(json.dumps(assemble(info, records), separators=(",", ":")) + "\n")
    return path


def _run(job: Callable[[int], Any], clips: range, workers: int) -> Iterator[Any]:
    workers = min(workers, len(clips))
    if workers == 1:
        yield from map(job, clips)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_one_thread) as pool:
        yield from pool.imap(job, clips, chunksize=4)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _write_clip(job: _Job, index: int) -> dict[str, Any]:
    clip = make_clip(job.split, index, **job.options)
    if job.format == "mp4":
        _write_mp4(job.folder / f"{clip.name}.mp4", clip.frames)
    else:
        _write_png(job.folder / clip.name, clip.frames)
    return describe(clip, f"{job.split}/{clip.name}" + (".mp4" if job.format == "mp4" else ""))


def _write_mp4(path: Path, frames: np.ndarray) -> None:
    height, width = frames.shape[1:3]
    with VideoWriter(
        path, height=height, width=width, frame_rate=FRAME_RATE, crf=CRF, threads=1
    ) as writer:
        for image in frames:
            writer.write(image)


def _write_png(folder: Path, frames: np.ndarray) -> None:
    with replacing(folder) as partial_folder:
        partial_folder.mkdir()
        for index, image in enumerate(frames):
            Image.fromarray(image).save(partial_folder / f"{index:06d}.png", compress_level=1)


def describe(clip: Clip, file_name: str) -> dict[str, Any]:
    """A clip's video record and its annotations, not yet numbered through the split."""
    num_frames, height, width = clip.frames.shape[:3]
    corners = [found.box[:2] for found in clip.annotations]
    size = height, width
    whole = Masks.from_windows([found.mask for found in clip.annotations], corners, size).to_coco()
    visible = Masks.from_windows(clip.visible, corners, size).to_coco()
    annotations = []
    for found, code, seen in zip(clip.annotations, whole, visible, strict=True):
        annotations.append(
            {
                "frame_index": found.frame_index,
                "instance_id": found.instance + 1,
                "category_id": found.label + 1,
                "bbox": list(found.box),
                "area": int(found.mask.sum()),
                "iscrowd": 0,
                "segmentation": code,
                "visible_segmentation": seen,
                "deterioration": found.deterioration,
                "strength": found.strength,
                "motion_iou": found.motion_iou,
            }
        )
    video = {
        "name": clip.name,
        "file_name": file_name,
        "width": width,
        "height": height,
        "num_frames": num_frames,
        "frame_rate": FRAME_RATE,
        "strength": clip.strength,
    }
    return {"video": video, "annotations": annotations}


def assemble(info: dict[str, Any], records: list[dict[str, Any]]) -> dict[str, Any]:
    """The COCO-VID-style document of a split; ids count from 1, instances through the split."""
    videos, images, annotations = [], [], []
    image_ids, annotation_ids = count(1), count(1)
    instances = 0
    for video_id, record in enumerate(records, 1):
        video = record["video"]
        videos.append({"id": video_id, **video})
        ids = []
        for frame in range(video["num_frames"]):
            ids.append(next(image_ids))
            images.append(
                {
                    "id": ids[-1],
                    "video_id": video_id,
                    "frame_index": frame,
                    "width": video["width"],
                    "height": video["height"],
                }
            )
        for annotation in record["annotations"]:
            rest = {k: v for k, v in annotation.items() if k not in ("frame_index", "instance_id")}
            annotations.append(
                {
                    "id": next(annotation_ids),
                    "image_id": ids[annotation["frame_index"]],
                    "video_id": video_id,
                    "instance_id": instances + annotation["instance_id"],
                    **rest,
                }
            )
        instances += max((a["instance_id"] for a in record["annotations"]), default=0)
    categories = [{"id": i, "name": name} for i, name in enumerate(class_names(), 1)]
    return {
        "info": info,
        "categories": categories,
        "videos": videos,
        "images": images,
        "annotations": annotations,
    }
