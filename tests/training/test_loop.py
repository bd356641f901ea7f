"""The training loop: it learns, resumes to the same bits, and says what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.tiny import TRANSFORM, batch_of, tiny_dataset, tiny_recipe
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.training import train
from trovid.training.clips import TrainingClips
from trovid.training.optimizer import learning_rate


def state(trained):
    return trained.detector.state_dict()


def same(one, other) -> bool:
    return all(torch.equal(value, state(other)[key]) for key, value in state(one).items())


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory):
    return train(tiny_recipe(), clips, seed=3, checkpoint=tmp_path_factory.mktemp("whole") / "c")


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(clips, whole, tmp_path, after):
    def stop(progress):
        if progress.step == after:  # before the checkpoint of this step
            raise Stop

    options = {"seed": 3, "checkpoint": tmp_path / "c", "save_every": 2}
    with pytest.raises(Stop):
        train(tiny_recipe(), clips, report=stop, **options)
    steps = []
    resumed = train(tiny_recipe(), clips, report=lambda p: steps.append(p.step), **options)
    assert steps == list(range(1 if after < 3 else 3, 5))
    assert same(whole, resumed)


@pytest.mark.parametrize(
    "options",
    [
        {"draw": "frames", "group_aspects": True, "random": "clip", "accumulate": 2},
        pytest.param({"compile": True}, marks=pytest.mark.slow),
        pytest.param(
            {"compile": True, "checkpointing": True, "validate_every": 1}, marks=pytest.mark.slow
        ),
    ],
    ids=lambda options: "-".join(options),
)
def test_options_are_resumed_to_the_same_bits(clips, tmp_path, options):
    if "checkpointing" in options and "compile" in options:
        recipe = frozen_norms(tiny_recipe(steps=3, **options))
    else:
        recipe = tiny_recipe(steps=3, **options)
    seen = []
    on_the_way = {"on_the_way": lambda detector, step: seen.append(forms(detector.eval()))}
    once, again = (
        train(recipe, clips, seed=3, checkpoint=tmp_path / name, **on_the_way) for name in "ab"
    )
    assert same(once, again)

    def stop(progress):
        if progress.step == 2:
            raise Stop

    part = {"seed": 3, "checkpoint": tmp_path / "c", "save_every": 1}
    with pytest.raises(Stop):
        train(recipe, clips, report=stop, **part)
    assert same(once, train(recipe, clips, **part))
    assert set(seen) <= {()}  # what is measured on the way is not compiled
    assert forms(once.detector) == ()


def frozen_norms(recipe):
    backbone = replace(recipe.model.backbone, frozen_stages=4)
    return replace(recipe, model=replace(recipe.model, backbone=backbone))


def forms(detector) -> tuple[str, ...]:
    """The modules whose forward is not their class's."""
    return tuple(name for name, part in detector.named_modules() if "forward" in vars(part))


@pytest.mark.slow
def test_what_torch_compile_makes_learns_the_same(clips, tmp_path):
    settings = {"steps": 3, "colour_augmentation": False}
    losses = []
    for name in (False, True):
        recipe = frozen_norms(tiny_recipe(compile=name, **settings))
        told: list[dict[str, float]] = []
        train(
            recipe,
            clips,
            seed=0,
            checkpoint=tmp_path / str(name),
            report=lambda progress, told=told: told.append(progress.losses),
        )
        losses.append(told)
    for one, other in zip(*losses, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_worker_processes_and_decoding_when_needed_change_nothing(dataset, whole, tmp_path):
    decoded = TrainingClips(dataset, TRANSFORM, cache=tmp_path / "frames", room=0)
    trained = train(tiny_recipe(), decoded, seed=3, checkpoint=tmp_path / "c", workers=1)
    assert same(whole, trained)


def test_another_seed_is_another_training(clips, whole, tmp_path):
    assert not same(whole, train(tiny_recipe(), clips, seed=4, checkpoint=tmp_path / "c"))


def test_what_is_told_of_a_step(clips, tmp_path):
    told = []
    recipe = tiny_recipe(steps=3)
    train(recipe, clips, seed=0, checkpoint=tmp_path / "c", report=told.append)
    assert [(p.step, p.steps) for p in told] == [(1, 3), (2, 3), (3, 3)]
    assert [p.learning_rate for p in told] == [learning_rate(recipe.training, n) for n in range(3)]
    assert 0 < told[0].seconds < told[1].seconds < told[2].seconds
    assert {*told[0].losses} == {"rpn_objectness", "rpn_boxes", "class", "boxes"}
    assert all(isinstance(loss, float) for loss in told[0].losses.values())


def test_the_losses_fall_on_a_few_frames(clips, tmp_path):
    losses = []
    train(
        tiny_recipe("synthvid-start", steps=60, batch=4, learning_rate=3e-3),
        clips,
        seed=0,
        checkpoint=tmp_path / "c",
        device="cpu",
        report=lambda p: losses.append(p.losses["rpn_objectness"]),
    )
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@pytest.mark.parametrize("computes", [True, False])
def test_a_resumed_training_keeps_its_precision(clips, tmp_path, monkeypatch, computes):
    def processor(computes: bool):
        monkeypatch.setattr("trovid.training.step.gains_from_bfloat16", lambda device: computes)

    short = tiny_recipe("synthvid-start", steps=1, batch=1, bfloat16=True)
    options = {"seed": 0, "checkpoint": tmp_path / "c"}
    processor(computes)
    wanted = "bfloat16" if computes else "float32"
    assert train(short, clips, **options).precision == wanted
    processor(not computes)
    assert train(short, clips, **options).precision == wanted


@pytest.mark.parametrize("mutual", [False, True])
def test_a_target_is_supported_by_the_other_frames_of_its_clip_alone(clips, mutual):
    recipe = tiny_recipe(support_frames=3, mutual_support=mutual)
    detector = build_detector(recipe)
    batch = batch_of(clips, recipe.training, seed=0, step=0)
    support = []
    pool = detector.pool

    def noted(features, proposals, image_sizes, supports):
        assert image_sizes == [(64, 96)] * len(proposals)
        support.extend(bank.frame_indices for bank in supports)
        return pool(features, proposals, image_sizes, supports)

    detector.pool = noted
    detector(batch)
    wanted = [
        tuple(frame for frame in frames if frame != target)
        for frames in batch.frame_indices
        for target in frames[: 4 if mutual else 1]
    ]
    assert support == wanted


def test_a_device_that_is_not_there_is_one_line(clips, tmp_path):
    with pytest.raises(TrovidError, match="device 'gpu' cannot be used"):
        train(tiny_recipe(), clips, seed=0, checkpoint=tmp_path / "c", device="gpu")


def test_a_video_of_one_frame_supports_itself(tmp_path):
    clips = TrainingClips(tiny_dataset(tmp_path, one=1), TRANSFORM, cache=tmp_path / "frames")
    told = []
    recipe = tiny_recipe(steps=1)
    train(recipe, clips, seed=0, checkpoint=tmp_path / "c", report=told.append)
    assert len(told) == 1
