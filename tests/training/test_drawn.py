"""Drawn clips on their way to a batch: in parts, padded, with what belongs to each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from trovid.training.drawn import DrawnClips
from trovid.video.transforms import make_transform

TRANSFORM = make_transform(mean=(0, 0, 0), std=(1, 1, 1), shorter=8, longer=16, divisor=4)
SIZES = ((8, 12), (8, 10), (6, 8), (8, 12))


def drawn(**changes) -> DrawnClips:
    """Four clips of three frames, of which the first is a target frame with its number of boxes."""
    counts = range(len(SIZES))
    return replace(
        DrawnClips(
            frames=[np.full((3, *size, 3), 10 * (n + 1), np.uint8) for n, size in enumerate(SIZES)],
            frame_indices=[[n, n + 1, n + 2] for n in counts],
            targets_per_clip=1,
            boxes=[np.full((n, 4), n, np.float32) for n in counts],
            labels=[np.full(n, n, np.int64) for n in counts],
            instance_ids=[np.arange(n) for n in counts],
            colours=None,
            videos=[f"v{n}" for n in counts],
        ),
        **changes,
    )


def test_parts_hold_each_clip_once_with_what_is_its_own():
    masks = [np.ones((n, *size), bool) for n, size in enumerate(SIZES)]
    whole = drawn(masks=masks, seeds=[7, 8, 9, 10], references=[1, 4, 7, 10])
    first, second, third = whole.parts(3)
    assert [list(part.videos) for part in (first, second, third)] == [["v0"], ["v1"], ["v2", "v3"]]
    assert third.frame_indices == [[2, 3, 4], [3, 4, 5]]
    assert [len(boxes) for boxes in third.boxes] == [2, 3]
    assert [clip_masks.shape for clip_masks in third.masks] == [(2, 6, 8), (3, 8, 12)]
    assert list(third.seeds) == [9, 10]
    assert [part.references for part in (first, second, third)] == [[1], [1], [1, 4]]
    assert whole.parts(1)[0].frame_indices == whole.frame_indices


def test_frames_of_other_sizes_are_padded_to_the_largest():
    batch = drawn().batch(TRANSFORM)
    assert batch.images.shape == (12, 3, 8, 12)
    assert [tuple(size) for size in batch.image_sizes] == [size for size in SIZES for _ in range(3)]
    for number, (height, width) in enumerate(SIZES):
        for image in batch.images[3 * number : 3 * number + 3]:
            assert (image[:, :height, :width] == 10 * (number + 1)).all()
            assert not image[:, height:].any()
            assert not image[:, :, width:].any()


def test_targets_hold_their_objects_and_what_is_to_be_ignored():
    ignored = [np.zeros((n % 2, 4), np.float32) for n in range(4)]
    masks = [np.ones((n, *size), bool) for n, size in enumerate(SIZES)]
    batch = drawn(ignored=ignored, masks=masks, seeds=[5, 6, 7, 8]).batch(TRANSFORM)
    assert [len(target["boxes"]) for target in batch.targets] == [0, 1, 2, 3]
    assert [target["labels"].tolist() for target in batch.targets] == [[], [1], [2] * 2, [3] * 3]
    assert ["ignored" in target for target in batch.targets] == [False, True, False, True]
    assert [int(target["seed"]) for target in batch.targets] == [5, 6, 7, 8]
    padded = batch.targets[2]["masks"]
    assert padded.shape == (2, 8, 12)
    assert padded.sum() == 2 * 6 * 8


def test_colours_are_exchanged_within_a_clip_alike():
    frames = [np.zeros((3, 8, 12, 3), np.uint8) + np.array([1, 2, 3], np.uint8)] * 4
    plain = drawn(frames=frames).batch(TRANSFORM).images[:, :, 0, 0]
    found = drawn(frames=frames, colours=np.random.RandomState(3)).batch(TRANSFORM)
    images = found.images[:, :, 0, 0]
    assert torch.equal(images.abs().sort(1).values, plain)
    assert all(torch.equal(clip, clip[:1].expand(3, 3)) for clip in images.split(3))
    assert not torch.equal(images, plain)
