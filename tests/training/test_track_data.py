"""`trovid train --data` takes YouTube-VIS, DAVIS and MOT Challenge as they are distributed."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.datasets.youtube_vis_folder import write_youtube_vis
from tests.training.test_masktrack import small
from tests.training.tiny import tiny_recipe
from trovid.inference import load
from trovid.training.run import train_recipe


def write_mot(root):
    for name in ("MOT17-02-FRCNN", "MOT17-04-FRCNN"):
        folder = root / "train" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "img1").mkdir()
        rows = "".join(f"{i},1,{8 * i},20,24,24,1,1,1\n" for i in (1, 2, 3))
        (folder / "gt/gt.txt").write_text(rows)
        info = "[Sequence]\nseqLength=3\nimWidth=96\nimHeight=64\nframeRate=25\n"
        (folder / "seqinfo.ini").write_text(info)
        for frame in (1, 2, 3):
            colour = (60 * frame, 90, len(name))
            Image.new("RGB", (96, 64), colour).save(folder / "img1" / f"{frame:06d}.jpg")
    return root


@pytest.mark.parametrize("kind", ["youtube-vis", "mot"])
def test_a_training_on_the_data_as_they_are_distributed(tmp_path, kind):
    if kind == "youtube-vis":
        data, recipe = write_youtube_vis(tmp_path / "data"), small(steps=2)
        classes = ("cat", "dog")
    else:
        data, recipe = write_mot(tmp_path / "data"), tiny_recipe(steps=2)
        classes = ("pedestrian",)
    weights = train_recipe(
        recipe, data=data, out=tmp_path / "runs", seed=0, classes=("all",), validate=0, workers=0
    )
    model = load(weights, device="cpu")
    assert model.class_names == classes
    assert model.detector.segments == (kind == "youtube-vis")
