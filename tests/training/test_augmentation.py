"""Changes of a clip: alike in all its frames, with boxes that follow."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from tests.datasets.labelled_folder import write_labels
from tests.training.tiny import tiny_recipe
from trovid.datasets.reading import read_split
from trovid.recipes import AugmentationRecipe
from trovid.training.augmentation import (
    DAMAGES,
    Window,
    changed_looks,
    damaged,
    drawn_windows,
)
from trovid.training.clips import TrainingClips
from trovid.video.transforms import FrameTransform


def frames(count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 200, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return np.stack([scene] * count)


def test_a_window_is_enlarged_and_boxes_follow():
    clip = np.zeros((2, 64, 96, 3), np.uint8)
    clip[:, 20:36, 30:54] = 255
    window = Window(x=0.25, y=0.25, share=0.5)
    large = window.frames(clip)
    assert large.shape == clip.shape
    boxes = window.boxes(torch.tensor([[30.0, 20, 54, 36], [0, 0, 10, 10]]), (64, 96))
    assert boxes.tolist() == [[12, 8, 60, 40], [0, 0, 0, 0]]
    bright = np.argwhere(large[0, :, :, 0] > 127)
    assert bright.min(0).tolist() == pytest.approx([8, 12], abs=1)
    assert bright.max(0).tolist() == pytest.approx([39, 59], abs=1)
    assert np.array_equal(large[0], large[1])
    assert Window().frames(clip) is clip


def test_windows_stay_inside():
    settings = AugmentationRecipe(crop=0.5, still_motion=0.1)
    for seed in range(50):
        for still in (False, True):
            windows = drawn_windows(settings, random.Random(seed), count=3, still=still)
            assert len(set(windows)) == (3 if still else 1)
            for window in windows:
                assert 0.4 <= window.share <= 1
                assert 0 <= window.x <= 1 - window.share + 1e-9
                assert 0 <= window.y <= 1 - window.share + 1e-9
    plain = AugmentationRecipe()
    assert drawn_windows(plain, random.Random(0), count=2, still=True) == [Window()] * 2


def test_a_picture_becomes_a_clip(tmp_path):
    """Boxes follow the window of each frame."""
    dataset = read_split(stills(tmp_path), None)
    clips = TrainingClips(dataset, FrameTransform(64, 96), cache=tmp_path / "frames")
    changes = AugmentationRecipe(still_motion=0.2)
    settings = tiny_recipe(batch=1, mutual_support=True, support_frames=2, augmentation=changes)
    drawn = clips.draw(settings.training, seed=0, step=0)
    (frames,) = drawn.frames
    assert len(drawn.boxes) == 3
    assert len({box.tobytes() for box in drawn.boxes}) == 3
    for image, (box,) in zip(frames, drawn.boxes, strict=True):
        bright = np.argwhere(image[:, :, 0] > 127)
        found = [*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]
        assert box.tolist() == pytest.approx(found, abs=2)


def stills(folder):
    """A picture with a white square, as its own JSON says."""
    from PIL import Image

    picture = np.zeros((64, 96, 3), np.uint8)
    picture[24:44, 40:60] = 255
    Image.fromarray(picture).save(folder / "square.png")
    return write_labels(
        folder, {"videos": {"square.png": {"0": [{"class": "cup", "box": [40, 24, 60, 44]}]}}}
    )


def test_light_and_blur_are_alike_in_all_frames_and_damage_is_not():
    clip = frames()
    settings = AugmentationRecipe(light=0.5, blur=1.0)
    changed = changed_looks(clip, settings, random.Random(1), targets=1)
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, clip)
    assert all(np.array_equal(frame, changed[0]) for frame in changed)
    changed = changed_looks(clip, AugmentationRecipe(damage=1.0), random.Random(1), targets=1)
    assert not np.array_equal(changed[0], clip[0])
    assert np.array_equal(changed[1:], clip[1:])


def test_every_damage_changes_a_frame():
    seen = dict.fromkeys(DAMAGES, 0)
    for seed in range(40):
        seen[random.Random(seed).choice(DAMAGES)] += 1
        out = damaged(frames(1)[0], random.Random(seed))
        assert out.shape == (64, 96, 3)
        assert not np.array_equal(out, frames(1)[0])
    assert all(seen.values())


def test_what_a_step_draws_else_stays_the_same(clips):
    plain = tiny_recipe(batch=4, flip=0.5, random="clip").training
    changes = AugmentationRecipe(crop=0.6, light=0.3, damage=0.5)
    changed = tiny_recipe(batch=4, flip=0.5, random="clip", augmentation=changes).training
    one, other = (clips.draw(settings, seed=0, step=2) for settings in (plain, changed))
    assert one.frame_indices == other.frame_indices
    assert one.seeds == other.seeds
    again = clips.draw(changed, seed=0, step=2)
    assert all(np.array_equal(a, b) for a, b in zip(other.frames, again.frames, strict=True))
    for boxes, frame in zip(other.boxes, np.repeat(np.arange(4), 4), strict=True):
        height, width = other.frames[frame].shape[1:3]
        assert (boxes >= -1e-3).all()
        assert (boxes <= np.array([width, height] * 2) + 1e-3).all()
