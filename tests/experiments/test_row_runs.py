"""Rows over clips, and what each costs, with small models."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.detectors.building import build_detector
from trovid.experiments.costs import measure_row, read_cost
from trovid.experiments.description import Row
from trovid.experiments.row_runs import RowsJob, row_model, run_rows, run_video
from trovid.experiments.running import Workplace
from trovid.experiments.scoring import load_detections
from trovid.experiments.tables import EXPERIMENTS
from trovid.recipes import TrainingFreeRecipe, load_recipe
from trovid.storage.hashes import sha256_of
from trovid.zoo.weights import save_weights

ROWS = {
    "single-troi": (
        Row(name="as trained", recipe="single-troi", support="uniform:3"),
        Row(name="near", recipe="single-troi", support="consecutive:4"),
        Row(name="alone", recipe="single-troi", support="uniform:0"),
        Row(name="K = 1", recipe="single-troi", support="uniform:3", top_k=1),
    ),
    "single": (
        Row(name="single", recipe="single"),
        Row(
            name="free", recipe="single", support="uniform:3", temporal=TrainingFreeRecipe(top_k=1)
        ),
        Row(name="sequences", recipe="single", seq_nms=True),
    ),
}


def small_weights(path, name):
    """A model of small input that finds something everywhere."""
    recipe = load_recipe(f"synthvid-{name}")
    recipe = replace(recipe, image=replace(recipe.image, shorter=64, longer=96))
    torch.manual_seed(0)
    detector = build_detector(recipe)
    with torch.no_grad():
        detector.box_head.class_logits.weight.normal_(std=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, detector, recipe, provenance={})
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("clip"), split="test", videos=1)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_share_encoded_frames_find_what_each_finds_alone(tmp_path, clip, name):
    weights, rows = small_weights(tmp_path / "small.safetensors", name), ROWS[name]
    files = tuple(tmp_path / f"{number}.npz" for number in range(len(rows)))
    job = RowsJob(weights=weights, data=clip, rows=rows, files=files, first=0, count=9, every=10)
    run_rows(job)
    dataset = read_coco_vid(clip)
    (video,) = dataset.videos
    found = []
    for row, file in zip(rows, files, strict=True):
        videos, head = load_detections(file, dataset)
        assert head["weights"] == sha256_of(weights)
        predictor, options = row_model(weights, row)
        if row.seq_nms:
            everything = predictor.detect(dataset.path(video.name), options=options)
            expected = [detections for detections in everything if detections.frame_index % 10 == 0]
        else:
            path = dataset.path(video.name)
            expected = list(predictor.detect(path, frames=[0, 10, 20], options=options))
        assert [detections.frame_index for detections in videos[video.name]] == [0, 10, 20]
        for detections, alone in zip(videos[video.name], expected, strict=True):
            assert len(detections) == len(alone) > 0
            torch.testing.assert_close(detections.scores, alone.scores, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(detections.boxes, alone.boxes, rtol=1e-3, atol=1e-2)
        found.append(torch.cat([detections.scores for detections in videos[video.name]]))
    assert len({tuple(scores.tolist()) for scores in found}) == len(rows)


def test_a_long_video_is_run_row_by_row(tmp_path, clip):
    weights = small_weights(tmp_path / "small.safetensors", "single-troi")
    models = [row_model(weights, ROWS["single-troi"][0])]
    dataset = read_coco_vid(clip)
    with dataset.open(dataset.videos[0].name) as reader:
        (together,) = run_video(models, reader, [0, 10])
        (alone,) = run_video(models, reader, [0, 10], frames_at_once=1)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.scores, other.scores)


def test_the_cost_of_a_row(tmp_path, clip):
    weights = small_weights(tmp_path / "small.safetensors", "single-troi")
    costs = {}
    for row in ROWS["single-troi"][::2]:
        file = tmp_path / "costs" / f"{row.key}.json"
        measure_row(file, weights, row, clip)
        costs[row.name] = json.loads(file.read_text())
    helped, alone = costs.values()
    assert (helped["support_frames"], alone["support_frames"]) == (3, 0)
    assert helped["frame_ms"] > 0
    assert helped["memory_mb"] > alone["memory_mb"] > 0
    assert helped["gflop"] > alone["gflop"] > 0
    assert helped["support_frame_ms"] > 0 == alone["support_frame_ms"]


def test_a_training_free_row_is_timed_in_turns_with_a_single_frame(tmp_path, clip):
    weights, file = small_weights(tmp_path / "small.safetensors", "single"), tmp_path / "cost.json"
    row, recipe = ROWS["single"][1], load_recipe("synthvid-single")
    measure_row(file, weights, row, clip)
    figures = read_cost(file, row, recipe)
    assert figures["times_single"] > 1
    file.write_text(json.dumps({**figures, "counts": []}))  # as kept before it was measured
    assert not read_cost(file, row, recipe)


def test_seq_nms_is_in_the_time_of_its_row(tmp_path, clip):
    weights, file = small_weights(tmp_path / "small.safetensors", "single"), tmp_path / "cost.json"
    row = ROWS["single"][2]
    measure_row(file, weights, row, clip)
    figures = read_cost(file, row, load_recipe("synthvid-single"))
    assert figures["frame_ms"] > figures["seq_nms_ms"] > 0


def test_costs_that_leave_out_what_a_row_has_are_not_used(tmp_path):
    """As those kept before aggregation and Seq-NMS were counted."""
    experiment, place = EXPERIMENTS["table6"](), Workplace(out=tmp_path, seeds=(0,))
    used = {}
    for row in experiment.rows:
        file = place.cost_file(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"gflop": 1.354}))
        used[row.name] = bool(read_cost(file, row, place.family.recipe(row)))
    assert used == {
        "single-frame": True,
        "single-frame + Seq-NMS": False,
        "FGFA without flow": False,
        "SELSA": True,
        "SELSA + TROI": True,
        "SELSA + TROI + Seq-NMS": False,
    }
