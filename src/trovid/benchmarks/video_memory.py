"""A whole clip in a process of its own: seconds, and the most memory that it ever held."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from trovid.allocator import highest_memory, keep_freed_memory
from trovid.benchmarks.child_process import run_module


def clip_in_child_process(
    recipe: str, *, precision: str, frames: int, threads: int, backend: str, quick: bool = False
) -> dict[str, float]:
    """Runs a detector of random weights over a clip, in a new process.

    Args:
        recipe: Name of the recipe.
        precision: See `trovid.load`.
        frames: Length of the clip.
        threads: torch's.
        backend: The operator's.
        quick: A small image size.

    Returns:
        `seconds` for the whole clip, and `peak_bytes`, the highest mark of resident memory, the
        clip itself and all libraries included.

    Raises:
        RuntimeError: If the process fails.
    """
    job = {"recipe": recipe, "precision": precision, "frames": frames, "quick": quick}
    return run_module(
        "trovid.benchmarks.video_memory",
        job,
        threads=threads,
        what=f"running a clip with {recipe}",
        TROVID_BACKEND=backend,
    )


def run_clip(job: dict[str, Any]) -> dict[str, float]:
    """The work of that process."""
    from trovid.benchmarks.video_subject import clip, random_detector, subject_recipe
    from trovid.inference import Predictor

    keep_freed_memory()
    recipe = subject_recipe(job["recipe"], quick=job["quick"])
    predictor = Predictor(random_detector(recipe), recipe, device="cpu", precision=job["precision"])
    video = clip(recipe, job["frames"])
    began = time.perf_counter()
    for _ in predictor.detect(video):
        pass
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": highest_memory()}


if __name__ == "__main__":
    print(json.dumps(run_clip(json.loads(sys.argv[1]))))
