"""The official ground truth of ImageNet VID with 100 made-up boxes a frame."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests import shared
from tests.external import need_package
from trovid.datasets.imagenet_vid_truth import read_imagenet_vid_truth
from trovid.runs.parquet.rows import arrow, schema
from trovid.runs.parquet.writing import ParquetWriter

DATA = shared.SHARED / "data"
BOXES = 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "vid_ground_truth").is_dir(), reason="shared/data is not beside this checkout"
    ),
]


def made_up(rng: np.random.Generator, boxes, labels, frames, num_frames: int):
    """Three displaced copies of each object, a third of the rest near, all else anywhere."""
    total = num_frames * BOXES
    corner = rng.uniform(0, 900, (total, 2))
    found = np.concatenate([corner, corner + rng.uniform(8, 300, (total, 2))], axis=1)
    classes = rng.integers(0, 30, total)
    scores = rng.random(total) ** 3 * 0.6
    used = np.zeros(num_frames, dtype=np.int64)
    for _ in range(3):
        for frame, box, label in zip(frames.tolist(), boxes, labels.tolist(), strict=True):
            if used[frame] < BOXES:
                row = frame * BOXES + used[frame]
                size = np.tile(box[2:] - box[:2], 2)
                found[row] = box + rng.normal(0, 0.08, 4) * size
                classes[row], scores[row] = label, rng.random()
                used[frame] += 1
    return found.astype(np.float32), classes, scores.astype(np.float32)


def write_made_up(path, dataset) -> None:
    pa = arrow()
    rng = np.random.default_rng(0)
    names = pa.array(dataset.class_names, type=pa.string())
    writer = ParquetWriter(path, head={"model": "made up", "class_names": dataset.class_names})
    for video in dataset.videos:
        objects = dataset.objects[dataset.rows(video.name)]
        boxes, labels, scores = made_up(
            rng, objects.boxes, objects.labels, objects.frames, video.num_frames
        )
        count = len(boxes)
        frames = np.repeat(np.arange(video.num_frames, dtype=np.int32), BOXES)
        word = pa.array([video.name], type=pa.string())
        writer.begin_video(video, video.name)
        table = pa.table(
            {
                "video": pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), word),
                "frame": frames,
                "time": frames / 25,
                "label": labels.astype(np.int16),
                "class": pa.DictionaryArray.from_arrays(labels.astype(np.int32), names),
                "score": scores,
                **{name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
                "track": pa.nulls(count, pa.int64()),
                "mask": pa.nulls(count, pa.string()),
            },
            schema=schema(),
        )
        writer.write_table(table)
        writer.end_video()
    writer.finish()
    writer.publish()


def test_in_two_gigabytes(tmp_path):
    """17.6 million detections, all three AP50s with the motion groups."""
    need_package("pyarrow")
    for file in (*(DATA / "vid_ground_truth").iterdir(), DATA / "splits" / "VID_val_videos.txt"):
        (tmp_path / file.name).symlink_to(file)
    write_made_up(tmp_path / "found.parquet", read_imagenet_vid_truth(tmp_path))
    report = tmp_path / "report.json"
    words = ["evaluate", tmp_path / "found.parquet", "--labels", tmp_path, "--out", report]
    command = [sys.executable, "-m", "trovid", *map(str, words)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (tmp_path / "said").read_text()
    peak = usage.ru_maxrss * 1024
    document = json.loads(report.read_text())
    assert document["head"]["detections"] == 17_612_600
    for protocol in ("devkit", "voc"):
        for group in ("all", "motion: slow", "motion: medium", "motion: fast"):
            assert 0 < document["protocols"][protocol][group]["mean"] < 1
    assert peak <= 2e9
