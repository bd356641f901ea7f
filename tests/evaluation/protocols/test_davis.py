"""J of the surest track and by oracle; DAVIS through reader and metric, the truth moved by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import shared
from tests.cli.tiny_model import save_tiny_model
from trovid.datasets.contract import Dataset
from trovid.datasets.davis import read_davis
from trovid.evaluation import by_video, evaluate_vis, run_dataset
from trovid.evaluation.protocols.davis import region_similarities, similarity
from trovid.inference import load
from trovid.structures import Detections, Masks, Tracks

REAL = shared.SHARED / "data" / "davis"
NAMES = ("dog", "soccerball")


def tracks(scores, *frames) -> Tracks:
    """Each frame: {track: (first, last) column of a row of ten pixels}."""
    parts = []
    for frame in frames:
        dense = np.zeros((len(frame), 1, 10), dtype=bool)
        for mask, (first, last) in zip(dense, frame.values(), strict=True):
            mask[0, first:last] = True
        parts.append((np.array([*frame], dtype=int), Masks.from_dense(dense)))
    return Tracks.make(np.zeros(len(scores), dtype=int), np.array(scores, dtype=float), parts)


def test_by_hand():
    true = tracks([1], {0: (0, 4)}, {0: (2, 6)}, {})
    found = tracks([0.9, 0.5], {0: (6, 9), 1: (0, 2)}, {0: (4, 8), 1: (2, 6)}, {0: (0, 1)})
    expected = [(0 + 1 / 3 + 0) / 3, (1 / 2 + 1 + 1) / 3]
    assert region_similarities(found, true)[:, 0] == pytest.approx(expected)
    assert similarity(found, true).surest == pytest.approx(expected[0])
    assert similarity(found, true).oracle == pytest.approx(expected[1])


def test_several_objects_nothing_found_and_nothing_to_find():
    two = tracks([1, 1], {0: (0, 4), 1: (6, 8)})
    found = tracks([0.2, 0.8], {0: (0, 4), 1: (6, 8)})
    assert similarity(found, two).surest == 0.5
    assert similarity(found, two).oracle == 1
    nothing = tracks([], {})
    assert similarity(nothing, two).oracle == 0
    assert math.isnan(similarity(found, nothing).surest)


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Dataset:
    root = tmp_path_factory.mktemp("davis")
    for kind in ("JPEGImages", "Annotations"):
        (root / kind).mkdir()
        for name in NAMES:
            (root / kind / name).symlink_to(REAL / kind / name)
    return read_davis(root)


def moved(masks: Masks, right: int) -> Masks:
    dense = masks.dense()
    out = torch.zeros_like(dense)
    out[:, :, right:] = dense[:, :, : dense.shape[2] - right]
    return Masks.from_dense(out)


def as_predictions(dataset: Dataset, right: int = 0) -> dict[str, list[Detections]]:
    """The truth, moved to the right, and a surer track of noise in the corner."""
    found = {}
    for video in dataset.videos:
        found[video.name] = []
        for truth in dataset.ground_truth(video.name, masks=True):
            count = len(truth)
            frame = Detections(
                truth.boxes,
                torch.full((count,), 0.9),
                torch.full((count,), 3),
                ("a", "b", "c", "horse"),
                truth.frame_index,
                image_size=truth.image_size,
                track_ids=torch.full((count,), 17),
                masks=moved(truth.masks, right) if right else truth.masks,
            )
            found[video.name].append(frame)
    return found


@pytest.mark.skipif(not REAL.exists(), reason="the real sequences are not at hand")
def test_the_truth_of_the_real_sequences(labels):
    report = evaluate_vis(as_predictions(labels), labels, class_agnostic=True)
    assert report.overall["ap"] == pytest.approx(1)
    assert report.overall["ar1"] == 1
    assert report.similarity["all"] == pytest.approx({"surest": 1, "oracle": 1})
    assert list(report.similarity) == ["all", *NAMES]


@pytest.mark.skipif(not REAL.exists(), reason="the real sequences are not at hand")
def test_the_truth_moved_to_the_right(labels):
    right = 24
    shared_pixels, union, by_frame = {}, {}, {}
    for video in labels.videos:
        pixels = [0, 0]
        values = []
        for truth in labels.ground_truth(video.name, masks=True):
            mask = truth.masks.dense().numpy().any(0)
            other = np.zeros_like(mask)
            other[:, right:] = mask[:, :-right]
            pair = int((mask & other).sum()), int((mask | other).sum())
            pixels = [a + b for a, b in zip(pixels, pair, strict=True)]
            values.append(pair[0] / pair[1] if pair[1] else 1.0)
        shared_pixels[video.name], union[video.name] = pixels
        by_frame[video.name] = np.mean(values)
    report = evaluate_vis(as_predictions(labels, right), labels, class_agnostic=True)
    overlaps = [shared_pixels[name] / union[name] for name in NAMES]
    steps = np.linspace(0.5, 0.95, 10)
    assert report.overall["ar1"] == pytest.approx(
        np.mean([[o >= s for s in steps] for o in overlaps])
    )
    for name in NAMES:
        assert report.similarity[name]["surest"] == pytest.approx(by_frame[name], abs=1e-12)
    assert report.similarity["all"]["oracle"] == pytest.approx(np.mean([*by_frame.values()]))
    surer = as_predictions(labels, right)
    for name, frames in as_predictions(labels).items():
        for index, frame in enumerate(frames):
            ids = frame.track_ids + 1
            frame = replace(frame, track_ids=ids, scores=frame.scores / 2)
            both = surer[name][index]
            surer[name][index] = replace(
                both,
                boxes=torch.cat([both.boxes, frame.boxes]),
                scores=torch.cat([both.scores, frame.scores]),
                labels=torch.cat([both.labels, frame.labels]),
                track_ids=torch.cat([both.track_ids, frame.track_ids]),
                masks=both.masks + frame.masks,
            )
    report = evaluate_vis(surer, labels, class_agnostic=True)
    assert report.similarity["all"]["surest"] == pytest.approx(np.mean([*by_frame.values()]))
    assert report.similarity["all"]["oracle"] == pytest.approx(1)


@pytest.mark.skipif(not REAL.exists(), reason="the real sequences are not at hand")
def test_reader_segmenter_and_metric_go_together(labels, tmp_path):
    model = load(save_tiny_model(tmp_path / "m.safetensors", name="synthvid-masktrack"))
    options = {"score": 0.1, "masks": True, "track": "embedding", "max_detections": 5}
    found = by_video(run_dataset(model, labels, every=15, **options))
    report = evaluate_vis(found, labels, class_agnostic=True)
    assert list(report.per_class) == ["object"]
    for row in report.similarity.values():
        assert 0 <= row["surest"] <= row["oracle"] <= 1
