"""Which trainings of the experiment are still to be made."""

from trovid.experiments.synthvid_jobs import FULL, MODELS, missing_models, run_trainings
from trovid.training.run import weights_file


def test_a_seed_whose_models_are_all_there_trains_nothing_not_even_their_start(tmp_path):
    for seed in (0, 2):
        for model in MODELS:
            weights_file(tmp_path, model, seed).touch()
    weights_file(tmp_path, FULL, 2).unlink()
    missing = missing_models(tmp_path, range(3))
    assert missing == {1: list(reversed(MODELS)), 2: [FULL]}
    run_trainings(tmp_path, tmp_path / "no data", [0], workers=1)
    assert not weights_file(tmp_path, "synthvid-start", 0).exists()
