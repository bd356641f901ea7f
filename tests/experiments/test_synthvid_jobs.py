"""Which trainings of the experiment are still to be made, and what is told of those made."""

from trovid.experiments.embedding import embed_weights
from trovid.experiments.synthvid_jobs import (
    FULL,
    MODELS,
    missing_models,
    run_trainings,
)
from trovid.training.run import weights_file
from trovid.zoo.weights import read_card


def test_a_seed_whose_models_are_all_there_trains_nothing_not_even_their_start(tmp_path):
    for seed in (0, 2):
        for model in MODELS:
            weights_file(tmp_path, model, seed).touch()
    weights_file(tmp_path, FULL, 2).unlink()
    missing = missing_models(tmp_path, range(3))
    assert missing == {1: list(reversed(MODELS)), 2: [FULL]}
    run_trainings(tmp_path, tmp_path / "no data", [0], workers=1)
    assert not weights_file(tmp_path, "synthvid-start", 0).exists()


def test_the_embedded_cards_say_how_each_training_was_computed(experiment, result, tmp_path):
    written = embed_weights(experiment.out, result, folder=tmp_path)
    assert [path.stem for path in written] == list(MODELS)
    page = written[0].with_suffix(".md").read_text()
    assert "| computed in | float32 |" in page
    assert "| commit, finished | abc, 2026-01-01 |" in page
    assert "3 test clips of SynthVID from clip 300 on" in page
    provenance = read_card(written[0]).provenance
    assert provenance["test_first_clip"] == 300
    assert provenance["test_ap50"]["all"] == result["models"][MODELS[0]]["all"]["seeds"][0]
