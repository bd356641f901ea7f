"""The optimiser and its learning rate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.tiny import tiny_recipe
from trovid.detectors.building import build_backbone
from trovid.recipes import load_recipe
from trovid.training.optimizer import learning_rate, make_optimizer, set_learning_rate


def model() -> nn.Module:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), frozen)


def test_adamw_lets_matrices_alone_decay():
    settings = tiny_recipe(weight_decay=0.25, momentum=0.8).training
    optimizer = make_optimizer(model(), settings)
    assert isinstance(optimizer, torch.optim.AdamW)
    decay = {
        len(p.shape): group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert decay == {4: 0.25, 1: 0.0}
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.999)


def test_sgd_lets_all_that_is_trained_decay():
    settings = tiny_recipe(optimizer="sgd", weight_decay=0.25).training
    optimizer = make_optimizer(model(), settings)
    assert isinstance(optimizer, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert len(group["params"]) == 4
    assert group["weight_decay"] == 0.25
    assert group["momentum"] == settings.momentum


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_what_published_weights_start_may_learn_more_slowly(kind):
    """The pyramid, which begins at random, and the head learn at the whole rate."""
    backbone = build_backbone(load_recipe("everyday-start").model.backbone)
    model = nn.ModuleDict({"backbone": backbone, "head": nn.Conv2d(4, 4, 1)})
    settings = tiny_recipe(optimizer=kind, backbone_rate=0.25, weight_decay=0.5).training
    optimizer = make_optimizer(model, settings)
    set_learning_rate(optimizer, 0.4)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert rates.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    slow = {name for name, rate in rates.items() if rate == pytest.approx(0.1)}
    assert {name for name, rate in rates.items() if rate == pytest.approx(0.4)} == set(rates) - slow
    assert slow == {n for n in rates if n.startswith("backbone.blocks.")}


def test_the_learning_rate_warms_up_and_ends_low():
    settings = tiny_recipe(steps=100, warmup=10, learning_rate=1.0).training
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] or max(rates) == rates[10]
    assert rates[-1] < 0.001


def test_the_learning_rate_drops_to_a_tenth():
    settings = tiny_recipe(
        steps=100, warmup=4, warmup_start=0.5, learning_rate=1.0, drops=(50, 80)
    ).training
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[:5] == pytest.approx([0.625, 0.75, 0.875, 1, 1])
    assert rates[49:51] == pytest.approx([1, 0.1])
    assert rates[79:81] == pytest.approx([0.1, 0.01])
