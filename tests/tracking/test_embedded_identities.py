"""Identities by the embedded model on a rendered clip in which two objects of a class cross."""

from __future__ import annotations

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid.writer import write_split
from trovid.evaluation.protocols.mot import tracking_figures
from trovid.evaluation.tracking import sequence_counts
from trovid.inference import load


def test_two_objects_of_a_class_keep_their_identities_where_they_cross(tmp_path):
    labels = write_split(tmp_path, split="val", videos=1, first=1, setting="twins", strength=0.05)
    clips = read_coco_vid(labels)
    (clip,) = clips.videos
    model = load("synthvid-masktrack-troi", device="cpu")
    found = {clip.name: list(model.segment(clips.path(clip.name), score=0.5))}
    counts = sequence_counts(found, clips, masks=True, class_agnostic=True)[""][clip.name]
    figures = tracking_figures(counts)
    assert figures.recall > 0.8
    assert figures.idf1 > 0.85
    assert figures.switches <= 4
