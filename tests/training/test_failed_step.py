"""What a step looked at whose loss is not a number, as a picture."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.training.tiny import HEIGHT, WIDTH, tiny_recipe
from trovid.errors import TrovidError
from trovid.training.failed_step import save_what_failed
from trovid.training.loop import train


def test_a_loss_that_is_no_number_stops_with_what_was_looked_at(clips, tmp_path):
    recipe = tiny_recipe(steps=30, learning_rate=1e6, clip_norm=1e9, optimizer="sgd")
    with pytest.raises(TrovidError, match=r"step \d+: .*; what it looked at is in"):
        train(recipe, clips, seed=0, checkpoint=tmp_path / "c.checkpoint", device="cpu")
    (picture,) = tmp_path.glob("c.step*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def too_bright_from(step: int, clips):
    """The clips, whose frames make losses that are no numbers from a step on (from 0)."""

    def draw(settings, **which):
        drawn = clips.draw(settings, **which)
        bright = [frame * np.float32(1e36) for frame in drawn.frames]
        return replace(drawn, frames=bright) if which["step"] >= step else drawn

    broken = copy.copy(clips)
    broken.draw = draw
    return broken


@pytest.mark.parametrize(
    "read",
    [{}, {"check_every": 5}, {"save_every": 5}, {"validate_every": 5}, {"stop": 5}, {"steps": 5}],
    ids=lambda read: "-".join(read) or "end",
)
def test_a_loss_that_is_read_later_names_its_step_and_nothing_is_written(clips, tmp_path, read):
    options = {"check_every": 100, **read}
    training = {name: options.pop(name) for name in ("steps", "validate_every") if name in options}
    told, written, stop = [], [], options.pop("stop", None)

    @contextmanager
    def stopping():
        yield lambda: len(told) + 1 == stop

    with pytest.raises(TrovidError, match=r"^step 3: the loss or its gradient is not finite"):
        train(
            tiny_recipe("synthvid-start", **{"steps": 7, "batch": 1, **training}),
            too_bright_from(2, clips),
            seed=0,
            checkpoint=tmp_path / "c.checkpoint",
            device="cpu",
            report=lambda progress: told.append(progress.step),
            on_the_way=lambda detector, step: written.append(step),
            stopping=stopping,
            **options,
        )
    assert told == [*range(1, 5 if read else 7)]
    assert written == []
    assert [path.name for path in tmp_path.iterdir()] == ["c.step3.png"]


def test_what_an_operator_says_of_a_later_step_is_said_of_the_first_that_failed(clips, tmp_path):
    recipe = tiny_recipe(steps=30, learning_rate=1e6, clip_norm=1e9, optimizer="sgd")
    options = {"seed": 0, "device": "cpu", "check_every": 30}
    with pytest.raises(TrovidError, match=r"^step 2: the loss or its gradient is not finite"):
        train(recipe, clips, checkpoint=tmp_path / "c.checkpoint", **options)


def test_every_frame_of_the_step_is_shown_with_its_boxes(clips, tmp_path):
    settings = tiny_recipe(batch=2, support_frames=2).training
    drawn = clips.draw(settings, seed=0, step=0)
    path = save_what_failed(tmp_path / "c.checkpoint", drawn, clips, step=7)
    assert path == tmp_path / "c.step7.png"
    sheet = np.asarray(Image.open(path).convert("RGB")).astype(int)
    frames = sum(map(len, drawn.frames))
    assert sheet.shape[0] * sheet.shape[1] >= frames * HEIGHT * WIDTH
    blank = replace(drawn, boxes=[b[:0] for b in drawn.boxes], labels=[x[:0] for x in drawn.labels])
    other = save_what_failed(tmp_path / "d.checkpoint", blank, clips, step=7)
    assert (np.asarray(Image.open(other).convert("RGB")) != sheet).any()


def test_frames_of_other_numbers_than_bytes_are_shown_too(clips, tmp_path):
    drawn = clips.draw(tiny_recipe(batch=1, support_frames=1).training, seed=0, step=0)
    floats = replace(drawn, frames=[frame / np.float32(255) for frame in drawn.frames])
    path = save_what_failed(tmp_path / "c.checkpoint", floats, clips, step=1)
    assert np.asarray(Image.open(path)).std() > 10
