"""The everyday experiment on made-up sequences, with tiny models."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.shared import SHARED
from tests.training.tiny import tiny_recipe
from trovid.datasets.davis import read_davis
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.experiments import everyday_run
from trovid.experiments.conditions import ALONE, CLEAN, GRID, STRETCH, Condition, reported
from trovid.experiments.davis_sequences import CHOOSING, REPORTING
from trovid.experiments.embedding import embed_everyday
from trovid.experiments.everyday import (
    FREE,
    FREE_SETTINGS,
    SEQ_NMS,
    TRACKS,
    choose,
    free_setting,
    read_choice,
    report,
)
from trovid.experiments.everyday_jobs import EverydayPlace, loaded, scene_of
from trovid.experiments.everyday_methods import (
    SINGLE,
    TEMPORAL,
    Method,
    look,
    method_model,
    methods,
)
from trovid.experiments.everyday_pages import write_everyday
from trovid.experiments.everyday_run import divided_stills, run_everyday
from trovid.experiments.same_place import SamePlace
from trovid.inference.loading import load
from trovid.nn.extractors import TemporalRoIAlign
from trovid.ops import pack_support
from trovid.recipes.everyday import CLASSES
from trovid.training.run import weights_file
from trovid.video.deteriorations import KINDS
from trovid.zoo.weights import embedded_models, load_weights, save_weights

DAVIS, TRUTH = SHARED / "data" / "davis", SHARED / "data" / "vid_ground_truth"
SIZE = (64, 96)


def davis_folder(folder, *names, frames=10):
    """Sequences of a square that moves over a striped ground."""
    for number, name in enumerate(names):
        for kind in ("JPEGImages", "Annotations"):
            (folder / kind / name).mkdir(parents=True)
        for index in range(frames):
            picture = np.zeros((*SIZE, 3), np.uint8)
            picture[:, :: 4 + number] = 90
            mask = np.zeros(SIZE, np.uint8)
            left = 12 + 4 * index
            picture[20:44, left : left + 24] = (240, 60 * number % 250, 30)
            mask[20:44, left : left + 24] = 255
            Image.fromarray(picture).save(folder / "JPEGImages" / name / f"{index:05d}.png")
            Image.fromarray(mask).convert("1").save(
                folder / "Annotations" / name / f"{index:05d}.png"
            )
    return folder


def tiny_weights(out, seed: int = 0) -> None:
    """Both models with random weights; their first levels are the same."""
    states = {}
    for name, like in ((SINGLE, "synthvid-single"), (TEMPORAL, "synthvid-selsa-troi")):
        recipe = tiny_recipe(like)
        model = replace(recipe.model, classes=tuple(CLASSES.split()))
        training = replace(recipe.training, start="everyday-start")
        recipe = replace(recipe, name=name, model=model, training=training)
        torch.manual_seed(seed)
        detector = build_detector(recipe)
        for parameter in detector.box_head.class_logits.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        if states:
            detector.backbone.load_state_dict(states["backbone"])
        states["backbone"] = detector.backbone.state_dict()
        provenance = {"seed": seed, "minutes": 1, "machine": "-", "torch": "-", "commit": "-"}
        provenance |= {"finished": "-", "precision": "float32"}
        save_weights(weights_file(out, name, seed), detector, recipe, provenance=provenance)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everyday")
    davis = davis_folder(folder / "davis", "dog", "hike", "train", "lucia")
    tiny_weights(folder / "out")
    return EverydayPlace(out=folder / "out", davis=davis, workers=0)


def test_the_same_place_is_the_same_in_maps_of_another_stride():
    """Maps whose values are the place in the picture, of strides 8 and 16."""
    fine, coarse = (
        torch.stack([(torch.arange(n) + 0.5) * stride] * n)[None, None].repeat(1, 4, 1, 1)
        for n, stride in ((16, 8), (8, 16))
    )
    boxes = [torch.tensor([[20.0, 24.0, 60.0, 70.0], [40.0, 30.0, 100.0, 90.0]])]
    extractor = SamePlace(TemporalRoIAlign(7, 1 / 8, 2, channels=4, num_heads=0, aligned=True))
    found = extractor.extract(fine, boxes, 1 / 8, pack_support([coarse.repeat(3, 1, 1, 1)]))
    assert torch.allclose(found, extractor.align(fine, boxes, 1 / 8), atol=1e-2)


def test_conditions_say_which_frames_are_spoilt():
    alone, stretch = Condition("noise", 30), Condition("noise", 30, stretches=True)
    assert list(alone.targets(10)) == [0, ALONE, 2 * ALONE]
    assert [index for index in range(9) if alone.spoilt(index)] == [0, 4, 8]
    assert [i for i in range(3 * STRETCH) if stretch.spoilt(i)] == list(range(STRETCH, 2 * STRETCH))
    frame = np.full((20, 30, 3), 90, np.uint8)
    assert CLEAN.frame(frame, "dog", 0, None) is frame
    assert alone.frame(frame, "dog", 1, None) is frame
    one, again, other = (alone.frame(frame, "dog", index, None) for index in (4, 4, 8))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    strengths = {kind: values[0] for kind, values in GRID.items()}
    keys = [condition.key for condition in reported(strengths)]
    assert len(set(keys)) == len(keys) == 1 + 2 * len(KINDS)
    assert set(GRID) == set(KINDS)


def test_every_method_looks_at_a_sequence(place):
    dataset = read_davis(place.davis)
    sequence, other = loaded(dataset, "train"), loaded(dataset, "lucia")
    assert sorted(sequence.boxes) == list(range(10))
    assert sequence.boxes[1] == [16, 20, 40, 44]
    found = {}
    for method in methods(FREE):
        predictor = method_model(place.weights(method.model), method)
        looked = look(predictor, method, sequence, CLEAN, other, {})
        assert [frame.frame_index for frame in looked.frames] == [0, 2, 4, 6, 8]
        assert looked.seconds >= 0
        found[method.name] = looked.frames[0]
    plain = {name: detections for name, detections in found.items() if "taken over" not in name}
    assert len(plain) == 6
    for one, other in itertools.combinations(plain, 2):
        assert not torch.equal(plain[one].class_scores, plain[other].class_scores), (one, other)
    for name in ("single-frame", "training-free"):
        assert len(found[name]) <= len(found[f"{name} with boxes taken over"])


def test_a_training_free_setting_that_costs_too_much_is_left_out():
    tried = [Method(name=str(k), model=SINGLE, temporal=replace(FREE, top_k=k)) for k in (1, 4)]
    figures = {"single-frame": {"clean": 0.8}, **{n: {"clean": 0.8, "all": 0.5} for n in "14"}}
    figures["4"]["all"] = 0.6
    assert free_setting(tried, figures, {"1": 1.2, "4": 1.4})[0].top_k == 4
    free, line = free_setting(tried, figures, {"1": 1.2, "4": 1.6})
    assert free.top_k == 1
    assert "1 of 2 settings cost more and are left out" in line
    figures["1"]["clean"] = 0.796  # spares clean frames by this experiment's own rule
    assert free_setting(tried, figures, {"1": 1.2, "4": 1.6})[0].top_k == 1


def test_a_choice_made_without_costs_is_read_and_says_nothing_of_them(tmp_path):
    file = Path(__file__).parents[2] / "docs/results/everyday/everyday-choice.json"
    choice = read_choice(file)
    assert choice.times_single == {}
    assert choice.cost == ""
    new = replace(choice, times_single={"K = 1": 1.2}, cost="None is left out.")
    (tmp_path / "new.json").write_text(json.dumps(asdict(new)))
    assert read_choice(tmp_path / "new.json") == new


@pytest.mark.slow
def test_a_whole_run_is_reported_and_goes_on_where_it_was(place, tmp_path):
    settings = [setting for setting in FREE_SETTINGS if setting.searched == "own"]
    choice = choose(place, folder=tmp_path, names=["dog", "hike"], settings=settings)
    assert set(choice.strengths) == set(KINDS)
    assert all(value in GRID[kind] for kind, value in choice.strengths.items())
    assert len(choice.times_single) == len(settings)
    assert min(choice.times_single.values()) > 0
    assert "A frame may cost 1.5 times a single frame" in choice.cost
    assert choose(place, folder=tmp_path, names=["dog", "hike"]) == choice
    result = report(place, choice, resamples=20, names=["train", "lucia"])
    rows = [method.name for method in methods(choice.free)]
    assert list(result["ap50"]) == [*rows, TRACKS, SEQ_NMS]
    for figures in result["ap50"].values():
        assert set(figures) == set(result["groups"])
        assert all(0 <= figure["value"] <= 1 for figure in figures.values())
    assert result["folds"] == 2
    alone = next(c.key for c in reported(choice.strengths) if c.kind and not c.stretches)
    assert result["figures"]["single-frame"][alone]["frames"] == 2 * 3
    assert result["figures"]["single-frame"]["clean"]["frames"] == 2 * 5
    before = {file: file.stat().st_mtime_ns for file in place.out.rglob("*.npz")}
    again = report(place, choice, resamples=20, names=["train", "lucia"])
    assert json.dumps(again) == json.dumps(result)
    assert before == {file: file.stat().st_mtime_ns for file in place.out.rglob("*.npz")}
    whole = {"commit": "abc", "machine": "one", "davis": result}
    page = write_everyday(whole, tmp_path)
    for name in (*rows, TRACKS, SEQ_NMS):
        assert f"| {name} |" in page
    assert json.loads((tmp_path / "everyday.json").read_text()) == json.loads(json.dumps(whole))
    assert (tmp_path / "everyday.png").stat().st_size > 1000


def test_what_is_missing_is_said(place, tmp_path):
    with pytest.raises(TrovidError, match="train it first"):
        EverydayPlace(out=tmp_path, davis=place.davis).weights(SINGLE)
    with pytest.raises(TrovidError, match=r"has no sequence 'boat'; give the folder of DAVIS 2016"):
        report(place, read_choice_of(tmp_path), names=["boat"])
    with pytest.raises(TrovidError, match=r"`data`.*`stills`"):
        run_everyday(place, stills=None, davis=False, folder=tmp_path)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(TrovidError, match="is no choice of settings"):
        read_choice(tmp_path / "bad.json")


def read_choice_of(folder):
    strengths = {kind: values[0] for kind, values in GRID.items()}
    file = folder / "choice.json"
    chosen = {"strengths": strengths, "free": {"top_k": 1}, "tracks": {"iou": 0.3, "patience": 1}}
    file.write_text(json.dumps(chosen))
    return read_choice(file)


def test_both_models_are_embedded_and_share_their_trunk(place, tmp_path):
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    rows = ("single-frame", "Temporal RoI Align, trained")
    groups = ("clean", "target frames alone", "stretches")
    result = {
        "stills": {"AP50": 0.41},
        "davis": {"ap50": {row: dict.fromkeys(groups, figure) for row in rows}},
    }
    temporal, single = embed_everyday(place.out, result, folder=tmp_path)
    assert single.stat().st_size < temporal.stat().st_size
    for name in (SINGLE, TEMPORAL):
        model, _ = load_weights(weights_file(place.out, name, 0))
        embedded, card = load_weights(tmp_path / f"{name}.safetensors")
        for key, value in model.state_dict().items():
            assert torch.equal(value, embedded.state_dict()[key]), key
        assert card.provenance["test_ap50"]["clean"] == 0.5
    assert "41.0" in single.with_suffix(".md").read_text()
    assert (
        "shares the trunk in everyday-selsa-troi.safetensors"
        in single.with_suffix(".md").read_text()
    )
    for file in (temporal, single):
        assert "| training of the start | its weights are not at hand |" in card_of(file)
    temporal.write_bytes(weights_file(place.out, TEMPORAL, 0).read_bytes())
    with pytest.raises(TrovidError, match="keep both files together"):
        load(single)
    temporal.unlink()
    with pytest.raises(TrovidError, match="keep both files together"):
        load(single)


def card_of(weights) -> str:
    return weights.with_suffix(".md").read_text()


def test_cards_say_how_the_start_was_trained(tmp_path):
    tiny_weights(tmp_path / "out")
    start = tiny_recipe("synthvid-single")
    training = replace(start.training, start=None, steps=5000, batch=8)
    start = replace(start, name="everyday-start", training=training)
    provenance = {"seed": 0, "minutes": 79.8, "commit": "abc123", "finished": "2026-01-02"}
    provenance["backbone"] = {"source": "lite0.pth", "sha256": "f" * 64}
    file = weights_file(tmp_path / "out", start.name, 0)
    save_weights(file, build_detector(start), start, provenance=provenance)
    for written in embed_everyday(tmp_path / "out", {}, folder=tmp_path / "embedded"):
        assert (
            "| training of the start | seed 0, 5000 steps of 8 pictures, 79.8 minutes, commit "
            f"abc123, 2026-01-02, from ImageNet's `lite0.pth` (sha256 {'f' * 16}) |\n"
        ) in card_of(written)


@pytest.mark.parametrize("name", [SINGLE, TEMPORAL])
def test_embedded_cards_say_how_the_start_was_trained(name):
    text = card_of(embedded_models()[name])
    assert "seed 0, 5000 steps of 8 pictures, 79.8 minutes, commit 07e5ad7216c8" in text
    assert "`efficientnet-lite0-57934424.pth`" in text


def test_what_is_missing_is_trained_from_imagenet(tmp_path, monkeypatch):
    place = EverydayPlace(out=tmp_path, davis=tmp_path)
    begun = []
    monkeypatch.setattr(everyday_run, "divided_stills", lambda stills, out: stills)
    monkeypatch.setattr(everyday_run, "lite0_file", lambda: tmp_path / "lite0.pth")
    monkeypatch.setattr(
        everyday_run,
        "train_recipe",
        lambda recipe, *, backbone, **_: begun.append((recipe.name, backbone)),
    )
    everyday_run.trained(place, tmp_path, None)
    assert begun == [(name, tmp_path / "lite0.pth") for name in (SINGLE, TEMPORAL)]
    weights_file(tmp_path, SINGLE, 0).touch()
    everyday_run.trained(place, tmp_path, tmp_path / "own.pth")
    weights_file(tmp_path, "everyday-start", 0).touch()
    everyday_run.trained(place, tmp_path, None)
    assert begun[2:] == [(TEMPORAL, tmp_path / "own.pth"), (TEMPORAL, None)]


def test_some_pictures_are_set_aside(tmp_path):
    from tests.training.test_camera import pictures
    from trovid.datasets.reading import read_split
    from trovid.datasets.writing import write_dataset

    stills = tmp_path / "stills"
    stills.mkdir()
    write_dataset(stills / "train.json", pictures(stills, cup=12, dog=8), "coco-vid")
    write_dataset(stills / "test.json", pictures(stills, cup=2, dog=2), "coco-vid")
    folder = divided_stills(stills, tmp_path / "out")
    train, val = (read_split(folder, split) for split in ("train", "val"))
    assert (len(train.videos), len(val.videos)) == (16, 4)
    assert not {v.name for v in train.videos} & {v.name for v in val.videos}
    assert train.open(train.videos[0].name).read([0])[0].image.shape == (48, 64, 3)
    assert divided_stills(stills, tmp_path / "out") == folder


@pytest.mark.skipif(not DAVIS.is_dir(), reason="DAVIS 2016 is not there")
def test_the_sequences_are_there():
    dataset = read_davis(DAVIS)
    assert {*CHOOSING, *REPORTING} == {video.name for video in dataset.videos}


def test_a_method_is_named_by_all_that_it_does():
    keys = [method.key for method in methods(FREE)]
    assert len(set(keys)) == len(keys)
    assert Method(name="x", model=SINGLE).key == Method(name="y", model=SINGLE).key


@pytest.mark.skipif(not TRUTH.is_dir(), reason="the official truth of ImageNet VID is not there")
def test_the_clip_and_its_truth(tmp_path):
    lists = SHARED / "data" / "splits" / "VID_val_videos.txt"
    for file in (*TRUTH.iterdir(), lists):
        (tmp_path / file.name).symlink_to(file)
    (frames,) = (SHARED / "data" / "vid_clip").iterdir()
    clip = EverydayPlace(out=tmp_path, davis=tmp_path, clip=frames).dataset()
    (video,) = clip.videos
    assert video.num_frames == 144
    assert (np.diff(clip.labelled_frames(video.name)) == 1).all()
    (truth,) = clip.ground_truth(video.name, frames=[0])
    assert (truth.boxes[:, 2:] <= torch.tensor([video.width, video.height])).all()
    assert truth.class_names[truth.labels[0]] == "airplane"
    assert scene_of(video.name).classes == ("aeroplane",)
