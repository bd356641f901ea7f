"""Every kind of source gives the same detections; several threads share one model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.runs import images, video
from tests.cli.tiny_model import save_tiny_model
from trovid.errors import TrovidError
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
