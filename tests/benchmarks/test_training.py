import json
import os

import pytest
import torch

from trovid.benchmarks.training import agreement, generated_batch, using_backend
from trovid.cli.main import main
from trovid.recipes import load_recipe


@pytest.fixture(autouse=True)
def no_backend(monkeypatch, one_thread):
    monkeypatch.delenv("TROVID_BACKEND", raising=False)


def run(*words):
    with pytest.raises(SystemExit) as exited:
        main(["bench", "training", *words])
    return exited.value.code


def test_quick_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TROVID_MALLOC", "system")
    words = ["--quick", "--threads", "1", "--rounds", "2", "--out", str(tmp_path)]
    assert run(*words, "--backends", "reference", "--backends", "direct") == 0
    assert "steps/s" in capsys.readouterr().out
    (record,) = json.loads((tmp_path / "quick-training.json").read_text())["records"]
    assert record["case"] == "synthvid-selsa-troi"
    assert record["memory"] == "system"
    assert len(record["seconds"]["direct"]) == 2
    assert record["agreement"]["direct"]["passed"]
    assert record["agreement"]["direct"]["gradient"] > 0
    assert "TROVID_BACKEND" not in os.environ


def test_unknown_backend_is_one_line(tmp_path, capsys):
    assert run("--quick", "--backends", "none", "--out", str(tmp_path)) == 2
    err = capsys.readouterr().err
    assert "must be one of" in err
    assert err.count("\n") == 1


def test_a_wrong_gradient_is_found():
    loss, gradient = torch.tensor(3.0), torch.rand(50)
    right = agreement((loss, gradient), (loss, gradient))
    assert right == {"loss": 0.0, "gradient": 0.0, "passed": True}
    assert not agreement((loss, 1.02 * gradient), (loss, gradient))["passed"]
    assert not agreement((1.001 * loss, gradient), (loss, gradient))["passed"]
    assert not agreement((loss, gradient * torch.nan), (loss, gradient))["passed"]


def test_backend_variable_is_put_back(monkeypatch):
    monkeypatch.setenv("TROVID_BACKEND", "direct")
    with using_backend("reference"):
        assert os.environ["TROVID_BACKEND"] == "reference"
    assert os.environ["TROVID_BACKEND"] == "direct"


def test_generated_batch():
    recipe = load_recipe("synthvid-selsa-troi")
    batch = generated_batch(recipe, 0)
    frames = recipe.training.batch * (recipe.training.support_frames + 1)
    assert batch.images.shape == (frames, 3, 160, 288)
    assert len(batch.targets) == len(batch.target_positions) == frames
    for target in batch.targets:
        boxes = target["boxes"]
        assert (boxes[:, 2:] - boxes[:, :2]).min() > 16
        assert boxes[:, 2].max() < 288
        assert boxes[:, 3].max() < 160
    assert torch.equal(batch.images, generated_batch(recipe, 0).images)
