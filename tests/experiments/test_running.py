"""An experiment and its report, with made detections."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.cli.command import trovid_command
from tests.datasets.imagenet_folder import write_imagenet
from trovid.cli.experiment_runs import NO_TRAINING, ORDER
from trovid.datasets.coco_vid import read_coco_vid
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.experiments.clips import clips_file, written_clips
from trovid.experiments.correspondence_report import MODELS, SELSA_MODELS
from trovid.experiments.description import Clips
from trovid.experiments.pages import experiment_page
from trovid.experiments.results import experiment_result, order
from trovid.experiments.running import Workplace, missing_jobs, seed_with_trovid, train
from trovid.experiments.scoring import save_detections
from trovid.experiments.tables import EXPERIMENTS, table1
from trovid.experiments.training_free import FREE, reported
from trovid.recipes import changed_recipe, load_recipe
from trovid.storage.hashes import sha256_of
from trovid.structures import Detections
from trovid.training.run import train_recipe
from trovid.zoo.weights import read_card, save_weights

CLIPS = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Table 1 as if it had been run: weights nobody trained, detections made from labels.

    Single-frame misses every third object, MD + averaging calls all by another name.
    """
    place = Workplace(out=tmp_path_factory.mktemp("out"), seeds=(0, 1), workers=1)
    experiment = table1().with_clips(CLIPS)
    labels = written_clips(place.out, experiment.clips)
    dataset = read_coco_vid(labels)
    for row in experiment.rows:
        recipe = place.family.recipe(row)
        detector = build_detector(recipe)
        for seed in place.seeds:
            weights = place.weights(row, seed)
            provenance = {
                "minutes": 2.0 + 80 * seed,
                "seed": seed,
                "finished": "2026-01-02T03:04:05+00:00",
            }
            save_weights(weights, detector, recipe, provenance=provenance)
            folder = place.scores(row, seed, experiment.clips)
            folder.mkdir(parents=True)
            found = {
                video.name: [
                    made(truth, row.name)
                    for truth in dataset.ground_truth(video.name)[:: experiment.clips.every]
                ]
                for video in dataset.videos
            }
            head = {"weights": sha256_of(weights), "every": experiment.clips.every}
            save_detections(folder / "00000.npz", found, head)
        place.cost_file(row).parent.mkdir(parents=True, exist_ok=True)
        figures = {"frame_ms": 8, "support_frame_ms": 2, "support_frames": 14}
        place.cost_file(row).write_text(
            json.dumps({**figures, "memory_mb": 3, "gflop": 1.5, "parameters": 9})
        )
    return place


def made(truth, name) -> Detections:
    labels, classes = truth.labels.clone(), len(truth.class_names)
    wrong = (
        torch.arange(len(labels)) % 3 == 0 if name == "single-frame" else name == "MD + averaging"
    )
    labels = torch.where(torch.as_tensor(wrong), (labels + 1) % classes, labels)
    return Detections(
        truth.boxes,
        torch.full((len(labels),), 0.9),
        labels,
        truth.class_names,
        truth.frame_index,
        image_size=truth.image_size,
    )


def test_weights_that_come_with_trovid_are_of_one_seed(tmp_path):
    place = Workplace(out=tmp_path, seeds=(seed_with_trovid(),), trained=False)
    experiment = EXPERIMENTS["unseen"]()
    files = {place.weights(row, 0) for row in experiment.rows}
    assert {file.stem for file in files} == {
        "synthvid-single",
        "synthvid-single-troi",
        "synthvid-selsa",
        "synthvid-selsa-troi",
    }
    assert {read_card(file).provenance["seed"] for file in files} == set(place.seeds)
    train(experiment, place)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TrovidError, match="no weights of synthvid-single-md-average come"):
        place.weights(table1().rows[1], 0)


@pytest.mark.slow
def test_an_experiment_without_training(capsys, tmp_path):
    words = ["--out", tmp_path, "--clips", "1", "--no-training", "--json", "--resamples", "10"]
    status, out, _ = trovid_command(capsys, "experiment", "table5", *words)
    assert status == 0
    record = json.loads(out)
    assert not record["trained"]
    assert record["seeds"] == [seed_with_trovid()]
    assert (
        "The weights that come with trovid"
        in (tmp_path / "report-no-training" / "table5.md").read_text()
    )


def test_no_training_is_refused_where_rows_have_to_be_trained(capsys):
    status, _, complaints = trovid_command(capsys, "experiment", "table1", "--no-training")
    assert status == 2
    assert ["--no-training belongs to table5, fig5" in line for line in complaints] == [True]


def test_every_experiment_without_training_has_all_its_weights(tmp_path):
    place = Workplace(out=tmp_path, seeds=(seed_with_trovid(),), trained=False)
    rows = {name: make().rows for name, make in EXPERIMENTS.items()}
    rows |= {"training-free": reported(FREE).rows, "correspondence": (*MODELS, *SELSA_MODELS)}
    for name in NO_TRAINING:
        assert all(place.weights(row, *place.seeds).is_file() for row in rows[name])


