"""Which trainings of the experiment are still to be made, and what is told of those made."""

from trovid.detectors.building import build_detector
from trovid.experiments.embedding import embed_weights
from trovid.experiments.synthvid_jobs import (
    FULL,
    MODELS,
    missing_models,
    run_trainings,
    training_records,
)
from trovid.recipes.schema import load_recipe
from trovid.training.run import weights_file
from trovid.zoo.weights import read_card, save_weights


def test_a_seed_whose_models_are_all_there_trains_nothing_not_even_their_start(tmp_path):
    for seed in (0, 2):
        for model in MODELS:
            weights_file(tmp_path, model, seed).touch()
    weights_file(tmp_path, FULL, 2).unlink()
    missing = missing_models(tmp_path, range(3))
    assert missing == {1: list(reversed(MODELS)), 2: [FULL]}
    run_trainings(tmp_path, tmp_path / "no data", [0], workers=1)
    assert not weights_file(tmp_path, "synthvid-start", 0).exists()


def test_cards_and_records_say_how_each_training_was_computed(tmp_path):
    for number, model in enumerate(MODELS):
        recipe = load_recipe(model)
        facts = {
            "seed": 0,
            "commit": f"commit {number}",
            "finished": "2026-01-01",
            "minutes": 1.5,
            "machine": "a machine",
            "torch": "2.6.0",
            "data": {"name": "SynthVID", "version": "2", "split": "train"},
        }
        precision = {} if number else {"precision": "float32"}
        detector = build_detector(recipe)
        save_weights(
            weights_file(tmp_path, model, 0), detector, recipe, facts={**facts, **precision}
        )
    records = training_records(tmp_path, [0])
    assert [record["precision"] for record in records] == ["float32", *["unknown"] * 3]
    assert [record["commit"] for record in records] == [f"commit {i}" for i in range(4)]
    figures = {name: {"seeds": [0.5]} for name in ("all", "clean", "deteriorated")}
    result = {
        "seeds": [0],
        "clips": 300,
        "every": 3,
        "data": {"first": 300},
        "models": dict.fromkeys(MODELS, figures),
    }
    written = embed_weights(tmp_path, result, folder=tmp_path / "embedded")
    card = written[0].with_suffix(".md").read_text()
    assert "| computed in | float32 |" in card
    assert "| commit, finished | commit 0, 2026-01-01 |" in card
    assert "300 test clips of SynthVID from clip 300 on" in card
    assert read_card(written[0]).facts["test_first_clip"] == 300
