"""Every kind of source gives the same detections; several threads share one model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.runs import images, video
from tests.cli.tiny_model import save_tiny_model
from trovid.errors import OptionError, TrovidError
from trovid.inference import Predictor, load
from trovid.video.opening import open_video


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Predictor:
    return load(save_tiny_model(tmp_path_factory.mktemp("m") / "tiny.safetensors"), device="cpu")


def boxes(found) -> list:
    return [(d.boxes.tolist(), d.scores.tolist(), d.labels.tolist()) for d in found]


def test_arrays_tensors_lists_paths_and_generators(model, tmp_path):
    clip = images(4)
    expected = boxes(model.detect(clip, score=0.2))
    assert any(frame[0] for frame in expected)
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for path, image in zip(paths, clip, strict=True):
        Image.fromarray(image).save(path)
    tensor = torch.from_numpy(clip)
    for source in (
        tensor,
        tensor.permute(0, 3, 1, 2),
        list(clip),
        [Image.fromarray(image) for image in clip],
        (image for image in tensor.permute(0, 3, 1, 2)),
        paths,
        [str(path) for path in paths],
        tmp_path,
        open_video(clip),
        iter(open_video(clip)),
    ):
        assert boxes(model.detect(source, score=0.2)) == expected


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.zeros((2, 4, 4, 3)), ValueError, "must be uint8"),
        (torch.zeros(2, 4, 5, 6, dtype=torch.uint8), ValueError, r"\[T, 3, H, W\]"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)], ValueError, "one size"),
        ([1, 2], TypeError, "a frame must be an array"),
        (5, TypeError, "`source` must be a path"),
        ([], TrovidError, "empty list"),
    ],
)
def test_what_is_no_source_is_said(model, source, error, message):
    with pytest.raises(error, match=message):
        next(iter(model.detect(source)))


@pytest.mark.filterwarnings("error")
def test_a_single_picture_in_memory_is_a_video_of_one_frame(model):
    picture = images(1)[0]
    (expected,) = model.detect([picture], score=0.2)
    only_read = np.asarray(Image.fromarray(picture))
    assert not only_read.flags.writeable
    tensor = torch.from_numpy(picture)
    for source in (picture, only_read, tensor, tensor.permute(2, 0, 1), Image.fromarray(picture)):
        assert boxes(model.detect(source, score=0.2)) == boxes([expected])


def test_videos_from_several_threads_equal_one_by_one(model, tmp_path):
    sources = [video(tmp_path / f"{count}.mp4", count=count) for count in (4, 5, 6, 7)]
    one_by_one = [boxes(model.detect(source, score=0.2)) for source in sources]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda source: boxes(model.detect(source, score=0.2)), sources))
    assert together == one_by_one


def test_two_videos_in_turns_equal_one_by_one(model, tmp_path):
    clips = images(5), images(9)[4:]
    expected = [boxes(model.detect(clip, score=0.2)) for clip in clips]
    pairs = zip(*(model.detect(clip, score=0.2) for clip in clips), strict=True)
    assert [boxes(frames) for frames in zip(*pairs, strict=True)] == expected


def test_times_as_people_write_them_and_a_frame_rate_for_pictures(model, tmp_path):
    pictures = images(6)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png")
    paths = sorted(folder.iterdir())
    for source in (folder, paths, pictures):
        found = list(model.detect(source, frame_rate=2, start="0:01", end="2.5"))
        assert [(d.frame_index, d.time) for d in found] == [(2, 1.0), (3, 1.5), (4, 2.0)]
    found = list(model.detect(iter(pictures), frame_rate=2, online=True, end="0:02"))
    assert [(d.frame_index, d.time) for d in found] == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]
    together = model.detect_together([folder, pictures], frame_rate=2, start="0:02")
    assert sorted((n, d.time) for n, d in together) == [(n, t) for n in (0, 1) for t in (2.0, 2.5)]
    for source, online in ((folder, False), (pictures, False), (iter(pictures), True)):
        with pytest.raises(OptionError, match="have no times, of which `end` is one; give their"):
            list(model.detect(source, online=online, end="0:02"))
    (found,) = model.detect(paths[:1], end="0:02")
    assert found.time == 0
    with pytest.raises(OptionError, match="the time '1:x' is not understood"):
        next(model.detect(folder, start="1:x"))


def test_one_picture_is_a_video_of_one_frame(model, tmp_path):
    path = tmp_path / "dog.png"
    Image.fromarray(images(1)[0]).save(path)
    (found,) = model.detect(path, score=0.2)
    (same,) = model.detect(images(1), score=0.2)
    assert boxes([found]) == boxes([same])
    animated = tmp_path / "moving.webp"
    first, *rest = (Image.fromarray(picture) for picture in images(3))
    first.save(animated, save_all=True, append_images=rest, lossless=True)
    reader = open_video(animated)
    assert (len(reader), reader.video.name) == (1, "moving")
    assert "holds 3 pictures, of which the first is taken" in reader.problems[0]


def test_an_address_of_a_stream_needs_online(model):
    with pytest.raises(TrovidError, match="give `online`"):
        next(model.detect("rtsp://127.0.0.1:9/a"))
    with pytest.raises(TrovidError, match="cannot be opened"):
        next(model.detect("http://127.0.0.1:9/a.ts", online=True))
