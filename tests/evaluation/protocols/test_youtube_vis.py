"""The metric of YouTube-VIS against a brute force in pixels and the original code's figures."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import astuple

import numpy as np
import pytest

from tests import shared
from trovid.evaluation.protocols.youtube_vis import match_tracks, vis_figures
from trovid.structures import Masks
from trovid.structures.tracks import Tracks, track_overlaps

SIZE = (12, 15)
PARITY = shared.SHARED / "parity" / "evaluation" / "video_instances_seed1.json.gz"
NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
NAMES += ("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large")


def tracks(dense, labels, scores, crowd=None) -> Tracks:
    """Tracks of masks bool [K, T, H, W]; empty masks are left out."""
    frames = []
    for frame in range(dense.shape[1]):
        seen = np.flatnonzero(dense[:, frame].any(axis=(1, 2)))
        frames.append((seen, Masks.from_dense(dense[seen, frame])))
    crowd = None if crowd is None else np.array(crowd, dtype=bool)
    return Tracks.make(
        np.array(labels, dtype=int), np.array(scores, dtype=float), frames, crowd=crowd
    )


def case(seed: int):
    """Videos with blobs as truth, and tracks that follow them more or less; ties of scores."""
    rng = np.random.default_rng(seed)
    videos = {}
    for number in range(rng.integers(1, 5)):
        length, count = int(rng.integers(1, 5)), int(rng.integers(0, 5))
        true = np.zeros((count, length, *SIZE), dtype=bool)
        for mask in true.reshape(-1, *SIZE):
            if rng.random() < 0.85:
                y, x = rng.integers(0, 8), rng.integers(0, 10)
                mask[y : y + rng.integers(1, 8), x : x + rng.integers(1, 9)] = True
        found = []
        for _ in range(rng.integers(0, 14)):
            base = true[rng.integers(count)] if count and rng.random() < 0.8 else ~true[:0].any(0)
            copy = np.roll(base, rng.integers(-1, 2, size=2), axis=(1, 2))
            found.append(copy & (rng.random((length, 1, 1)) < 0.9) & (rng.random(SIZE) < 0.95))
        found = np.array(found, dtype=bool).reshape(-1, length, *SIZE)
        videos[f"v{number}"] = {
            "true": true,
            "found": found,
            "true_labels": rng.integers(0, 3, count),
            "labels": rng.integers(0, 3, len(found)),
            "scores": rng.integers(1, 7, len(found)) / 7,
            "crowd": rng.random(count) < 0.2,
        }
    return videos


def sequence_iou(a, b):
    union = (a | b).sum()
    return (a & b).sum() / union if union else 0.0


def mean_area(masks):
    areas = masks.sum(axis=(1, 2))
    return areas[areas > 0].mean() if (areas > 0).any() else 0.0


def brute_force(videos, label, low, high, threshold, most):
    """AP and recall of a class, as the definition reads; None without an object."""
    rows, total = [], 0
    for video in videos.values():
        objects = [
            (masks, bool(c or not low <= mean_area(masks) <= high), bool(c))
            for masks, k, c in zip(video["true"], video["true_labels"], video["crowd"], strict=True)
            if k == label
        ]
        objects.sort(key=lambda entry: entry[1])
        total += sum(not ignored for _, ignored, _ in objects)
        candidates = [i for i in range(len(video["labels"])) if video["labels"][i] == label]
        candidates.sort(key=lambda i: -video["scores"][i])
        taken = set()
        for i in candidates[:most]:
            masks, best, best_iou = video["found"][i], None, min(threshold, 1 - 1e-10)
            for j, (truth, ignored, crowd) in enumerate(objects):
                if j in taken and not crowd:
                    continue
                if best is not None and not objects[best][1] and ignored:
                    break
                overlap = sequence_iou(masks, truth)
                if overlap >= best_iou:
                    best, best_iou = j, overlap
            if best is not None:
                taken.add(best)
                state = None if objects[best][1] else True
            else:
                state = False if low <= mean_area(masks) <= high else None
            rows.append((video["scores"][i], state))
    if not total:
        return None
    rows.sort(key=lambda row: -row[0])
    right = wrong = 0
    curve = []
    for _, state in rows:
        right, wrong = right + (state is True), wrong + (state is False)
        curve.append((right / total, right / (right + wrong + np.spacing(1))))
    points = [
        max((p for r, p in curve if r >= point), default=0.0) for point in np.linspace(0, 1, 101)
    ]
    return sum(points) / 101, (right / total)


def expected_figures(videos, edges, labels):
    def mean(values):
        present = [value for value in values if value is not None]
        return sum(present) / len(present) if present else math.nan

    def figure(kind, low, high, thresholds, most):
        found = [brute_force(videos, k, low, high, t, most) for k in labels for t in thresholds]
        return mean([None if pair is None else pair[kind] for pair in found])

    every = np.linspace(0.5, 0.95, 10)
    whole = (0, edges[3])
    parts = [(edges[i], edges[i + 1]) for i in range(3)]
    figures = [figure(0, *whole, t, 100) for t in (every, every[:1], every[5:6])]
    figures += [figure(0, *part, every, 100) for part in parts]
    figures += [figure(1, *whole, every, most) for most in (1, 10, 100)]
    return figures + [figure(1, *part, every, 100) for part in parts]


def figures_of(videos, edges):
    found = {n: tracks(v["found"], v["labels"], v["scores"]) for n, v in videos.items()}
    true = {
        n: tracks(v["true"], v["true_labels"], np.ones(len(v["true"])), v["crowd"])
        for n, v in videos.items()
    }
    return vis_figures(match_tracks(found, true, size_edges=edges), 3)


@pytest.mark.parametrize("seed", range(12))
def test_equals_a_brute_force(seed):
    edges = (0, 12, 30, 1e10)
    videos = case(seed)
    overall, per_class = figures_of(videos, edges)
    np.testing.assert_allclose(
        astuple(overall)[:12], expected_figures(videos, edges, range(3)), rtol=0, atol=1e-9
    )
    for label, figures in enumerate(per_class):
        expected = expected_figures(videos, edges, [label])
        np.testing.assert_allclose(astuple(figures)[:12], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_order_of_objects_and_tracks_does_not_matter(seed):
    videos = case(seed)
    rng = np.random.default_rng(seed)
    for video in videos.values():
        video["scores"] = rng.permutation(len(video["scores"])) / 50
    edges = (0, 12, 30, 1e10)
    before = figures_of(videos, edges)[0]
    for video in videos.values():
        for names in (("true", "true_labels", "crowd"), ("found", "labels", "scores")):
            order = rng.permutation(len(video[names[0]]))
            for name in names:
                video[name] = video[name][order]
    assert astuple(figures_of(videos, edges)[0]) == pytest.approx(astuple(before), nan_ok=True)


def test_overlaps_of_boxes_are_those_of_their_masks():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 8, (2, 6, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 6, (2, 6, 2))], axis=2)
    dense = np.zeros((2, 6, 1, 14, 14), dtype=bool)
    for box, mask in zip(boxes.reshape(-1, 4), dense.reshape(-1, 14, 14), strict=True):
        mask[box[1] : box[3], box[0] : box[2]] = True
    labels, scores = np.zeros(6, dtype=int), np.ones(6)
    every = np.arange(6)
    a, b = (
        Tracks.make(labels, scores, [(every, track_boxes.astype(float))]) for track_boxes in boxes
    )
    c, d = (tracks(masks, labels, scores) for masks in dense)
    np.testing.assert_allclose(track_overlaps(a, b), track_overlaps(c, d), atol=1e-12)


def test_nothing_found_and_nothing_to_find():
    videos = case(0)
    for video in videos.values():
        video["found"] = video["found"][:0]
        video["labels"], video["scores"] = video["labels"][:0], video["scores"][:0]
    assert figures_of(videos, (0, 12, 30, 1e10))[0].ap == 0
    for video in videos.values():
        video["crowd"][:] = True
    overall = figures_of(videos, (0, 12, 30, 1e10))[0]
    assert math.isnan(overall.ap)
    assert overall.num_objects == 0


@pytest.mark.skipif(not PARITY.exists(), reason="the original code's figures are not at hand")
@pytest.mark.parametrize("areas", ["default_areas", "scaled_areas"])
def test_equals_the_original_code(areas):
    data = json.loads(gzip.decompress(PARITY.read_bytes()))
    size = data["height"], data["width"]

    def read(entries, length):
        frames = []
        for frame in range(length):
            seen = [i for i, e in enumerate(entries) if e["segmentations"][frame]]
            codes = [entries[i]["segmentations"][frame] for i in seen]
            frames.append((np.array(seen, dtype=int), Masks.from_coco(codes, size)))
        labels = np.array([e["category_id"] - 1 for e in entries], dtype=int)
        scores = np.array([e.get("score", 1.0) for e in entries])
        crowd = np.array([bool(e.get("iscrowd")) for e in entries], dtype=bool)
        return Tracks.make(labels, scores, frames, crowd=crowd)

    found, true = (
        {
            str(video["id"]): read(
                [e for e in data[key] if e["video_id"] == video["id"]], video["length"]
            )
            for video in data["videos"]
        }
        for key in ("detections", "annotations")
    )
    edges = (0.0, 128.0**2, 256.0**2, 1e10)
    if areas == "scaled_areas":
        ranges = data["area_ranges_scaled"]
        edges = (*(low for low, _ in ranges), ranges[-1][1])
    overall, per_class = vis_figures(match_tracks(found, true, size_edges=edges), 5)
    expected = data["figures"][areas]
    wanted = [math.nan if expected[name] == -1 else expected[name] for name in NAMES]
    np.testing.assert_allclose(astuple(overall)[:12], wanted, rtol=0, atol=1e-9)
    fields = {"AP": "ap", "AP50": "ap50", "AP75": "ap75", "AR1": "ar1", "AR10": "ar10"}
    for name, field in fields.items():
        ours = [getattr(figures, field) for figures in per_class]
        theirs = [math.nan if value == -1 else value for value in expected["per_class"][name]]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
