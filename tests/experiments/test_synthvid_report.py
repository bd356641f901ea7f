"""The report on candidates made from labels: perfect ones, and blind to deteriorated objects."""

from __future__ import annotations

import json

import pytest
import torch

from trovid.datasets.coco_vid import read_coco_vid
from trovid.experiments.scoring import load_scores, to_detections
from trovid.experiments.synthvid_jobs import FULL, MODELS, SINGLE
from trovid.experiments.synthvid_pages import report_markdown, write_report
from trovid.experiments.synthvid_report import FOREIGN, REPEATED, TRACKS


def test_a_perfect_model_has_all_and_a_blind_one_only_the_clean(result):
    for model in MODELS[1:]:
        assert result["models"][model]["all"]["mean"] == pytest.approx(1)
    single = result["models"][SINGLE]
    assert single["deteriorated"]["mean"] < 0.2
    assert single["all"]["mean"] < 0.9
    assert result["models"][FOREIGN]["all"] == result["models"][REPEATED]["all"] == single["all"]


def test_gains_are_differences_of_means_inside_their_intervals(result):
    gain = next(g for g in result["gains"] if (g["model"], g["over"]) == (FULL, SINGLE))
    for group in ("all", "deteriorated"):
        models = result["models"]
        difference = models[FULL][group]["mean"] - models[SINGLE][group]["mean"]
        assert gain[group]["value"] == pytest.approx(difference)
        assert gain[group]["low"] <= gain[group]["value"] <= gain[group]["high"]


def test_tracks_help_a_blind_detector_but_do_not_make_it_perfect(result):
    tracks = result["models"][TRACKS]["deteriorated"]["mean"]
    assert result["models"][SINGLE]["deteriorated"]["mean"] < tracks < 1


def test_scores_read_back_as_they_were(experiment):
    out, data, jobs = experiment
    labels = read_coco_vid(data / "test.json")
    videos, head = load_scores(next(j for j in jobs if j.model == FULL).file(out), labels)
    assert head["model"] == FULL
    assert list(videos) == [video.name for video in labels.videos]
    truth = labels.ground_truth("test_00301")[4]
    frame = next(f for f in videos["test_00301"] if f.frame_index == 4)
    assert torch.equal(frame.boxes[:, 0], truth.boxes)
    detections = to_detections(videos)["test_00301"][1]
    assert sorted(detections.labels.tolist()) == sorted(truth.labels.tolist())


def test_the_pages_say_what_the_json_says(result, tmp_path):
    markdown = write_report(result, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == result
    assert (tmp_path / "report.md").read_text() == markdown == report_markdown(result)
    assert (tmp_path / "report.png").stat().st_size > 5000
    assert f"| {FULL} | 100.0 ± 0.0 |" in markdown


def test_the_page_says_which_clips_and_which_trainings(result):
    page = report_markdown(result)
    assert "3 clips from clip 300 on" in page
    assert "optional stopping" in page
    assert "| 0 | all | float32 | abc |" in page
    assert f"| 1 | {', '.join(MODELS[:3])} | bfloat16 | abc |" in page
    assert f"| 1 | {FULL} | bfloat16 | def |" in page


def test_clips_that_were_read_before_are_no_test_and_like_trainings_are_one_sentence(result):
    trainings = [
        {**record, "precision": "float32", "commit": "abc"} for record in result["trainings"]
    ]
    data = {name: value for name, value in result["data"].items() if name != "first"}
    page = report_markdown({**result, "data": data, "trainings": trainings})
    assert "3 clips from clip 0 on" in page
    assert "intervals are too narrow" in page
    assert "optional stopping" not in page
    assert "All models were trained in float32, at commit abc." in page
