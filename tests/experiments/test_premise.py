"""The premise on frames made here: a bright square on noise, which moves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests import shared
from tests.cli.command import trovid_command
from trovid.errors import TrovidError
from trovid.experiments.lite0 import Lite0, in_order
from trovid.experiments.premise import (
    _intervals,
    accuracy,
    object_cells,
    pairs,
    premise_page,
    run_premise,
    sequences,
)
from trovid.storage.hashes import sha256_of


def make(folder, name="square", frames=9):
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 90, (64, 96, 3), dtype=np.uint8)
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind / name).mkdir(parents=True)
    for index in range(frames):
        image, mask = ground.copy(), np.zeros((64, 96), np.uint8)
        place = slice(8, 48), slice(4 + 5 * index, 44 + 5 * index)
        image[place], mask[place] = (250, 200, 20), 255
        Image.fromarray(image).save(folder / "JPEGImages" / name / f"{index:05d}.webp")
        Image.fromarray(mask).convert("1").save(folder / "Annotations" / name / f"{index:05d}.png")


def test_pairs_lie_within_the_sequence():
    found = list(pairs(9))
    assert len(found) == 9
    assert all(0 <= target < support < 9 for _, target, support in found)
    assert list(pairs(1)) == []


def test_accuracy_is_the_share_of_cells_that_are_found_on_the_object():
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0] = 1
    features[0, :, :2, :2] = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    here = features[0, 1] > 0
    moved = features.roll(1, 3)
    assert accuracy(features, moved, here, moved[0, 1] > 0) == (1.0, 0.25)
    assert accuracy(features, moved, here, torch.zeros(4, 4, dtype=torch.bool)) is None
    half = moved[0, 1] > 0
    half[:, 2] = False
    found, chance = accuracy(features, moved, here, half)
    assert (found, chance) == (1.0, 0.125)  # equal similarities: the first cell
    mask = np.zeros((33, 40), bool)
    mask[:16] = True
    assert object_cells(mask, (5, 5), 8)[:, 0].tolist() == [True, True, False, False, False]


def test_sequences_need_masks(tmp_path):
    with pytest.raises(TrovidError, match="holds no JPEGImages/NAME folders"):
        sequences(tmp_path)
    make(tmp_path)
    assert [(s.name, len(s.images)) for s in sequences(tmp_path)] == [("square", 9)]
    (tmp_path / "Annotations" / "square" / "00003.png").unlink()
    with pytest.raises(TrovidError, match=r"00003.png is not there: each picture needs a mask"):
        sequences(tmp_path)


def test_the_whole_with_weights_of_the_same_network(tmp_path):
    timm = pytest.importorskip("timm", reason="the optional package timm is not installed")
    torch.manual_seed(1)
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    file = tmp_path / "lite0.pth"
    torch.save({f"other.{i}": t for i, t in enumerate(whole.state_dict().values())}, file)
    with pytest.raises(TrovidError, match="does not hold the tensors of EfficientNet-Lite0"):
        Lite0(file)
    names = [n for n in whole.state_dict() if not n.endswith("num_batches_tracked")]
    torch.save({f"other.{i}": whole.state_dict()[n] for i, n in enumerate(names)}, file)
    make(tmp_path / "davis")
    result, page = run_premise(
        tmp_path / "davis", folder=tmp_path / "report", resamples=10, weights=file
    )
    assert set(result["accuracy"]) == {"ImageNet weights", "random weights"}
    figure = result["accuracy"]["ImageNet weights"]["8, 0.125"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert result["chance"]["8, 0.5"]["value"] == pytest.approx(25 / 96, abs=0.1)
    assert json.loads((tmp_path / "report" / "premise.json").read_text()) == result
    assert (tmp_path / "report" / "premise.md").read_text() == page
    assert (tmp_path / "report" / "premise.png").stat().st_size > 5000
    assert result["weights"] == {"lite0.pth": sha256_of(file)}
    assert f"{sha256_of(file)[:16]}" in page


def test_near_duplicates_are_drawn_as_one():
    """Of two videos that show the same, drawn as one, the second tells nothing more."""
    values = {"drift-turn": 0.2, "drift-chicane": 0.2, "bmx-trees": 0.2, "bmx-bumps": 0.2}
    values |= {"horsejump-low": 0.8, "horsejump-high": 0.8}
    apart = _intervals(list("abcdef"), _alike(values), 1000, "")["8, 0.5"]
    as_one = _intervals(list(values), _alike(values), 1000, "")["8, 0.5"]
    assert as_one["value"] == apart["value"] == pytest.approx(0.4)
    assert as_one["high"] == pytest.approx(0.8)
    assert apart["high"] < 0.7
    few = {"sequences": list(values), "resamples": 10, "accuracy": {}, "chance": {}}
    few |= {"commit": "c", "machine": "m", "weights": {"w": "0" * 64}}
    assert "drawn as independent sequences" in premise_page(few)
    assert "drawn as one: 3 of them" in premise_page(few | {"folds": 3})


def _alike(values):
    return [{"8, 0.5": [value]} for value in values.values()]


def test_order_and_shapes_decide():
    state = {"a": torch.zeros(2), "n.num_batches_tracked": torch.tensor(3)}
    found = in_order(state, {"x": torch.ones(2)}, shared.SHARED)
    assert found["a"].tolist() == [1, 1]
    with pytest.raises(TrovidError, match="in order"):
        in_order(state, {"x": torch.ones(3)}, shared.SHARED)


def test_the_command_asks_for_the_data(capsys):
    status, _, complaints = trovid_command(capsys, "experiment", "premise")
    assert (status, len(complaints)) == (2, 1)
    assert "premise needs --data" in complaints[0]
