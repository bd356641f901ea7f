"""Steps of a training in one of several processes, under DistributedDataParallel."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tests.training.tiny import tiny_recipe
from trovid.nn.mask_head import mask_loss
from trovid.nn.track_head import track_loss
from trovid.recipes import Recipe
from trovid.structures import TrainingBatch
from trovid.training.optimizer import make_optimizer
from trovid.training.start import initial_detector
from trovid.training.step import training_step

STEPS = 2
RANKS = 2


def recipe() -> Recipe:
    """Nothing is sampled: all anchors and all of a fixed number of proposals are in the loss.

    The mean over a batch of two halves is then the mean of their means; BatchNorm is frozen, since
    its statistics would be those of the whole batch.
    """
    tiny = tiny_recipe(optimizer="sgd", learning_rate=0.05, batch=1, support_frames=2)
    model = tiny.model
    rpn = replace(
        model.rpn,
        samples=100_000,
        foreground_iou=0.5,
        background_iou=0.5,
        pre_nms=(8, 8),
        post_nms=(8, 8),
        nms=1.0,
    )
    return replace(
        tiny,
        model=replace(
            model,
            backbone=replace(model.backbone, frozen_stages=4),
            rpn=rpn,
            box_head=replace(model.box_head, samples=1000, positive_fraction=0.5),
        ),
    )


def run_steps(
    model: nn.Module, batches: list[TrainingBatch]
) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
    """The losses of each step, and the gradients of the last one."""
    settings = recipe().training
    optimizer = make_optimizer(model, settings)
    losses = [training_step(model, optimizer, batch, settings) for batch in batches]
    return losses, [p.grad for p in model.parameters() if p.requires_grad]


def double_detector() -> nn.Module:
    """In float64, so that the order of sums does not decide which proposals are taken."""
    return initial_detector(recipe(), seed=0, start=None).double().train()


def instance_losses(rows: slice) -> dict[str, Tensor]:
    """The losses of the instance heads over some RoIs of the same frames."""
    source = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 2, 4, 4, generator=source)
    labels, wanted = torch.tensor([0, 1, 1]), (maps[:, 0] > 0).float()
    logits, matches = torch.randn(3, 3, generator=source), torch.tensor([0, 2, 1])
    return {
        "masks": mask_loss(maps[rows], labels[rows], wanted[rows]),
        "track": track_loss([logits[rows]], [matches[rows]]),
    }


def run_rank() -> None:
    """One of the processes; the words are its number and the folder."""
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=RANKS
    )
    model = DistributedDataParallel(double_detector())
    batches = torch.load(folder / f"batches{rank}.pt", weights_only=False)
    losses, gradients = run_steps(model, batches)
    shares = instance_losses(slice(0, 3) if rank == 0 else slice(3, 3))
    state = model.module.state_dict()
    torch.save((losses, gradients, state, shares), folder / f"result{rank}.pt")
    torch.distributed.destroy_process_group()
