"""Clips drawn ahead by worker processes: the same clips, the same errors, and nobody stays."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from tests.media import numbered
from tests.training.tiny import TRANSFORM, tiny_recipe
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.training.clips import TrainingClips
from trovid.training.loader import drawn_clips, usual_workers

SETTINGS = tiny_recipe(flip=0.5, support_frames=2, mutual_support=False).training


@pytest.fixture
def images(tmp_path) -> TrainingClips:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(numbered(index)).save(folder / f"{index}.png")
    entry = VideoEntry(Video("images", 4, 64, 96), str(folder), range(4))
    dataset = Dataset(["thing"], [entry], ObjectRows().objects())
    return TrainingClips(dataset, TRANSFORM, cache=tmp_path / "cache")


def test_workers_change_nothing_and_end_with_whom_they_work_for(clips):
    alone, together = (
        drawn_clips(clips, SETTINGS, seed=1, steps=range(3, 99), workers=workers)
        for workers in (0, 2)
    )
    for one, other in islice(zip(alone, together, strict=True), 5):
        assert all(map(np.array_equal, one.frames, other.frames))
        assert all(map(np.array_equal, one.boxes, other.boxes))
        assert one.frame_indices == other.frame_indices
        assert np.array_equal(one.colours.get_state()[1], other.colours.get_state()[1])
    assert len(multiprocessing.active_children()) == 2
    together.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_was_raised(images, tmp_path, workers):
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(TrovidError) as error:
        next(drawn_clips(images, SETTINGS, seed=0, steps=range(4), workers=workers))
    what = "cannot be read (No such file or directory); check it"
    assert str(error.value) == f"{tmp_path / 'images'}: {what}"
    assert not multiprocessing.active_children()


def test_a_worker_that_ends_is_said(clips):
    drawn = drawn_clips(clips, SETTINGS, seed=0, steps=range(99), workers=1)
    next(drawn)
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(TrovidError, match="ended with status -9"):
        list(islice(drawn, 9))
    assert not multiprocessing.active_children()


def test_workers_are_used_where_reading_takes_time(clips, images):
    assert usual_workers(clips) == 0
    assert usual_workers(images) >= 1


def test_fewer_than_none_are_refused(clips):
    with pytest.raises(TrovidError, match="`workers` must be at least 0, but is -1"):
        next(drawn_clips(clips, SETTINGS, seed=0, steps=range(1), workers=-1))
