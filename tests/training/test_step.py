"""One step of a training."""

from __future__ import annotations

import pytest
import torch

from tests.training.tiny import batch_of, tiny_recipe
from trovid.errors import TrovidError
from trovid.structures import TrainingBatch
from trovid.training.optimizer import make_optimizer
from trovid.training.start import initial_detector
from trovid.training.step import training_precision, training_step

RECIPE = tiny_recipe()


@pytest.fixture
def parts(clips):
    detector = initial_detector(RECIPE, seed=0, start=None).train()
    batch = batch_of(clips, RECIPE.training, seed=0, step=0)
    return detector, make_optimizer(detector, RECIPE.training), batch, RECIPE.training


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_changes_what_is_trained(parts, precision):
    detector = parts[0]
    before = {name: p.detach().clone() for name, p in detector.named_parameters()}
    losses = training_step(*parts, precision=precision)
    assert all(loss.ndim == 0 and not loss.requires_grad for loss in losses.values())
    for name, parameter in detector.named_parameters():
        changed = not torch.equal(before[name], parameter)
        assert changed == parameter.requires_grad, name


def test_the_losses_are_those_of_the_contract(parts):
    torch.manual_seed(1)
    losses = training_step(*parts)
    torch.manual_seed(1)
    again = initial_detector(RECIPE, seed=0, start=None).train()
    torch.manual_seed(1)
    assert {k: v.item() for k, v in again(parts[2]).items()} == {
        k: v.item() for k, v in losses.items()
    }


def test_counting_the_samples_of_parts_leaves_batch_norm_alone(parts):
    detector, optimizer, batch, settings = parts
    norms = [part for part in detector.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    training_step(detector, optimizer, [batch, batch], settings)
    assert {int(norm.num_batches_tracked) for norm in norms if norm.training} == {2}


class Weights(torch.nn.Module):
    """Its losses are its weights, times a factor."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.factor = 1.0

    def forward(self, batch):
        return {name: self.factor * self.weight[i] for i, name in enumerate("abc")}


def weights_and_what_a_step_takes():
    model, settings = Weights(), tiny_recipe(optimizer="sgd").training
    batch = TrainingBatch(torch.empty(0), [], 1, [])
    return model, make_optimizer(model, settings), batch, settings


def fetched(run) -> int:
    """How many numbers Python asks tensors for."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run()
    return sum(event.name == "aten::_local_scalar_dense" for event in profile.events())


def test_one_number_is_fetched_a_step_or_none():
    parts = weights_and_what_a_step_takes()
    assert fetched(lambda: training_step(*parts)) == 1
    unread = []
    assert fetched(lambda: [training_step(*parts, unread=unread) for _ in range(3)]) == 0
    assert [finite.item() for finite in unread] == [True] * 3


@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_and_not_asked_leaves_no_such_weight(factor):
    model, *others = weights_and_what_a_step_takes()
    unread = []
    for model.factor in (1.0, factor, 1.0):
        training_step(model, *others, unread=unread)
    assert [finite.item() for finite in unread] == [True, False, True]
    assert torch.isfinite(model.weight).all()


def test_a_loss_that_is_not_finite_ends_the_training_and_changes_nothing(parts):
    detector = parts[0]
    with torch.no_grad():
        detector.box_head.class_logits.bias[0] = torch.inf
    before = detector.rpn.head.cls_logits.weight.detach().clone()
    with pytest.raises(FloatingPointError, match=r"lower training\.learning_rate"):
        training_step(*parts)
    assert torch.equal(before, detector.rpn.head.cls_logits.weight)


def test_short_memory_says_what_lowers_the_need(parts):
    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    parts[0].register_forward_pre_hook(short)
    with pytest.raises(TrovidError, match=r"out of memory: a smaller training.batch"):
        training_step(*parts)


@pytest.mark.parametrize(
    ("computes", "asked", "wanted"),
    [
        (True, True, "bfloat16"),
        (False, True, "float32"),
        (True, False, "float32"),
        (False, False, "float32"),
    ],
)
def test_the_precision_is_one_that_the_processor_computes(
    monkeypatch, caplog, computes, asked, wanted
):
    monkeypatch.setattr("trovid.training.step.gains_from_bfloat16", lambda device: computes)
    assert training_precision(tiny_recipe(bfloat16=asked).training, "cpu") == wanted
    assert ("float32 is used instead" in caplog.text) == (asked and not computes)
