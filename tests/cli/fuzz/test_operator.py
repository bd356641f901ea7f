"""The operator with values that nobody would give: refused, or what the equations give."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cli.fuzz.trials import CASES, FAST_CASES, FAST_SEED, SEED
from tests.ops.compare import Problem, assert_close, usable_backends
from tests.ops.large_values import check_at_scale, gradients
from trovid.ops import pack_support, temporal_roi_align

REFUSALS = (ValueError, TypeError)
SIDES = (0.0, -0.0, 3.5, -40.0, 1e-30, 1e4, 1e9, -1e9, 1e30, math.nan, math.inf, -math.inf)
SETTINGS: dict[str, tuple[Any, ...]] = {
    "output_size": (-1, 0, 1, 7, 2.5, "7", None, (7,), (3, 0), (1, 2, 3)),
    "spatial_scale": (0.0, -1.0, 1e-30, 1e30, math.nan, math.inf, -math.inf),
    "sampling_ratio": (-5, -1, 0, 1, 3, 128, 129, 10**9),
    "top_k": (-1, 0, 1, 6, 10**6),
    "num_heads": (-1, 0, 1, 3, 10**6),
    "logit_scale": (0.0, -1.0, 1e-30, math.nan, math.inf),
    "backend": ("", "cuda", "native\x1b[2J", None, 1),
}
MUST_BE_REFUSED = {
    "spatial_scale": lambda value: not math.isfinite(value),
    "sampling_ratio": lambda value: value > 128,
}


def problem_of(rng: random.Random) -> Problem:
    heads = rng.choice([0, 1, 2, 4])
    return Problem(
        frames=tuple(rng.choice([1, 2, 3]) for _ in range(rng.choice([1, 1, 2]))),
        rois=(),
        channels=rng.choice([8, 12, 20]),
        top_k=rng.choice([1, 2, 4]),
        heads=heads,
        embedding=rng.choice(["grouped", "dense"]),
        size=(rng.randint(4, 9), rng.randint(4, 9)),
        relu=False,
    )


def magnitudes(rng: random.Random, backend: str) -> None:
    """Of features: refused beyond float32's squares, else off by what float32 itself is."""
    problem = problem_of(rng)
    problem = replace(problem, rois=tuple(rng.randint(1, 3) for _ in problem.frames))
    scaled, scale = rng.choice([("feat",), ("supp",), ("feat", "supp")]), 10 ** rng.uniform(-9, 25)
    tensors = problem.tensors(5)
    reach = max(
        (leaf.abs().max().item() * scale for name, leaf in tensors.items() if name[:4] in scaled)
    )
    if reach > math.sqrt(torch.finfo(torch.float32).max / problem.channels):
        with pytest.raises(ValueError, match="must lie within"):
            gradients(problem, backend, torch.float32, scale, scaled=scaled)
        return
    if problem.ties(tensors).any():
        return
    if scale > 1e4:  # a logit's rounding decides then between frames that do not tie
        problem = replace(problem, heads=0)
    check_at_scale(problem, backend, scale, scaled)


def derivatives(rng: random.Random, backend: str) -> None:
    """Forward-mode ones are refused, whatever carries them."""
    problem = problem_of(rng)
    problem = replace(problem, rois=tuple(1 for _ in problem.frames))
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    name = rng.choice([name for name in tensors if not name.startswith("boxes")])

    def function(value: Tensor) -> Tensor:
        return problem.run({**tensors, name: value}, backend)

    with pytest.raises(NotImplementedError, match="no forward-mode derivatives"):
        torch.func.jvp(function, (tensors[name],), (torch.ones_like(tensors[name]),))


def parts(rng: random.Random, backend: str) -> None:
    """Of a packed support that do not belong together are refused."""
    problem = replace(problem_of(rng), rois=(), frames=(2,))
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    packed = pack_support([tensors["support0"]])
    norms, rows = packed.inverse_norms, packed.rows
    cut = rng.randrange(norms.shape[1])
    changed = rng.choice(
        [
            {"inverse_norms": norms[:, :cut]},
            {"inverse_norms": norms[:1]},
            {"inverse_norms": norms[..., None]},
            {"rows": rows[:, :cut]},
            {"rows": rows[..., : problem.channels - 1]},
            {"lengths": (rng.choice([1, 3, 10**9]),)},
            {"lengths": (3, -1)},
            {"lengths": (1, 1, 1)},
            {"size": (problem.size[0] + 1, problem.size[1])},
            {"size": (-problem.size[0], -problem.size[1])},
        ]
    )
    some = [torch.tensor([[0.0, 0, 20, 20]])]
    try:
        wrong = replace(packed, **changed)
        temporal_roi_align(tensors["features"], wrong, some, 7, 1 / 8, 2, backend=backend)
    except REFUSALS:
        return
    raise AssertionError(f"{problem}, {backend}: computed with {changed}")


def boxes(rng: random.Random, backend: str) -> None:
    """Of any size and none are alike in every backend."""
    problem = problem_of(rng)
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    some = [torch.tensor([[rng.choice(SIDES) for _ in range(4)]]) for _ in problem.frames]
    support = [tensors[f"support{i}"] for i in range(len(problem.frames))]
    ratio = rng.choice([-1, 0, 2])

    def run(backend: str) -> Tensor:
        return temporal_roi_align(
            tensors["features"],
            support,
            some,
            3,
            1 / 8,
            ratio,
            top_k=problem.top_k,
            backend=backend,
        )

    assert_close(run(backend), run("reference"), 1e-5, f"{problem}, {some}, {ratio}")


def settings(rng: random.Random, backend: str) -> None:
    """Refused by every backend, or computed alike."""
    problem = problem_of(rng)
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    support = [tensors[f"support{i}"] for i in range(len(problem.frames))]
    some = [torch.tensor([[4.0, 4, 50, 50]])] * len(problem.frames)
    name = rng.choice(list(SETTINGS))
    value = rng.choice(SETTINGS[name])
    given: dict[str, Any] = {
        "output_size": 3,
        "spatial_scale": 1 / 8,
        "sampling_ratio": 2,
        "top_k": problem.top_k,
        "num_heads": problem.heads,
        "weight": tensors.get("weight"),
        "bias": tensors.get("bias"),
    }

    def outcome(backend: str) -> Tensor | None:
        try:
            return temporal_roi_align(
                tensors["features"], support, some, **{**given, "backend": backend, name: value}
            )
        except REFUSALS:
            return None

    found, expected = outcome(backend), outcome("reference")
    told = f"{problem}, {name} = {value!r}"
    assert (found is None) == (expected is None), told
    if isinstance(value, (int, float)) and MUST_BE_REFUSED.get(name, lambda _: False)(value):
        assert found is None, told
    if found is not None and expected is not None and expected.isfinite().all():
        assert_close(found, expected, 1e-4, told)  # 128 x 128 samples are summed otherwise


KINDS = {
    "magnitudes": magnitudes,
    "derivatives": derivatives,
    "parts": parts,
    "boxes": boxes,
    "settings": settings,
}


def tried(kind: str, cases: int, seed: int) -> None:
    backends = usable_backends()
    for number in range(cases):
        rng = random.Random(f"{seed}:operator, {kind}:{number}")
        KINDS[kind](rng, rng.choice(backends))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_values(kind):
    tried(kind, FAST_CASES, FAST_SEED)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_values(kind):
    print(f"seed of the fuzz: {SEED}")
    tried(kind, CASES, SEED)
