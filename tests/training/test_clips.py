"""Which frames a step takes, how they look, and where their objects are."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.datasets.imagenet_folder import write_imagenet
from tests.media import encode, number
from tests.training.tiny import HEIGHT, TRANSFORM, WIDTH, batch_of, tiny_recipe
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import ObjectRows
from trovid.datasets.reading import read_dataset
from trovid.errors import TrovidError
from trovid.recipes import CameraRecipe
from trovid.structures import Video
from trovid.training.clips import TrainingClips
from trovid.video.transforms import make_transform

PLAIN = make_transform(mean=(0, 0, 0), std=(1, 1, 1), shorter=96, longer=160, divisor=16)
SMALL = {"mean": (0, 0, 0), "std": (1, 1, 1), "shorter": 8, "longer": 12, "divisor": 4}


def settings(**values):
    return tiny_recipe(
        **{"batch": 3, "support_frames": 2, "mutual_support": False, **values}
    ).training


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    return write_imagenet(tmp_path_factory.mktemp("ILSVRC2015"))


def same(one, other) -> bool:
    return (
        torch.equal(one.images, other.images)
        and one.frame_indices == other.frame_indices
        and all(
            torch.equal(a[key], b[key])
            for a, b in zip(one.targets, other.targets, strict=True)
            for key in a
        )
    )


def test_a_batch_depends_on_seed_and_step_alone(clips):
    one, again = (batch_of(clips, settings(), seed=0, step=5) for _ in range(2))
    assert same(one, again)
    for seed, step in ((0, 6), (1, 5)):
        assert not same(one, batch_of(clips, settings(), seed=seed, step=step))


def test_a_draw_is_the_same_after_a_journey_to_another_process(clips):
    drawn = clips.draw(settings(flip=0.5), seed=0, step=5)
    sent = pickle.loads(pickle.dumps(drawn))
    assert same(drawn.batch(TRANSFORM), sent.batch(TRANSFORM))
    assert len(pickle.dumps(drawn)) < 9 * HEIGHT * WIDTH * 3 + 10_000  # bytes, not float32


def test_shapes_and_places(clips):
    batch = batch_of(clips, settings(), seed=0, step=5)
    assert batch.images.shape == (9, 3, HEIGHT, WIDTH)
    assert batch.image_sizes == [(HEIGHT, WIDTH)] * 9
    assert batch.target_positions == [0, 3, 6]
    assert [len(frames) for frames in batch.frame_indices] == [3, 3, 3]


@pytest.mark.parametrize("mutual", [False, True])
def test_boxes_lie_on_the_objects_of_the_frames_named(clips, mutual):
    drawn = clips.draw(settings(mutual_support=mutual, flip=0.0), seed=0, step=3)
    targets = iter(zip(drawn.boxes, drawn.labels, strict=True))
    for clip, indices in zip(drawn.frames, drawn.frame_indices, strict=True):
        assert [number(frame) for frame in clip] == indices
        for index in indices[: 3 if mutual else 1]:
            boxes, labels = next(targets)
            assert boxes.tolist() == [[20 + index, 20, 44 + index, 44]]
            assert labels.tolist() == [0]
    assert next(targets, None) is None


def test_mutual_support_makes_targets_of_the_same_frames(clips):
    one, mutual = (
        batch_of(clips, settings(mutual_support=mutual), seed=0, step=5) for mutual in (False, True)
    )
    assert torch.equal(one.images, mutual.images)
    assert mutual.target_positions == list(range(9))
    for alone, place in zip(one.targets, one.target_positions, strict=True):
        assert torch.equal(alone["boxes"], mutual.targets[place]["boxes"])


def test_a_clip_is_mirrored_as_a_whole_with_its_boxes(clips):
    drawn = clips.draw(settings(batch=12, flip=0.5, mutual_support=True), seed=1, step=0)
    boxes = iter(drawn.boxes)
    kinds = set()
    for clip, indices in zip(drawn.frames, drawn.frame_indices, strict=True):
        mirrored = [number(frame) for frame in clip] != indices
        kinds.add(mirrored)
        frames = clip[:, :, ::-1] if mirrored else clip
        assert [number(frame) for frame in frames] == indices
        for index in indices:
            left = WIDTH - 44 - index if mirrored else 20 + index
            assert next(boxes).tolist() == [[left, 20, left + 24, 44]]
    assert kinds == {False, True}


def test_colours_change_alike_within_a_clip(clips):
    plain = batch_of(clips, settings(colour_augmentation=False), seed=0, step=5).images
    changed = batch_of(clips, settings(), seed=0, step=5).images
    assert not torch.equal(plain, changed)
    for before, after in zip(plain.split(3), changed.split(3), strict=True):
        found = [
            {
                (source, sign)
                for source in range(3)
                for sign in (1, -1)
                if torch.equal(after[:, channel], sign * before[:, source])
            }
            for channel in range(3)
        ]
        assert all(len(one) == 1 for one in found)
        assert {source for one in found for source, _ in one} == {0, 1, 2}


@pytest.mark.parametrize(("draw", "share"), [("clips", 0.5), ("frames", 0.6)])
def test_clips_or_frames_come_equally_often(clips, draw, share):
    chosen = settings(batch=1, support_frames=0, draw=draw)
    drawn = [clips.draw(chosen, seed=0, step=step) for step in range(400)]
    long = sum(clip.frame_indices[0][0] >= 8 for clip in drawn) / 400
    assert long == pytest.approx(share / 3, abs=0.06)  # a third of the frames of the longer clip


def test_a_step_is_upright_or_wide_and_each_frame_comes_as_often(tmp_path):
    entries, rows = [], ObjectRows()
    for place, (name, sides) in enumerate({"a": (8, 12), "b": (8, 8), "c": (12, 8)}.items()):
        path = tmp_path / f"{name}.png"
        Image.new("RGB", sides).save(path)
        entries.append(VideoEntry(Video(name, 1, sides[1], sides[0]), str(path), [0]))
        rows.add(place, 0, 0, (1, 1, 5, 5))
    dataset = Dataset(["thing"], entries, rows.objects())
    clips = TrainingClips(dataset, make_transform(**SMALL), cache=tmp_path / "cache")
    shares = []
    for group in (False, True):
        chosen = settings(batch=4, support_frames=0, group_aspects=group)
        drawn = [clips.draw(chosen, seed=0, step=step) for step in range(200)]
        mixed = sum(0 < step.videos.count("a") < 4 for step in drawn)
        assert (mixed == 0) == group
        names = [name for step in drawn for name in step.videos]
        shares.append([names.count(name) / len(names) for name in "abc"])
    assert shares[1] == pytest.approx(shares[0], abs=0.08)
    for share in (range(2), range(2, 4)):
        part = clips.draw(chosen, seed=0, step=7, share=share)
        whole = clips.draw(chosen, seed=0, step=7)
        assert list(part.videos) == [whole.videos[number] for number in share]


def test_crowds_and_ignored_objects_are_no_targets(tmp_path):
    path, rows = encode(tmp_path / "a.mp4", num_frames=1), ObjectRows()
    for left, flags in ((1, {}), (2, {"crowd": True}), (3, {"ignore": True})):
        rows.add(0, 0, 0, (left, 0, left + 9, 9), **flags)
    video = VideoEntry(Video("a", 1, 64, 96), str(path), [0])
    dataset = Dataset(["thing"], [video], rows.objects())
    clips = TrainingClips(dataset, TRANSFORM, cache=tmp_path / "cache")
    (target,) = batch_of(clips, settings(batch=1), seed=0, step=0).targets
    assert target["boxes"].tolist() == [[1, 0, 10, 9]]
    assert target["labels"].tolist() == [0]


@pytest.mark.parametrize("camera", [None, CameraRecipe(height=90, width=90, zoom=(0.5, 0.5))])
def test_boxes_end_where_their_frame_does(tmp_path, camera):
    """However much of a picture and its surroundings a camera sees; what lies outside is no target.

    An evaluation compares with the labels as they are.
    """
    path, rows = tmp_path / "a.png", ObjectRows()
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    for box in ((-40, 10, 30, 40), (70, 44, 116, 64), (WIDTH, 0, WIDTH + 50, 30)):
        rows.add(0, 0, 0, box)
    video = VideoEntry(Video("a", 1, HEIGHT, WIDTH), str(path), [0])
    dataset = Dataset(["thing"], [video], rows.objects())
    clips = TrainingClips(dataset, TRANSFORM, cache=tmp_path / "cache")
    drawn = clips.draw(settings(batch=1, support_frames=0, camera=camera), seed=0, step=0)
    sides = torch.tensor(drawn.boxes[0])[:, 2:] - torch.tensor(drawn.boxes[0])[:, :2]
    scale = 1 if camera is None else 0.5
    assert torch.allclose(sides, scale * torch.tensor([[30.0, 30], [26, 20]]))
    (truth,) = dataset.ground_truth("a", frames=[0])
    assert truth.boxes[0].tolist() == [-40, 10, 30, 40]


def test_labels_are_needed(tmp_path):
    video = VideoEntry(Video("a", 1, 64, 96), str(tmp_path), [])
    with pytest.raises(TrovidError, match="no video of the training data has a labelled frame"):
        TrainingClips(Dataset(["a"], [video], ObjectRows().objects()), TRANSFORM, cache=tmp_path)


def test_batches_mix_videos_and_images(imagenet, tmp_path):
    clips = TrainingClips(read_dataset(imagenet, split="train"), PLAIN, cache=tmp_path)
    assert not list(tmp_path.rglob("*.npy"))
    chosen = settings(batch=4, support_window=9, draw="frames", colour_augmentation=False)
    drawn = {}
    for step in range(60):
        batch = batch_of(clips, chosen, seed=0, step=step)
        for frames in batch.frame_indices:
            kind = "image" if frames[1] < 0 else "video"
            drawn[kind] = drawn.get(kind, 0) + 1
            assert kind == "image" or frames[0] in (0, 2, 3, 6)
    assert 0.3 < drawn["image"] / sum(drawn.values()) < 0.55  # 3 images, 4 listed frames
    sizes = set(batch.image_sizes)
    assert len(sizes) > 1
    height, width = batch.images.shape[-2:]
    for picture, (h, w) in zip(batch.images, batch.image_sizes, strict=True):
        assert picture[:, :h, :w].std() > 0
        assert not picture[:, h:].any()
        assert not picture[..., w:].any()
    assert max(h for h, _ in sizes) <= height
    assert max(w for _, w in sizes) <= width


def test_mirrored_boxes_of_clips_of_several_sizes(imagenet, tmp_path):
    clips = TrainingClips(read_dataset(imagenet, split="val"), PLAIN, cache=tmp_path)
    chosen = settings(batch=4, support_frames=1, colour_augmentation=False)
    plain, mirrored = (
        batch_of(clips, replace(chosen, flip=flip), seed=1, step=2) for flip in (0.0, 1.0)
    )
    # the drawing differs by the coins alone, which are tossed after the first clip was drawn
    h, w = plain.image_sizes[0]
    for k in (0, 1):
        assert torch.equal(plain.images[k, :, :h, :w].flip(-1), mirrored.images[k, :, :h, :w])
    for target, (height, width) in zip(mirrored.targets, mirrored.image_sizes[::2], strict=True):
        assert (target["boxes"][:, 2:] > target["boxes"][:, :2]).all()
        assert (target["boxes"] >= 0).all()
        assert (target["boxes"] <= torch.tensor([width, height] * 2)).all()
    boxes = plain.targets[0]["boxes"]
    assert torch.equal(mirrored.targets[0]["boxes"][:, [2, 0]], w - boxes[:, [0, 2]])


def test_mutual_support_takes_labelled_frames_alone(imagenet, tmp_path):
    dataset = read_dataset(imagenet, split="train")
    clips = TrainingClips(dataset, PLAIN, cache=tmp_path)
    drawn = clips.draw(settings(batch=40, mutual_support=True), seed=0, step=0)
    for name, indices in zip(drawn.videos, drawn.frame_indices, strict=True):
        labelled = dataset.labelled_frames(name).tolist()
        assert all(index in labelled or index < 0 for index in indices)


def test_padding_lies_right_and_below(clips):
    """Up to the largest clip of the step, and to a multiple of the divisor."""
    drawn = clips.draw(settings(batch=2, colour_augmentation=False), seed=0, step=0)
    first, second = drawn.frames
    cut = replace(drawn, frames=[first[:, :40], second[:, :, :50]])
    whole, padded = drawn.batch(TRANSFORM), cut.batch(TRANSFORM)
    assert padded.image_sizes == [(40, 96)] * 3 + [(64, 50)] * 3
    wanted = whole.images.clone()
    wanted[:3, :, 40:], wanted[3:, :, :, 50:] = 0, 0
    assert torch.equal(padded.images, wanted)
    alone = replace(cut, frames=cut.frames[:1]).batch(replace(TRANSFORM, divisor=64))
    assert alone.images.shape == (3, 3, 64, 128)
    assert not alone.images[..., 96:].any()
