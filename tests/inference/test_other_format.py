"""The same clips as 1279x719 H.264 of variable frame rate give the same AP50."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import trovid
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.synthvid import write_split
from trovid.evaluation import evaluate

HEIGHT, WIDTH, LEFT = 719, 1279, 280
CLIPS, EVERY = 100, 3


def widescreen(path, frames: np.ndarray) -> None:
    """Frames enlarged to the full height, grey at the sides, at uneven times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(12))
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv444p"
        stream.options = {"crf": "16", "preset": "veryfast"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            picture = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
            enlarged = Image.fromarray(frame).resize((HEIGHT, HEIGHT), Image.Resampling.BICUBIC)
            picture[:, LEFT : LEFT + HEIGHT] = np.asarray(enlarged)
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image.pts, image.time_base = index * 80 + 7 * (index % 5), Fraction(1, 1000)
            container.mux(stream.encode(image))
        container.mux(stream.encode())


def widened(path, folder) -> Dataset:
    raw = json.loads(path.read_text())
    factor = HEIGHT / 256
    for annotation in raw["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["bbox"] = [x * factor + LEFT, y * factor, w * factor, h * factor]
        annotation["area"] *= factor**2
        annotation.pop("segmentation")
        annotation.pop("visible_segmentation", None)
    for entry in (*raw["videos"], *raw["images"]):
        entry.update(height=HEIGHT, width=WIDTH)
    for video in raw["videos"]:
        video["file_name"] = f"{video['name']}.mkv"
    path = folder / "wide.json"
    path.write_text(json.dumps(raw))
    return read_coco_vid(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["synthvid-single", "synthvid-selsa-troi"])
def test_another_size_codec_and_timing_change_ap50_by_less_than_a_point(name, tmp_path):
    path = write_split(tmp_path, split="test", videos=CLIPS)
    labels, wide = read_coco_vid(path), widened(path, tmp_path)
    for video in labels.videos:
        with labels.open(video.name) as reader:
            frames = np.stack([frame.image for frame in reader])
        widescreen(tmp_path / f"{video.name}.mkv", frames)
    with wide.open(wide.videos[0].name) as reader:
        times = np.diff([frame.time for frame in reader])
        assert (reader.video.height, reader.video.width) == (HEIGHT, WIDTH)
    assert times.max() > 1.5 * times.min()

    model = trovid.load(name, device="cpu")
    figures = []
    for dataset in (labels, wide):
        found = {
            video.name: list(
                model.detect(dataset.path(video.name), score=0.01, frames=range(0, 24, EVERY))
            )
            for video in dataset.videos
        }
        assert all(len(frames) == 24 // EVERY for frames in found.values())
        figures.append(100 * evaluate(found, dataset).overall.ap50)
    assert abs(figures[0] - figures[1]) < 1, figures
