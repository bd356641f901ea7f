"""Checkpoints: everything that a training needs to go on, and nothing of another training."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import torch

from tests.training.tiny import batch_of, tiny_recipe
from trovid.errors import TrovidError
from trovid.recipes import recipe_values
from trovid.storage.tensor_files import read_tensors, save_tensors
from trovid.training.checkpoints import Position, load_checkpoint, save_checkpoint
from trovid.training.loop import train
from trovid.training.optimizer import make_optimizer
from trovid.training.start import initial_detector
from trovid.training.step import training_step

AT = Position(step=3, seconds=1.5, precision="bfloat16", processor_seconds=2.5)


def fresh(recipe, seed=0):
    detector = initial_detector(recipe, seed=seed, start=None).train()
    return detector, make_optimizer(detector, recipe.training)


@pytest.fixture
def saved(clips, tmp_path):
    """A checkpoint after one step, with what it holds."""
    recipe = tiny_recipe()
    detector, optimizer = fresh(recipe)
    batch = batch_of(clips, recipe.training, seed=0, step=0)
    training_step(detector, optimizer, batch, recipe.training)
    save_checkpoint(tmp_path / "c", detector, optimizer, AT, seed=0, recipe=recipe)
    return tmp_path / "c", recipe, detector, optimizer


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_next_step_after_loading_is_the_same(clips, tmp_path, optimizer):
    recipe = tiny_recipe(optimizer=optimizer)
    ends = []
    batches = [batch_of(clips, recipe.training, seed=0, step=step) for step in range(2)]
    one = fresh(recipe)
    training_step(*one, batches[0], recipe.training)
    save_checkpoint(tmp_path / "c", *one, AT, seed=0, recipe=recipe)
    other = fresh(recipe, seed=1)
    assert load_checkpoint(tmp_path / "c", *other, seed=0, recipe=recipe) == AT
    for detector, torch_optimizer in (one, other):
        torch.manual_seed(0)
        training_step(detector, torch_optimizer, batches[1], recipe.training)
        ends.append(detector.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_no_temporary_file_stays(saved):
    assert [file.name for file in saved[0].parent.iterdir()] == ["c"]


@pytest.mark.skipif(os.name != "posix", reason="no limit of a file's size")
def test_without_room_the_checkpoint_before_stays_whole_and_the_training_goes_on_from_it(
    clips, tmp_path
):
    import resource

    path, recipe = tmp_path / "c", tiny_recipe(steps=3)
    options = {"seed": 0, "save_every": 1, "device": "cpu"}
    undisturbed = train(recipe, clips, checkpoint=tmp_path / "other", **options)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(progress):
        if progress.step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, before[1]))

    try:
        with pytest.raises(TrovidError, match=r"^cannot write .*c: File too large; free space"):
            train(recipe, clips, checkpoint=path, report=full, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c", "other"]
    said: list[str] = []
    trained = train(recipe, clips, checkpoint=path, say=said.append, **options)
    assert said[0].startswith("goes on after step 1 of 3")
    state = undisturbed.detector.state_dict()
    assert all(torch.equal(state[k], v) for k, v in trained.detector.state_dict().items())


@pytest.mark.parametrize("change", ["seed", "recipe"])
def test_a_checkpoint_of_another_training_is_refused(saved, change):
    path, recipe, detector, optimizer = saved
    seed = 1 if change == "seed" else 0
    if change == "recipe":
        recipe = replace(recipe, training=replace(recipe.training, steps=5))
    with pytest.raises(TrovidError, match=r"of another recipe or seed .*: .*delete it"):
        load_checkpoint(path, detector, optimizer, seed=seed, recipe=recipe)


def test_a_checkpoint_of_before_took_the_first_videos_of_those_that_are_all_taken_now(saved):
    path, recipe, *trained = saved
    capped, whole = (
        replace(recipe, training=replace(recipe.training, videos=videos))
        for videos in (100_000, None)
    )
    save_checkpoint(path, *trained, AT, seed=0, recipe=capped)
    assert load_checkpoint(path, *fresh(whole), seed=0, recipe=whole) == AT


@pytest.mark.parametrize("bfloat16", [True, False])
def test_a_checkpoint_of_before_was_in_the_precision_of_its_recipe(saved, bfloat16):
    path, recipe, detector, optimizer = saved
    recipe = replace(recipe, training=replace(recipe.training, bfloat16=bfloat16))
    tensors, metadata = read_tensors(path)
    head = json.loads(metadata["head"])
    del head["precision"], head["processor_seconds"]
    head["recipe"] = recipe_values(recipe)
    save_tensors(path, tensors, {"head": json.dumps(head)})
    at = load_checkpoint(path, detector, optimizer, seed=0, recipe=recipe)
    assert at.precision == ("bfloat16" if bfloat16 else "float32")
    assert at.processor_seconds is None


@pytest.mark.parametrize("name", ["data", "start", "backbone"])
def test_another_origin_is_refused(saved, name):
    path, recipe, detector, optimizer = saved
    settings = {"seed": 0, "recipe": recipe}
    origin = {"data": "a", "start": "b", "backbone": "c"}
    save_checkpoint(path, detector, optimizer, AT, **settings, origin=origin)
    assert load_checkpoint(path, detector, optimizer, **settings, origin=origin) == AT
    other = {**origin, name: "x"}
    with pytest.raises(TrovidError, match=f"whose {name} was another: give the same {name} again"):
        load_checkpoint(path, detector, optimizer, **settings, origin=other)


def without(beginning):
    return lambda tensors, head: [tensors.pop(k) for k in [*tensors] if k.startswith(beginning)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("optimizer/"), r"it holds \d+ tensors of \d+"),
        (
            lambda t, h: (without("optimizer/")(t, h), h.pop("tensors")),
            "the optimiser's state is not there",
        ),
        (lambda t, h: (without("optimizer/0/exp")(t, h), h.pop("tensors")), "another optimiser's"),
        (lambda t, h: h.update(step=-5), r"its step must lie in 1\.\.4, but is -5"),
        (lambda t, h: h.update(step=10**9), "but is 1000000000"),
        (lambda t, h: h.update(step=10**400), "but is 1000"),
        (lambda t, h: h.update(step="three"), "but is three"),
        (lambda t, h: h.update(step=True), "but is True"),
        (lambda t, h: h.update(seconds=-1), "its seconds must lie in 0"),
        (lambda t, h: h.update(seconds=float("nan")), "its seconds must lie in 0"),
        (lambda t, h: h.update(seconds=None), "but are None"),
        (lambda t, h: h.update(processor_seconds=-1), "its seconds must lie in 0"),
        (lambda t, h: h.update(precision="fp8"), "its precision is 'fp8'"),
        (lambda t, h: h.update(origin=[]), "its origin is none"),
        (lambda t, h: h.pop("recipe"), "must hold keys and values"),
        (lambda t, h: h.clear(), "the recipe must hold"),
        (
            lambda t, h: t.update({"optimizer/x/step": t.pop("optimizer/0/step")}),
            "no parameter belongs to optimizer/x/step",
        ),
        (
            lambda t, h: t.update({"model/box_head.class_logits.bias": torch.zeros(7)}),
            r"box_head.class_logits.bias must have shape \[2\] of .*, but has \[7\]",
        ),
        (
            lambda t, h: t["model/box_head.class_logits.bias"].fill_(torch.nan),
            "holds values that are not finite",
        ),
        (lambda t, h: t["optimizer/0/exp_avg_sq"].fill_(-1), "exp_avg_sq holds values below 0"),
        (lambda t, h: t["optimizer/0/step"].fill_(-5), "step holds values below 0"),
        (
            lambda t, h: t.update({"model/x": t.pop("model/box_head.class_logits.bias")}),
            "the model has other tensors: box_head.class_logits.bias",
        ),
    ],
)
def test_what_is_no_whole_checkpoint_is_refused_and_changes_nothing(saved, change, message):
    path, recipe, detector, optimizer = saved
    tensors, metadata = read_tensors(path)
    head = json.loads(metadata["head"])
    change(tensors, head)
    save_tensors(path, tensors, {"head": json.dumps(head)})
    recipe = replace(recipe, training=replace(recipe.training, steps=4))
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    with pytest.raises(TrovidError, match=message) as error:
        load_checkpoint(path, detector, optimizer, seed=0, recipe=recipe)
    assert str(path) in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())


def test_weights_that_are_not_finite_leave_the_checkpoint_before(saved):
    path, recipe, detector, optimizer = saved
    before = path.read_bytes()
    with torch.no_grad():
        detector.box_head.class_logits.bias[0] = torch.inf
    later = replace(AT, step=4)
    with pytest.raises(TrovidError, match=r"not written at step 4: .*class_logits.bias holds"):
        save_checkpoint(path, detector, optimizer, later, seed=0, recipe=recipe)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["optimizer/0/step", "model/box_head.class_logits.bias"])
def test_numbers_of_another_type_are_refused(saved, name):
    path, recipe, detector, optimizer = saved
    tensors, metadata = read_tensors(path)
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    save_tensors(path, tensors, metadata)
    with pytest.raises(TrovidError, match=r"but has .*float8_e4m3fn"):
        load_checkpoint(path, detector, optimizer, seed=0, recipe=recipe)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 200_000])
def test_a_head_that_is_none_is_one_line(saved, text):
    path, recipe, detector, optimizer = saved
    save_tensors(path, read_tensors(path)[0], {"head": text})
    with pytest.raises(TrovidError, match="no whole checkpoint of a training"):
        load_checkpoint(path, detector, optimizer, seed=0, recipe=recipe)


def test_what_is_no_checkpoint_is_one_line(saved):
    path, recipe, detector, optimizer = saved
    path.write_bytes(b"no tensors")
    with pytest.raises(TrovidError, match="is not a safetensors file"):
        load_checkpoint(path, detector, optimizer, seed=0, recipe=recipe)
