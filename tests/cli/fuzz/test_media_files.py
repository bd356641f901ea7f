"""Videos, pictures and playlists that nobody would make."""

from __future__ import annotations

import pytest

from tests.cli.fuzz.commands import BLUR, DETECT, MODEL, SEGMENT, TRAIN
from tests.cli.fuzz.files import Table, try_all, try_some
from tests.cli.fuzz.hostile import damage, playlist

HOSTILE: Table = {
    "train, video": ("data/one.mp4", damage, [["train", "recipe.yaml", *TRAIN]]),
    "data check, video": ("data/one.mp4", damage, [["data", "check", "data"]]),
    "info, images": ("frames/2.png", damage, [["info", "frames"]]),
    "detect, images": ("frames/2.png", damage, [["detect", "frames", *DETECT]]),
    "info, playlist": ("LIST", playlist, [["info", "LIST"]]),
    "info, allowed playlist": ("LIST", playlist, [["info", "LIST", "--allow-playlist"]]),
    "detect, playlist": ("LIST", playlist, [["detect", "LIST", *DETECT]]),
    "explain, playlist": (
        "LIST",
        playlist,
        [["explain", "LIST", *MODEL, "--out", "out/why.png"]],
    ),
    "info, video": ("VIDEO", damage, [["info", "VIDEO"]]),
    "detect, video": (
        "VIDEO",
        damage,
        [
            ["detect", "VIDEO", *DETECT, "--sheet", "--timeline", "--coco"],
            ["detect", "VIDEO", *DETECT, "--online", "--overwrite"],
        ],
    ),
    "explain, video": ("VIDEO", damage, [["explain", "VIDEO", *MODEL, "--out", "out/why.png"]]),
    "segment, video": (
        "VIDEO",
        damage,
        [["segment", "VIDEO", *SEGMENT, "--end", "0.2"]],
    ),
    "blur, video": ("VIDEO", damage, [["blur", "VIDEO", *BLUR]]),
    "blur, playlist": ("LIST", playlist, [["blur", "LIST", *BLUR]]),
    "segment, playlist": ("LIST", playlist, [["segment", "LIST", *SEGMENT]]),
}
QUICK = ("info, playlist", "info, images")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(seeds, tmp_path, name):
    try_all(HOSTILE, name, seeds, tmp_path)


@pytest.mark.parametrize("name", QUICK)
def test_some_hostile_files(seeds, tmp_path, name):
    try_some(HOSTILE, name, seeds, tmp_path)
