"""Recognition of damaged objects, on frames made here; the real ones are no part of trovid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.command import trovid_command
from tests.experiments.test_premise import make
from trovid.errors import TrovidError
from trovid.experiments import recognition, recognition_report, recognition_shares
from trovid.experiments.davis_sequences import folds_of
from trovid.experiments.lite0 import Lite0
from trovid.experiments.premise import sequences
from trovid.experiments.recognition import SINGLE, SequenceMaps, Setting, fused, read, uniform
from trovid.experiments.recognition_classes import (
    CHOOSING,
    GROUPS,
    REPORTING,
    SEQUENCES,
    STILLS,
)
from trovid.experiments.recognition_damage import CLEAN, STRENGTHS, damaged, damages
from trovid.experiments.recognition_report import (
    TOP_K,
    UNTRAINED,
    Choice,
    _intervals,
    average,
    choose,
    recognition_page,
    reported_settings,
    run_recognition,
)
from trovid.experiments.recognition_training import read_stills
from trovid.storage.hashes import sha256_of
from trovid.storage.tensor_files import read_tensors


def test_the_table_of_classes_is_whole():
    assert set(SEQUENCES.values()) == set(GROUPS)
    assert not set(CHOOSING) & set(REPORTING)
    assert (len(CHOOSING), len(REPORTING)) == (10, 17)
    for classes in (*GROUPS.values(), *STILLS.values()):
        assert classes
        assert all(0 <= number < 1000 for number in classes)


def test_damage_grows_with_its_strength_and_leaves_the_frame_alone():
    rng = np.random.default_rng(0)
    frame = np.kron(rng.integers(0, 255, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    before = frame.copy()
    assert damaged(frame, CLEAN) is frame
    for kind in STRENGTHS:
        errors = [
            np.abs(damaged(frame, name).astype(float) - frame).mean()
            for name in damages()
            if name.startswith(kind)
        ]
        assert errors == sorted(errors)
        assert errors[0] > 0
    assert np.array_equal(frame, before)


def test_support_frames_are_uniform_and_never_the_target():
    assert uniform(9, without=4) == (0, 1, 2, 3, 5, 6, 7, 8)
    assert 20 not in uniform(41, without=20)
    assert len(uniform(41)) == 8
    assert uniform(3, without=0) == (1, 2)


def shares_of(values):
    """Shares of one sequence: `values` by (damage, setting), 0.5 where not given."""
    names = [SINGLE, *(setting.name for setting in UNTRAINED)]
    return {
        "dog": {
            damage: {name: values.get((damage, name), 0.5) for name in names}
            for damage in (CLEAN, *damages())
        }
    }


def test_single_frame_results_alone_choose_the_strength():
    values = {(CLEAN, SINGLE): 0.8}
    for name in damages():
        values[name, SINGLE] = 0.7
    values["defocus 4", SINGLE], values["defocus 6", SINGLE] = 0.45, 0.2
    values["noise 75", SINGLE] = 0.41
    chosen = choose(shares_of(values)).damages
    assert chosen == ("motion_blur 9", "defocus 4", "jpeg 10", "noise 75")


def test_a_setting_that_costs_clean_frames_is_not_chosen():
    costly, good = Setting("mean", 1.0, 1).name, Setting("mean", 1.0, 3).name
    values = {(CLEAN, SINGLE): 0.5, (CLEAN, costly): 0.4}
    for name in damages():
        values[name, costly], values[name, good] = 0.9, 0.6
    choice = choose(shares_of(values))
    assert choice.mean == Setting("mean", 1.0, 3)
    assert average(shares_of(values), "jpeg 5", costly) == 0.9
    names = [setting.name for setting in reported_settings(choice, [0, 1])]
    assert len(names) == len(set(names)) == 4 * len(TOP_K) + 3 * 4
    assert {"trained, K = 1, seed 1", "trained, K = 6, seed 0"} <= {*names}
    assert any(name.endswith("the target searched in itself") for name in names)


def test_near_duplicates_are_drawn_as_one():
    """Of two videos that show the same, drawn as one, the second tells nothing more."""
    values = {"drift-chicane": 0.2, "drift-turn": 0.2, "goat": 0.9}
    shares = {
        name: {CLEAN: {SINGLE: value}, "jpeg 5": {SINGLE: value}} for name, value in values.items()
    }
    share = _intervals(shares, 500)[SINGLE][CLEAN]
    assert share["value"] == pytest.approx(1.3 / 3)
    assert (share["low"], share["high"]) == pytest.approx((0.2, 0.9))
    assert folds_of(values) == ["drift-chicane", "drift-chicane", "goat"]


def test_the_committed_page_is_what_its_figures_give():
    file = Path(__file__).parents[2] / "docs/results/recognition/recognition.json"
    result = json.loads(file.read_text(encoding="utf-8"))
    damages, mean, attention = (result["chosen"][name] for name in ("damages", "mean", "attention"))
    choice = Choice(tuple(damages), Setting(**mean), Setting(**attention))
    page = recognition_page(result, choice)
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page
    assert "Near duplicates are drawn as one: 15 of them." in page
    older = {name: value for name, value in result.items() if name != "folds"}
    assert "drift-turn and drift-chicane; motocross-jump and motocross-bumps" in recognition_page(
        older, choice
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    timm = pytest.importorskip("timm", reason="the optional package timm is not installed")
    torch.manual_seed(1)
    state = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    names = [n for n in state if not n.endswith("num_batches_tracked")]
    file = tmp_path_factory.mktemp("lite0") / "lite0.pth"
    torch.save({name: state[name] for name in names}, file)
    return file


def test_the_head_is_the_rest_of_the_network(weights):
    network = Lite0(weights)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    pixels = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        whole = network.network(pixels)
        torch.testing.assert_close(network.head(network(image)[16]), whole)


def test_the_mean_of_equal_frames_is_the_frame(tmp_path, weights):
    make(tmp_path, "dog")
    maps = SequenceMaps(Lite0(weights), sequences(tmp_path)[0])
    target = next(maps.targets())
    assert target.box.tolist() == [[9, 8, 49, 48]]
    flat = torch.ones(1, 6, 4, 6) * torch.arange(1.0, 7).view(1, -1, 1, 1)
    features = read(flat, [target.box])
    sets, similarities = (
        features.expand(3, *features.shape),
        features.new_ones(3, 1, *features.shape[2:]),
    )
    for setting in (Setting("mean"), Setting("dot", 0.1), Setting("cosine", 10.0)):
        torch.testing.assert_close(fused(features, sets, similarities, setting), features)


def test_pictures_of_a_folder_are_those_that_are_for_training(run, tmp_path):
    """Five pictures, of which a fifth would be set aside if it were asked for validation."""
    labels = json.loads((tmp_path / "stills" / "train.json").read_text())
    (image,), (row,) = labels["images"], labels["annotations"]
    for number in range(2, 6):
        name = f"images/{number}.png"
        shutil.copy(tmp_path / "stills" / "images" / "a.png", tmp_path / "stills" / name)
        labels["images"].append(image | {"id": number, "file_name": name})
        labels["annotations"].append(row | {"id": number, "image_id": number})
    (tmp_path / "stills" / "train.json").write_text(json.dumps(labels))
    for path in (tmp_path / "stills", tmp_path / "stills" / "train.json"):
        stills = read_stills(path)
        assert (len(stills.pictures), len(stills.objects)) == (5, 5)


def test_embeddings_of_other_pictures_are_refused(run, tmp_path):
    result, page = run()
    assert result["stills"] == {"pictures": 1, "objects": 1}
    assert "made from 1 pictures with 1 objects" in page
    labels = json.loads((tmp_path / "stills" / "train.json").read_text())
    labels["annotations"][0]["bbox"] = [2, 2, 60, 56]
    (tmp_path / "stills" / "train.json").write_text(json.dumps(labels))
    with pytest.raises(TrovidError, match="was trained on other pictures"):
        run()


def test_pictures_are_read_before_the_sequences(tmp_path, weights):
    for name in ("dog", "bear"):
        make(tmp_path / "davis", name, frames=3)
    words = {"out": tmp_path / "out", "folder": tmp_path / "report", "weights": tmp_path / "none"}
    with pytest.raises(TrovidError, match="nowhere: cannot be read"):
        run_recognition(tmp_path / "davis", stills=tmp_path / "nowhere", **words)


@pytest.fixture
def run(tmp_path, weights, monkeypatch):
    """The experiment on four sequences, as small as it can be."""
    monkeypatch.setattr(recognition, "TARGETS", 1)
    few = tuple(setting for setting in UNTRAINED if setting.top_k == 1)[:2]
    monkeypatch.setattr(recognition_report, "UNTRAINED", few)
    monkeypatch.setattr(recognition_report, "TOP_K", range(1, 3))
    for name in ("dog", "bus", "bear", "goat"):
        make(tmp_path / "davis", name, frames=3)
    stills = tmp_path / "stills"
    (stills / "images").mkdir(parents=True)
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(stills / "images" / "a.png")
    labels = {
        "images": [{"id": 1, "file_name": "images/a.png", "height": 64, "width": 96}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 60, 56]}],
    }
    labels["annotations"][0] |= {"area": 60 * 56, "iscrowd": 0}
    (stills / "train.json").write_text(json.dumps(labels))

    return lambda workers=1, seeds=(3,): run_recognition(
        tmp_path / "davis",
        stills=stills / "train.json",
        out=tmp_path / "out",
        folder=tmp_path / "report",
        seeds=seeds,
        resamples=10,
        weights=weights,
        steps=1,
        workers=workers,
    )


def test_the_whole(run, tmp_path, weights):
    result, page = run()
    assert (result["choosing"], result["reporting"]) == (["bus", "dog"], ["bear", "goat"])
    assert result["folds"] == 2
    single = result["shares"][SINGLE]
    assert all(share["low"] <= share["value"] <= share["high"] for share in single.values())
    assert all(share["gain"] == 0 for share in single.values())
    names = [name for name in result["shares"] if name.startswith("trained")]
    assert names[:2] == ["trained, K = 1, seed 3", "trained, K = 2, seed 3"]
    k = result["chosen"]["attention"]["top_k"]
    sources = ("the target searched in itself", "another video", "same place without search")
    controls = [n for n in result["shares"] if any(source in n for source in sources)]
    assert len(controls) == 9
    assert names[2:] == [f"trained, K = {k}, {source}, seed 3" for source in sources]
    assert (tmp_path / "report" / "recognition.md").read_text() == page
    trained = (tmp_path / "out").glob("*.safetensors")
    assert (tmp_path / "report" / "recognition.png").stat().st_size > 5000
    assert result["weights"] == {file.name: sha256_of(file) for file in (weights, *trained)}
    assert "rhino" in page


class Stopped(Exception):
    """What ends a run in its middle."""


def test_a_run_that_was_stopped_goes_on(run, tmp_path, monkeypatch):
    measured, whole = [], recognition_shares.recognised

    def stopping(maps, *words):
        if len(measured) == 3:
            raise Stopped
        measured.append(maps.sequence.name)
        return whole(maps, *words)

    monkeypatch.setattr(recognition_shares, "recognised", stopping)
    with pytest.raises(Stopped):
        run()
    assert measured == ["bus", "dog", "bear"]
    measured.clear()
    result, _ = run()
    assert measured == ["goat"]
    measured.clear()
    assert run()[0]["shares"] == result["shares"]
    assert measured == []
    assert run(seeds=(4,))[0]["shares"] != result["shares"]
    assert measured == ["bear", "goat"]


@pytest.mark.parametrize("kind", ["network", "frame", "mask"])
def test_what_other_weights_or_frames_gave_is_measured_again(run, tmp_path, weights, kind):
    """Everything that looks at bear's frames or its masks; goat looks at bear as another video."""
    run()
    files = {file.stem: file for file in (tmp_path / "out" / "recognition").glob("*.json")}
    assert set(files) == {"bus", "dog", "bear", "goat"}
    before = {name: file.stat().st_mtime_ns for name, file in files.items()}
    kept = weights.read_bytes()
    if kind == "network":
        state = torch.load(weights)
        state["classifier.bias"] = state["classifier.bias"] + 1
        torch.save(state, weights)
    else:
        folder = "JPEGImages" if kind == "frame" else "Annotations"
        file = sorted((tmp_path / "davis" / folder / "bear").iterdir())[0]
        Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    try:
        run()
    finally:
        weights.write_bytes(kept)
    after = {name for name, file in files.items() if file.stat().st_mtime_ns != before[name]}
    assert after == (set(files) if kind == "network" else {"bear", "goat"})


@pytest.mark.slow
def test_a_second_run_trains_nothing(run, tmp_path):
    seeds = (3, 4)
    result, _ = run(2, seeds)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.safetensors")}
    assert len(before) == 4
    assert run(1, seeds)[0]["shares"] == result["shares"]
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_an_embedding_does_not_depend_on_what_is_trained_beside_it(run, tmp_path):
    run()
    file = tmp_path / "out" / "recognition-k2-seed3-1.safetensors"
    before = read_tensors(file)[0]
    file.unlink()
    run()
    after = read_tensors(file)[0]
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_both_parts_are_needed(tmp_path, weights):
    make(tmp_path, "dog")
    with pytest.raises(TrovidError, match=r"sequences to choose on .* and to report on"):
        run_recognition(tmp_path, stills=None, out=tmp_path, folder=tmp_path, weights=weights)


def test_the_command_says_what_belongs_to_it(capsys, tmp_path):
    status, _, complaints = trovid_command(capsys, "experiment", "recognition")
    assert (status, len(complaints)) == (2, 1)
    assert "recognition needs --data" in complaints[0]
    status, _, complaints = trovid_command(capsys, "experiment", "table1", "--stills", tmp_path)
    assert status == 2
    assert "--stills belongs to" in complaints[0]
