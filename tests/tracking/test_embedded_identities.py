"""Identities by the embedded model on rendered clips in which two objects of a class cross.

The clips are the first of the split val, in which the objects are hardly deteriorated. Objects are
told apart while both are found. Where one lies behind the other the model mostly finds one of the
two, which look alike, and that one may go on under the identity of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid.writer import write_split
from trovid.evaluation.protocols.mot import tracking_figures
from trovid.evaluation.tracking import sequence_counts
from trovid.inference import load
from trovid.structures import Detections, GroundTruth


def identities(folder: Path, first: int, videos: int) -> list[list[dict[int, int]]]:
    """For each clip, for each frame, the identity under which each of the two is found."""
    how = {"split": "val", "setting": "twins", "strength": 0.05}
    clips = read_coco_vid(write_split(folder, videos=videos, first=first, **how))
    model = load("synthvid-masktrack-troi", device="cpu")
    found = {
        clip.name: list(model.segment(clips.path(clip.name), score=0.5)) for clip in clips.videos
    }
    counts = sequence_counts(found, clips, masks=True, class_agnostic=True)[""]
    figures = tracking_figures(sum(list(counts.values())[1:], start=counts[clips.videos[0].name]))
    assert figures.recall > 0.8
    assert figures.idf1 > 0.8
    kept = []
    for name, frames in found.items():
        truths = clips.ground_truth(name, masks=True)
        twins = two_of_a_class(truths)
        pairs = zip(truths, frames, strict=True)
        kept.append([matched(truth, found, twins) for truth, found in pairs])
    return kept


def two_of_a_class(truths: Sequence[GroundTruth]) -> set[int]:
    """The objects of a clip whose class another object has too."""
    labels = {
        instance: label
        for truth in truths
        for instance, label in zip(truth.instance_ids.tolist(), truth.labels.tolist(), strict=True)
    }
    classes = list(labels.values())
    return {instance for instance, label in labels.items() if classes.count(label) > 1}


def matched(truth: GroundTruth, found: Detections, twins: set[int]) -> dict[int, int]:
    if not len(truth) or not len(found):
        return {}
    overlaps = truth.masks.iou(found.masks).numpy()
    pairs = zip(*linear_sum_assignment(-overlaps * (overlaps >= 0.5)), strict=True)
    ids, instances = found.track_ids.tolist(), truth.instance_ids.tolist()
    return {
        instances[a]: ids[b] for a, b in pairs if overlaps[a, b] >= 0.5 and instances[a] in twins
    }


@pytest.mark.parametrize(
    ("first", "videos"), [(1, 1), pytest.param(0, 8, marks=pytest.mark.slow)], ids=["one", "eight"]
)
def test_two_objects_of_a_class_keep_their_identities_where_they_cross(tmp_path, first, videos):
    kept = []
    for frames in identities(tmp_path, first, videos):
        twins = {instance for frame in frames for instance in frame}
        assert len(twins) == 2
        for before, after in pairwise(frames):
            if before.keys() == after.keys() == twins:
                assert before == after
        for instance in twins:
            track_ids = [frame[instance] for frame in frames if instance in frame]
            kept.append(track_ids[0] == track_ids[-1])
    assert np.mean(kept) >= 0.8
