"""The labels that docs/own-data.md makes of DAVIS, on a small folder of its form."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from trovid.datasets.check import check_data
from trovid.datasets.reading import read_split, splits_of

PAGE = Path(__file__).parents[2] / "docs/own-data.md"
SEQUENCES = ("bear", "dog", "dog-agility", "unlisted")


def write_davis(folder: Path) -> None:
    for place, name in enumerate(SEQUENCES):
        for kind in ("JPEGImages", "Annotations"):
            (folder / kind / "480p" / name).mkdir(parents=True)
        for frame in range(5):
            picture = np.full((64, 96, 3), 40 * place + frame, dtype=np.uint8)
            mask = np.zeros((64, 96), dtype=np.uint8)
            if frame != 4:
                mask[10:40, 5 + frame : 30 + frame] = 255
            Image.fromarray(picture).save(folder / f"JPEGImages/480p/{name}/{frame:05}.jpg")
            Image.fromarray(mask).save(folder / f"Annotations/480p/{name}/{frame:05}.png")


def test_the_page_makes_labels_that_fit(tmp_path, monkeypatch):
    write_davis(tmp_path / "DAVIS")
    monkeypatch.chdir(tmp_path)
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found is not None
    exec(compile(found[1], str(PAGE), "exec"), {})
    folder = Path("DAVIS")
    assert splits_of(folder) == ("train", "val")
    train, val = (read_split(folder, split) for split in ("train", "val"))
    later = read_split(folder / "later.json", None)
    names = ["JPEGImages/480p/dog", "JPEGImages/480p/bear"]
    assert [video.name for video in train.videos] == names
    assert [video.name for video in later.videos] == names
    assert [video.name for video in val.videos] == ["JPEGImages/480p/dog-agility"]
    assert train.labelled_frames(names[0]).tolist() == [0, 2, 4]
    assert later.labelled_frames(names[0]).tolist() == [1, 3]
    truth = later.ground_truth(names[0], frames=[3])[0]
    assert truth.boxes.tolist() == [[8, 10, 33, 40]]
    assert truth.class_names[int(truth.labels[0])] == "dog"
    assert len(train.ground_truth(names[0], frames=[4])[0]) == 0
    assert check_data(folder).errors == []
