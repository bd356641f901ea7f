"""DistributedDataParallel only has to wrap the detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.programs import start_program
from tests.training.tiny import TRANSFORM
from tests.training.two_processes import (
    RANKS,
    STEPS,
    double_detector,
    instance_losses,
    recipe,
    run_steps,
)

ROOT = Path(__file__).parents[2]


def joined(batches):
    """Two batches as one."""
    one, other = batches
    return replace(
        one,
        images=torch.cat([one.images, other.images]),
        frame_indices=one.frame_indices + other.frame_indices,
        targets=one.targets + other.targets,
        image_sizes=one.image_sizes + other.image_sizes,
    )


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_compute_what_one_computes_on_both_batches(clips, tmp_path):
    settings = replace(recipe().training, batch=RANKS)
    parts = []
    for rank in range(RANKS):
        drawn = [
            clips.draw(settings, seed=0, step=step, share=range(rank, rank + 1))
            for step in range(STEPS)
        ]
        batches = [one.batch(TRANSFORM) for one in drawn]
        parts.append([replace(batch, images=batch.images.double()) for batch in batches])
        torch.save(parts[-1], tmp_path / f"batches{rank}.pt")
    code = "from tests.training.two_processes import run_rank; run_rank()"
    processes = [start_program(code, [str(rank), tmp_path], folder=ROOT) for rank in range(RANKS)]
    try:
        said = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * RANKS, said
    finally:
        for process in processes:
            process.kill()
    alone = double_detector()
    losses, gradients = run_steps(alone, [joined(pair) for pair in zip(*parts, strict=True)])
    results = [torch.load(tmp_path / f"result{rank}.pt", weights_only=False) for rank in range(2)]
    for step in range(STEPS):
        for name, loss in losses[step].items():
            mean = sum(result[0][step][name] for result in results) / RANKS
            torch.testing.assert_close(mean, loss)
    assert not torch.equal(results[0][0][0]["class"], results[1][0][0]["class"])
    for _, process_gradients, state, _ in results:
        torch.testing.assert_close(process_gradients, gradients)
        torch.testing.assert_close(state, alone.state_dict())
    for name, loss in instance_losses(slice(0, 3)).items():
        torch.testing.assert_close(sum(result[3][name] for result in results) / RANKS, loss)
    assert sum(float(gradient.norm()) > 0 for gradient in gradients) > len(gradients) / 2