def test_a_finished_table_is_reported_by_the_command(capsys, place):
    words = ["--out", place.out, "--seeds", "2", "--clips", CLIPS, "--resamples", "20"]
    status, out, complaints = trovid_command(
        capsys, "experiment", "table1", *map(str, words), "--json"
    )
    assert (status, complaints) == (0, [])
    result = json.loads(out)
    figures = {row["name"]: row["figures"]["all"]["mean"] for row in result["rows"]}
    assert figures["MS + attention"] == figures["MD + attention"] == pytest.approx(1)
    assert 0.2 < figures["single-frame"] < 0.9
    assert figures["MD + averaging"] < 0.1
    assert "fewer than were fixed: a try" in (place.out / "report" / "table1.md").read_text()
    gain = result["gains"][0]
    assert (gain["row"], gain["over"]) == ("MS + attention", "single-frame")
    assert gain["all"]["low"] <= gain["all"]["value"] <= gain["all"]["high"]
    assert len(gain["all"]["seeds"]) == 2
    page = (place.out / "report" / "table1.md").read_text()
    assert "| MS + attention | 100.0 ± 0.0 |" in page
    assert "| 80.5 |" in page
    assert "Not so: MS + attention is not above MD + attention." in page
    assert " MS + attention over MD + attention |" in page
    drawn = [[gain["row"], gain["over"]] for gain in result["order"]["gains"]]
    assert drawn == result["order"]["otherwise"]
    assert "without an interval" not in page
    assert "| MD + averaging | 8 | 2 | 3 | 1.5 |" in page
    assert "| synthvid-single | - | 2 | - | 63.5 |" in page
    assert result["finished"] > "2026"
    assert f"{result['finished'][:10]} " in page
    assert "the run that made this page took" in page
    assert "| recipe | seed | computed in | commit | finished | SHA-256 |" in page
    assert "| 2026-01-02T03:04:05 |" in page
    assert sha256_of(place.weights(table1().rows[0], 0))[:16] in page
    assert (place.out / "report" / "table1.png").stat().st_size > 5000
    assert json.loads((place.out / "report" / "table1.json").read_text())["seeds"] == [0, 1]


def test_a_page_of_before_is_drawn_as_it_was_and_a_new_card_says_processor_time(place):
    result = experiment_result(table1().with_clips(CLIPS), place, resamples=2)
    trained = result["rows"][0]["trained"]
    trained[0] |= {"processor_minutes": 10.0, "memory_mb": 700, "machine": "abacus"}
    trained[1] |= {"processor_minutes": 14.0, "memory_mb": 800}
    page = experiment_page(result)
    assert "| synthvid-single | 12 | 2 | 800 | 63.5 |" in page
    assert "| abacus | `" in page
    for row in result["rows"]:
        row.pop("step_gflop")
        row["trained"] = [
            {name: one[name] for name in ("seed", "minutes", "precision", "commit", "sha256")}
            for one in row["trained"]
        ]
    old = {name: value for name, value in result.items() if name not in ("finished", "minutes")}
    page = experiment_page(old)
    assert "| recipe | seed | computed in | commit | SHA-256 |" in page
    assert "took" not in page.split("## Cost")[0]


def test_only_what_is_missing_is_run_and_rows_of_a_model_go_together(place):
    experiment = table1().with_clips(CLIPS)
    assert missing_jobs(experiment, place) == []
    row = experiment.rows[-1]
    file = place.scores(row, 1, experiment.clips) / "00000.npz"
    kept = file.read_bytes()
    file.unlink()
    other = replace(row, name="K = 2", top_k=2)
    jobs = missing_jobs(replace(experiment, rows=(*experiment.rows, other)), place)
    file.write_bytes(kept)
    assert [(len(job.rows), job.weights.stem[-1]) for job in jobs] == [(1, "0"), (2, "1")]


def test_results_of_other_weights_are_refused(place):
    experiment = table1().with_clips(CLIPS)
    weights = place.weights(experiment.rows[0], 0)
    kept = weights.read_bytes()
    recipe = place.family.recipe(experiment.rows[0])
    save_weights(weights, build_detector(recipe), recipe, provenance={})
    with pytest.raises(TrovidError, match="was made with other weights"):
        experiment_result(experiment, place, resamples=2)
    weights.write_bytes(kept)


def test_order_counts_what_the_paper_tells_apart():
    experiment = table1()
    means = {row.name: row.published for row in experiment.rows}
    assert order(means, experiment) == {"pairs": 10, "otherwise": []}
    means["MD + averaging"] = 99.0
    assert len(order(means, experiment)["otherwise"]) == 4


