"""The report on masks, from tracks that are known."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import pytest
import torch

from tests.cli.command import trovid_command
from tests.cli.tiny_model import save_tiny_model
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.evaluation import evaluate_vis
from trovid.experiments.clips import clips_file
from trovid.experiments.embedding import embed_masks
from trovid.experiments.mask_pages import mask_page, write_mask_report
from trovid.experiments.mask_report import (
    BEST_FULL,
    BEST_SINGLE,
    COMMANDED_FULL,
    COMMANDED_SINGLE,
    FOREIGN,
    FULL,
    PUBLISHED_FULL,
    PUBLISHED_SINGLE,
    REPEATED,
    SINGLE,
    mask_report,
)
from trovid.experiments.mask_runs import CLASSES, MODELS, TWINS, is_done, mask_jobs, segment_clips
from trovid.runs.predictions import read_frames
from trovid.runs.sinks.json import JsonWriter
from trovid.structures import Detections, Masks
from trovid.training.run import weights_file
from trovid.zoo.weights import load_weights, read_card, save_weights

FIRST, COUNT, SEEDS = 4, 3, (0, 1)


def predictions(dataset, name, every, *, wrong: bool, seed: int):
    """The labels; where `wrong`, later frames have other identities and objects are missing."""
    for truth in dataset.ground_truth(name, masks=True)[::every]:
        ids = truth.instance_ids.clone()
        masks = truth.masks
        if wrong and truth.frame_index >= 12 + 2 * seed:
            ids += 100
            masks = Masks.from_dense(torch.roll(masks.dense(), 2, dims=2)) if len(ids) else masks
        frame = Detections(
            truth.boxes,
            torch.full((len(truth),), 0.9),
            truth.labels,
            dataset.class_names,
            truth.frame_index,
            image_size=truth.image_size,
            track_ids=ids,
            masks=masks,
        )
        yield frame[:1] if wrong and truth.frame_index < 4 else frame


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("masks")
    jobs = mask_jobs(SEEDS, first=FIRST, count=COUNT)
    for clips, clip_jobs in groupby(sorted(jobs, key=lambda j: j.clips.key), key=lambda j: j.clips):
        path = clips_file(out, clips)
        small = {"size": 96, "split": "test", "setting": clips.setting}
        assert write_split(path.parent, videos=COUNT, first=FIRST, **small) == path
        dataset = read_coco_vid(path)
        for job in clip_jobs:
            weights_file(out, job.model, job.seed).write_bytes(f"{job.model} {job.seed}".encode())
            wrong = job.model == SINGLE or job.source != "clip"
            provenance = {"weights_sha256": "x"}
            with JsonWriter(
                job.file(out),
                model=job.model,
                class_names=dataset.class_names,
                provenance=provenance,
            ) as writer:
                for video in dataset.videos:
                    frames = predictions(
                        dataset, video.name, clips.every, wrong=wrong, seed=job.seed
                    )
                    writer.write_video(video, "x.mp4", frames)
    return out, mask_report(out, jobs, resamples=50)


def test_jobs_hold_both_kinds_of_clips_and_the_controls():
    jobs = mask_jobs(range(3))
    assert len({job.file(Path("x")) for job in jobs}) == len(jobs) == 42
    assert {job.clips.key for job in jobs} == {"test-2400+200", "test-2600+200-twins"}
    tried = {job.clips.key for job in mask_jobs([0], first=7, count=2)}
    assert tried == {"test-7+2", "test-7+2-twins"}
    assert {job.source for job in jobs if job.clips.setting == "twins"} == {"clip"}
    assert {job.source for job in jobs} == {"clip", "other clip", "target"}


def test_identities_are_of_a_score_for_both_and_of_each_models_best():
    jobs = [j for j in mask_jobs([0]) if j.clips.setting == "twins"]
    scores = {(j.model, j.variant): j.scores()["score"] for j in jobs}
    assert {score for (_, variant), score in scores.items() if variant != "best score"} == {0.5}
    assert scores[SINGLE, "best score"] == 0.1
    assert scores[FULL, "best score"] == 0.3


def test_figures_and_gains(made):
    _, result = made
    classes, twins = result["classes"], result["twins"]
    published = [PUBLISHED_SINGLE, PUBLISHED_FULL]
    commanded = [COMMANDED_SINGLE, COMMANDED_FULL]
    assert list(classes["models"]) == [SINGLE, FULL, FOREIGN, REPEATED, *published, *commanded]
    assert list(twins["models"]) == [SINGLE, FULL, *published, BEST_SINGLE, BEST_FULL]
    full, single = classes["models"][FULL], classes["models"][SINGLE]
    assert full["AP"]["mean"] == pytest.approx(1)
    assert full["frame AP"]["mean"] == pytest.approx(1)
    assert full["visible AP"]["mean"] < 1
    assert single["AP"]["mean"] < 0.7
    assert len(single["AP"]["seeds"]) == 2
    assert single["AP"]["low"] <= single["AP"]["mean"] <= single["AP"]["high"]
    gains = {(gain["model"], gain["over"]): gain for gain in classes["gains"]}
    gain = gains[FULL, SINGLE]["AP"]
    assert gain["value"] == pytest.approx(full["AP"]["mean"] - single["AP"]["mean"])
    assert gain["low"] > 0
    assert gains[REPEATED, SINGLE]["AP"]["value"] == pytest.approx(0)
    assert (classes["clips"], classes["every"], classes["frames"]) == (3, 2, 36)
    assert (twins["clips"], twins["every"], twins["frames"]) == (3, 1, 72)
    assert twins["models"][FULL]["switches"]["mean"] == 0
    assert twins["models"][FULL]["IDF1"]["mean"] == 1
    dataset_objects = twins["models"][SINGLE]["switches"]["mean"]
    assert dataset_objects >= 6  # every object of three clips goes on under another identity
    by_pair = {(gain["model"], gain["over"]): gain for gain in twins["gains"]}
    assert len(by_pair) == 5
    identity = by_pair[FULL, SINGLE]
    assert identity["switches"]["value"] == -dataset_objects
    assert identity["switches"]["high"] < 0
    assert by_pair[FULL, PUBLISHED_FULL]["switches"]["value"] == 0


def test_the_page(made, tmp_path):
    _, result = made
    page = write_mask_report(result, tmp_path)
    assert json.loads((tmp_path / "masks.json").read_text()) == json.loads(json.dumps(result))
    assert (tmp_path / "masks.md").read_text() == page
    assert "amodal" in page
    assert "single frames at least 30 AP: not met" in page
    assert "33.5 / 57.0 / 36.6 (+3.2 AP)" in page
    assert "at least +3: met" in page
    assert "fewer identity switches, each model at its best score: met" in page
    assert "both from score 0.5 on: met" in page
    assert "| 0.0 ± 0.0 |" in page


def test_what_was_asked_for_and_did_not_come_out(made):
    worse = json.loads(json.dumps(made[1]))
    worse["classes"]["gains"][0]["AP"] = {"value": -0.01, "low": -0.02, "high": 0.01}
    assert "at least +3: not met (-1.0 [-2.0, +1.0])" in mask_page(worse)


def test_a_run_over_clips_is_made_once_for_each_weights(tmp_path):
    job, *_ = (j for j in mask_jobs([0], first=FIRST, count=2) if j.source == "target")
    path = clips_file(tmp_path, job.clips)
    write_split(path.parent, split="test", videos=2, first=FIRST, size=96)
    weights = save_tiny_model(weights_file(tmp_path, FULL, 0), name=FULL)
    assert not is_done(tmp_path, job)
    segment_clips(job, tmp_path)
    assert is_done(tmp_path, job)
    head, found = read_frames(job.file(tmp_path))
    assert head["support_from"] == "target"
    dataset = read_coco_vid(path)
    assert [*found] == [video.name for video in dataset.videos]
    assert [frame.frame_index for frame in found["test_00004"]] == [*range(0, 24, 2)]
    assert all(
        f.masks is not None and f.track_ids is not None for f in found["test_00005"] if len(f)
    )
    assert evaluate_vis(found, dataset).visible is not None
    save_tiny_model(weights, name=FULL, shorter=48)
    assert not is_done(tmp_path, job)


def test_the_published_memory_gives_other_identities(tmp_path):
    """Published: an identity may occur twice in a frame, which by default it never does."""
    default, published = (
        next(
            job
            for job in mask_jobs([0], first=FIRST, count=1)
            if (job.model, job.variant, job.source) == (FULL, variant, "clip")
        )
        for variant in ("", "published memory")
    )
    write_split(
        clips_file(tmp_path, default.clips).parent, split="test", videos=1, first=FIRST, size=96
    )
    save_tiny_model(weights_file(tmp_path, FULL, 0), name=FULL)
    for job in (default, published):
        segment_clips(job, tmp_path)
    rows = [
        [frame.track_ids.tolist() for frame in read_frames(job.file(tmp_path))[1]["test_00004"]]
        for job in (default, published)
    ]
    assert all(len({*ids}) == len(ids) for ids in rows[0])
    assert any(len({*ids}) < len(ids) for ids in rows[1])


def test_embedded_weights_say_what_was_measured(made, tmp_path):
    provenance = {"data": {"name": "SynthVID", "version": "2", "split": "train"}, "seed": 0}
    names = ("minutes", "machine", "torch", "commit", "finished")
    for model in MODELS:
        save_tiny_model(tmp_path / "x.safetensors", name=model)
        detector, card = load_weights(tmp_path / "x.safetensors")
        provenance |= dict.fromkeys(names, 1)
        save_weights(weights_file(tmp_path, model, 0), detector, card.recipe, provenance=provenance)
    files = embed_masks(tmp_path, made[1], folder=tmp_path / "package")
    assert [file.stem for file in files] == list(MODELS)
    figures = read_card(files[1]).provenance["test_track_ap"]
    assert figures["AP"] == made[1]["classes"]["models"][FULL]["AP"]["seeds"][0]
    page = files[1].with_suffix(".md").read_text()
    assert "| AP of tracks of these weights (%) | AP 100.0, AP50 100.0, visible AP" in page
    assert "masks are amodal" in page


@pytest.mark.slow
def test_table8_is_another_name_of_it(capsys, monkeypatch):
    wanted = []
    monkeypatch.setattr(
        "trovid.cli.experiment.results",
        lambda experiment: (
            wanted.append(experiment.name) or {experiment.name: ({"made": experiment.name}, "")}
        ),
    )
    status, out, _ = trovid_command(capsys, "experiment", "table8", "--json")
    assert (status, wanted) == (0, ["synthvid-masks"])
    assert json.loads(out) == {"made": "synthvid-masks"}


@pytest.mark.slow
def test_the_command_with_weights_that_are_there(capsys, tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path / "data", split=split, videos=1, size=96)
    for model in MODELS:
        save_tiny_model(weights_file(tmp_path, model, 0), name=model)
    words = ("--out", tmp_path, "--seeds", "1", "--clips", "2", "--resamples", "3")
    status, out, complaints = trovid_command(
        capsys, "experiment", "synthvid-masks", *words, "--workers", "1"
    )
    assert (status, complaints) == (0, [])
    assert "masks and identities" in out
    result = json.loads((tmp_path / "report" / "masks.json").read_text())
    assert (result["classes"]["first"], result["twins"]["first"]) == (CLASSES.first, TWINS.first)
    assert (result["classes"]["frames"], result["twins"]["frames"]) == (24, 48)
