"""A training shared by two processes, as torchrun starts them."""

from __future__ import annotations

import socket
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from tests.training.tiny import TRANSFORM, tiny_recipe
from trovid.datasets.coco_vid import read_coco_vid
from trovid.recipes import Recipe
from trovid.training.clips import TrainingClips
from trovid.training.loop import train
from trovid.training.processes import started_processes


def free_port() -> int:
    """A port at which the processes can meet."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def shared_recipe(**training: object) -> Recipe:
    """BatchNorm is frozen, since its statistics would be those of a process's own clips."""
    settings = {"random": "clip", "batch": 3, "steps": 5, "flip": 0.5, "support_frames": 2}
    recipe = tiny_recipe(**{**settings, **training})
    backbone = replace(recipe.model.backbone, frozen_stages=4)
    return replace(recipe, model=replace(recipe.model, backbone=backbone))


def run(
    out: Path, recipe: Recipe, *, stop_after: int | None = None
) -> tuple[list[dict[str, float]], dict]:
    """The losses of each step that was done, and the weights in the end.

    Everything lies in a folder of its own, but the data, which `tiny_folder` has written beside it:
    an encoder need not write the same bytes twice. A checkpoint that is there is gone on from.
    """
    dataset = read_coco_vid(out.parent / "data" / "train.json")
    clips = TrainingClips(dataset, TRANSFORM, cache=out / "frames")
    losses: list[dict[str, float]] = []
    with started_processes(torch.device("cpu")) as processes:
        trained = train(
            recipe,
            clips,
            seed=0,
            checkpoint=out / "checkpoint",
            device="cpu",
            save_every=2,
            report=lambda progress: losses.append(progress.losses),
            processes=processes,
            stopping=lambda: nullcontext(lambda: len(losses) + 1 == stop_after),  # not yet told
        )
    return losses, trained.detector.state_dict()


def run_rank() -> None:
    """One of the processes; the words are the folder and its number."""
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), sys.argv[2]
    out = folder / f"rank{rank}"
    result = run(out, shared_recipe())
    torch.save(result, folder / f"result{rank}.pt")