def test_clips_are_made_once_and_of_this_version_alone(tmp_path):
    clips = Clips(first=600, count=1)
    path = written_clips(tmp_path, clips)
    before = path.stat().st_mtime_ns
    assert written_clips(tmp_path, clips) == path == clips_file(tmp_path, clips)
    assert path.stat().st_mtime_ns == before
    assert read_coco_vid(path).info["first"] == 600
    labels = json.loads(path.read_text())
    labels["info"]["version"] = "1"
    path.write_text(json.dumps(labels))
    with pytest.raises(TrovidError, match="is of SynthVID 1, but this is SynthVID 2"):
        written_clips(tmp_path, clips)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table1", "--seeds", "0"], "--seeds must be at least 1, but is 0"),
        (["table1", "--first-seed", "-1"], "--first-seed must be at least 0, but is -1"),
        (
            ["table5", "--first-clip", "5"],
            "--first-clip is of no use to `trovid experiment table5`",
        ),
        (["premise", "--data", "x", "--clips", "2"], "--clips is of no use"),
        (["premise", "--data", "x", "--seeds", "2"], "--seeds is of no use"),
        (["premise", "--data", "x", "--workers", "7"], "--workers is of no use"),
        (["recognition", "--data", "x", "--device", "cpu"], "--device is of no use"),
        (["recognition", "--data", "x", "--clips", "2"], "--clips is of no use"),
        (["blur", "--data", "x", "--clips", "2"], "--clips is of no use"),
        (["premise", "--data", "x", "--device", "cpu"], "--device is of no use"),
        (["everyday", "--data", "x", "--seeds", "3"], "--seeds is of no use"),
        (["all", "--first-clip", "3"], "--first-clip is of no use"),
        (["table1", "--embed"], "--embed belongs to"),
        (["table1", "--backbone", "resnet101-imagenet"], "--backbone belongs to --data"),
        (["table1", "--every", "2"], "--every belongs to"),
        (["training-free", "--data", "x"], "only there it is known which are clean: leave"),
    ],
)
def test_what_does_not_fit_is_said_at_once(capsys, tmp_path, words, message):
    status, _, complaints = trovid_command(capsys, "experiment", *words, "--out", tmp_path / "o")
    assert status == 2
    assert message in complaints[0]
    assert list(tmp_path.iterdir()) == []


def test_all_goes_on_after_what_fails(capsys, tmp_path, monkeypatch):
    """Of those whose weights come with trovid, as if each were done at once."""

    def made(name, wanted):
        if name == "fig5":
            raise TrovidError("weights are missing")
        return {"experiment": name, "folder": str(wanted.folder)}, f"# page of {name}"

    monkeypatch.setattr("trovid.cli.experiment.result_of", made)
    words = ["experiment", "all", "--no-training", "--out", tmp_path]
    status, out, complaints = trovid_command(capsys, *words)
    assert status == 2
    others = [name for name in ORDER if name in NO_TRAINING and name != "fig5"]
    assert len(others) == len(NO_TRAINING) - 1
    pages = [line for line in out.splitlines() if line.startswith("# page of")]
    assert pages == [f"# page of {name}" for name in others]
    assert "trovid: experiment 1 of 7: training-free" in complaints
    assert "trovid: fig5: weights are missing" in complaints
    assert complaints[-1] == "trovid: 1 of 7 experiments failed: fig5"
    status, out, _ = trovid_command(capsys, *words, "--json")
    assert (status, list(json.loads(out))) == (2, others)


def test_no_training_has_its_own_seed(capsys):
    words = ["experiment", "table5", "--no-training", "--seeds", "3"]
    status, _, complaints = trovid_command(capsys, *words)
    assert status == 2
    assert ["leave out --seeds and --first-seed" in line for line in complaints] == [True]


SMALL_R101 = {
    "model.backbone.name": "resnet18",
    "model.backbone.reduction": [0, 32],
    "model.rpn.channels": 32,
    "model.rpn.post_nms": [20, 20],
    "model.box_head.hidden": [32, 32],
    "image.shorter": 64,
    "image.longer": 96,
    "inference.support": "uniform:2",
    "training.start": None,
    "training.steps": 1,
    "training.batch": 1,
}
"""What makes a recipe of the paper small, under its own name."""


@pytest.mark.slow
def test_table_1_goes_from_imagenet_vids_folder_through_training_to_its_report(tmp_path, capsys):
    data, out = write_imagenet(tmp_path / "ILSVRC2015"), tmp_path / "runs"
    rows = table1().rows
    for row in rows:
        recipe = changed_recipe(load_recipe(f"paper/{row.recipe}-r101"), SMALL_R101)
        train_recipe(recipe, data=data, out=out, seed=0, validate=0, workers=0, device="cpu")
    words = ["--data", data, "--out", out, "--seeds", "1", "--workers", "1", "--resamples", "20"]
    status, page, complaints = trovid_command(capsys, "experiment", "table1", *words)
    assert (status, complaints) == (0, [])
    result = json.loads((out / "report/table1.json").read_text())
    (seen,) = result["data"]
    assert (seen["videos"], seen["frames"], seen["objects"]["all"]) == (2, 5, 10)
    for row, row_result in zip(rows, result["rows"], strict=True):
        (training,) = row_result["trained"]
        assert row_result["recipe"] == f"paper/{row.recipe}-r101"
        assert training["sha256"] == sha256_of(out / f"{row_result['recipe']}-seed0.safetensors")
        assert 0 <= row_result["figures"]["all"]["mean"] <= 1
        assert row_result["cost"]["frame_ms"] > 0
    assert "Table 1" in page
    assert (out / "report/table1.md").exists()
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.npz")}
    assert trovid_command(capsys, "experiment", "table1", *words)[0] == 0
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*.npz")}
