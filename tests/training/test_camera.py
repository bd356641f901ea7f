"""Clips from pictures: boxes follow every pixel that is moved, and chance is determined."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.tiny import tiny_recipe
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.recipes import CameraRecipe
from trovid.structures import GroundTruth, Video
from trovid.training.camera import drawn_views, filmed
from trovid.training.clips import TrainingClips
from trovid.video.transforms import FrameTransform

SIZE = (48, 64)
BOX = (20, 16, 40, 36)
MOVING = CameraRecipe(
    height=40, width=56, zoom=(0.7, 1.6), motion=0.2, zoom_motion=0.3, rotation=8.0
)


def painted(colour: tuple[int, int, int], box=BOX, size=SIZE) -> np.ndarray:
    picture = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    picture[y1:y2, x1:x2] = colour
    return picture


def truth_of(boxes, size=SIZE, **others) -> GroundTruth:
    count = len(boxes)
    return GroundTruth(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.zeros(count, dtype=torch.int64),
        torch.arange(count),
        ("square",),
        image_size=size,
        **others,
    )


def pictures(folder: Path, **counts: int) -> Dataset:
    """Pictures of one object of the class that they are named after."""
    rows, entries = ObjectRows(), []
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            file = folder / f"{name}{number}.png"
            Image.fromarray(painted((250, 40 + number, 40 * label))).save(file)
            rows.add(len(entries), 0, label, BOX)
            entries.append(VideoEntry(Video(file.stem, 1, *SIZE), str(file), [0]))
    return Dataset(list(counts), entries, rows.objects())


def nothing(chance: random.Random):
    return np.zeros((*SIZE, 3), np.uint8), truth_of([])


def extent(lit: np.ndarray) -> list[int]:
    places = np.argwhere(lit)
    return [*places.min(0)[::-1], *(places.max(0)[::-1] + 1)]


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_the_camera(seed):
    """What is seen of a painted rectangle reaches as far as its box says, turned or not."""
    clip, truths = filmed(
        painted((255, 0, 0)), truth_of([BOX]), MOVING, random.Random(seed), count=4, other=nothing
    )
    assert clip.shape == (4, 40, 56, 3)
    assert len({truth.boxes.numpy().tobytes() for truth in truths}) == 4
    for frame, truth in zip(clip, truths, strict=True):
        assert truth.image_size == (40, 56)
        lit = (frame[..., 0] > 190) & (frame[..., 1] < 64)
        if not truth.counted.all():
            continue
        assert truth.boxes[0].tolist() == pytest.approx(extent(lit), abs=2.5)


def test_labels_may_be_in_other_pixels_than_the_picture():
    still = CameraRecipe(height=48, width=64, zoom=(1.0, 1.0))
    twice = truth_of([tuple(2 * side for side in BOX)], size=(96, 128))
    clip, (truth,) = filmed(
        painted((255, 0, 0)), twice, still, random.Random(0), count=1, other=nothing
    )
    assert np.array_equal(clip[0], painted((255, 0, 0)))
    assert truth.boxes.tolist() == [list(BOX)]


def test_a_view_shows_as_much_of_the_picture_as_there_is():
    wide = CameraRecipe(height=30, width=30, zoom=(0.5, 2.0), motion=0.3, zoom_motion=0.2)
    for seed in range(40):
        for view in drawn_views(wide, SIZE, random.Random(seed), count=3):
            for middle, side in ((view.y, SIZE[0]), (view.x, SIZE[1])):
                seen = 30 / view.scale
                shown = min(middle + seen / 2, side) - max(middle - seen / 2, 0)
                assert shown == pytest.approx(min(seen, side), abs=1e-6)


def test_what_is_hardly_seen_need_not_be_found():
    corner, tiny, whole = (0, 0, 6, 6), (30, 20, 33, 23), (26, 18, 40, 34)
    near = CameraRecipe(height=24, width=32, zoom=(1.0, 1.0))
    seen = set()
    for seed in range(30):
        truth = filmed(
            painted((9, 9, 9)),
            truth_of([corner, tiny, whole], ignore=torch.tensor([False, False, False])),
            near,
            random.Random(seed),
            count=1,
            other=nothing,
        )[1][0]
        assert truth.ignore is not None
        assert truth.ignore[1]
        seen.add(tuple(truth.ignore.tolist()))
        cut = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)
        assert (cut[2] < 0.3 * 14 * 16) == truth.ignore[2] or cut[2] >= 0.3 * 14 * 16
    assert len(seen) > 1


def test_objects_of_other_pictures_are_pasted_with_their_boxes():
    settings = CameraRecipe(height=80, width=100, zoom=(1.6, 1.6), motion=0.1, pasted=1.0)
    box, small = (10, 10, 58, 44), (28, 20, 38, 30)

    def other(chance: random.Random):
        return painted((0, 250, 0), box), truth_of([box])

    moved, covered = 0, 0
    for seed in range(20):
        clip, truths = filmed(
            painted((255, 0, 0), small),
            truth_of([small]),
            settings,
            random.Random(seed),
            count=3,
            other=other,
        )
        for frame, truth in zip(clip, truths, strict=True):
            assert len(truth) == 2
            assert truth.instance_ids.tolist() == [0, 1]
            covered += not truth.counted[0]
            if truth.counted[1]:
                green = (frame[..., 1] > 150) & (frame[..., 0] < 90)
                assert truth.boxes[1].tolist() == pytest.approx(extent(green), abs=3.5)
        moved += len({truth.boxes[1].numpy().tobytes() for truth in truths}) == 3
    assert moved > 15
    assert 0 < covered < 40
    plain = filmed(
        painted((255, 0, 0), small),
        truth_of([small]),
        settings,
        random.Random(0),
        count=1,
        other=nothing,
    )
    assert len(plain[1][0]) == 1


def test_what_else_a_pasted_part_shows_is_labelled_too():
    """A rider comes with the horse; a crowd, and what is cut off, need not be found."""
    settings = CameraRecipe(height=240, width=240, zoom=(1.0, 1.0), pasted=1.0)
    horse, rider, crowd, wall = (8, 4, 56, 44), (20, 6, 30, 16), (36, 8, 46, 18), (59, 0, 64, 48)
    riding = truth_of([horse, rider, crowd, wall], crowd=torch.tensor([False, False, True, False]))
    riding = replace(riding, labels=torch.tensor([0, 1, 1, 1]), class_names=("square", "rider"))
    known = replace(truth_of([BOX]), class_names=("square", "rider"))
    picture = np.maximum(painted((0, 250, 0), horse), painted((250, 0, 0), rider))
    for seed in range(10):
        clip, (truth,) = filmed(
            np.zeros((*SIZE, 3), np.uint8),
            known,
            settings,
            random.Random(seed),
            count=1,
            other=lambda chance: (picture, riding),
        )
        assert truth.labels.tolist() == [0, 0, 1, 1, 1]
        assert truth.instance_ids.tolist() == [0, 1, 2, 3, 4]
        assert truth.counted[1:].tolist() == [True, True, False, False]
        red = (clip[0][..., 0] > 120) & (clip[0][..., 2] < 60)
        assert truth.boxes[2].tolist() == pytest.approx(extent(red), abs=2.5)


def test_single_frames_are_spoilt_and_boxes_stay():
    settings = CameraRecipe(height=48, width=64, zoom=(1.0, 1.0), damage=0.5)
    spoilt = 0
    for seed in range(20):
        clip, truths = filmed(
            painted((255, 90, 0)),
            truth_of([BOX]),
            settings,
            random.Random(seed),
            count=4,
            other=nothing,
        )
        spoilt += sum(not np.array_equal(frame, painted((255, 90, 0))) for frame in clip)
        assert all(truth.boxes.tolist() == [list(BOX)] for truth in truths)
    assert 20 < spoilt < 60


def test_a_step_is_the_same_again_and_for_each_process(tmp_path):
    dataset = pictures(tmp_path, cup=3, dog=3)
    clips = TrainingClips(dataset, FrameTransform(*SIZE), cache=tmp_path / "frames")
    camera = CameraRecipe(
        height=40, width=56, zoom=(0.8, 1.5), motion=0.2, rotation=5.0, pasted=0.5, damage=0.5
    )
    settings = tiny_recipe(
        batch=6, support_frames=2, mutual_support=True, flip=0.5, camera=camera, draw="balanced"
    ).training
    whole, again = (clips.draw(settings, seed=1, step=4) for _ in range(2))
    parts = [clips.draw(settings, seed=1, step=4, share=range(k, k + 3)) for k in (0, 3)]
    joined = [frames for part in parts for frames in part.frames]
    for one, other, third in zip(whole.frames, again.frames, joined, strict=True):
        assert one.shape == (3, 40, 56, 3)
        assert np.array_equal(one, other)
        assert np.array_equal(one, third)
    boxes = [frame_boxes for part in parts for frame_boxes in part.boxes]
    assert len(boxes) == 18
    for frame_boxes, same in zip(whole.boxes, boxes, strict=True):
        assert np.array_equal(frame_boxes, same)
    other = clips.draw(settings, seed=1, step=5)
    assert not all(np.array_equal(a, b) for a, b in zip(whole.frames, other.frames, strict=True))


def test_videos_are_left_as_they_are_and_masks_are_refused(clips, dataset, tmp_path):
    plain, filming = (tiny_recipe(batch=2, camera=camera).training for camera in (None, MOVING))
    one, other = (clips.draw(settings, seed=0, step=0) for settings in (plain, filming))
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, other.frames, strict=True))
    with_masks = TrainingClips(dataset, clips.transform, cache=tmp_path, masks=True)
    with pytest.raises(TrovidError, match=r"training\.camera move no masks"):
        with_masks.draw(filming, seed=0, step=0)
