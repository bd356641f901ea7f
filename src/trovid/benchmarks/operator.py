"""`trovid bench operator`: trovid's operator against the frozen rival, result checked."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torchvision
from torch import Tensor

from trovid import ops
from trovid.benchmarks.agreement import (
    LARGEST_OWN_ERROR,
    TOLERANCE,
    Agreement,
    compare,
    near_ties,
    without_ties,
)
from trovid.benchmarks.contenders import (
    RIVAL,
    TROVID,
    Contender,
    run_rival,
    step_of,
    trovid_with,
)
from trovid.benchmarks.flops import equation_flops, factored_flops
from trovid.benchmarks.inputs import OperatorInputs, OperatorSize, make_inputs
from trovid.benchmarks.machine import machine_record, product_speeds
from trovid.benchmarks.maps import RANDOM, fitted
from trovid.benchmarks.memory import memory_of
from trovid.benchmarks.operator_cases import Case, keeps_its_factor
from trovid.benchmarks.timing import interleave, timing_records
from trovid.errors import OptionError
from trovid.ops.temporal_roi_align.cpp import backend as native

ISA_VARIABLE = "TROVID_NATIVE_ISA"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Settings:
    """How the operator is measured.

    Attributes:
        backend: trovid's backend.
        threads: Of torch, and of whatever follows torch's setting.
        device: cpu, cuda or cuda:N.
        dtype: Of the maps: float32 or bfloat16.
        rounds: At most so many runs of each contender.
        seconds: Of timed runs a case; two rounds are made whatever they cost.
        seed: Of the inputs.
        maps: random, trained, synthvid, or a folder (`trovid.benchmarks.maps`).
    """

    backend: str = "auto"
    threads: int = 2
    device: str = "cpu"
    dtype: str = "float32"
    rounds: int = 7
    seconds: float = 40.0
    seed: int = 0
    maps: str = RANDOM


def run_operator(
    cases: Iterable[Case],
    settings: Settings,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """One record a case, ready for JSON, as soon as it is measured.

    Args:
        cases: What to measure.
        settings: How.
        progress: Called with (cases done, cases in all, name of the next).
    """
    cases = list(cases)
    torch.set_num_threads(settings.threads)
    head = {
        "benchmark": "operator",
        **asdict(settings),
        "isa": os.environ.get(ISA_VARIABLE, ""),
        "machine": machine_record(settings.device),
        "products_gflops": product_speeds(
            settings.device, DTYPES[settings.dtype], seconds=min(1.0, settings.seconds / 40)
        ),
    }
    for done, case in enumerate(cases):
        if progress:
            progress(done, len(cases), case.name)
        measure = _memory if case.kind == "memory" else _time
        record = {
            "case": case.name,
            "kind": case.kind,
            "backward": case.backward,
            "packed": case.packed,
            "size": case.size.values(),
            **head,
        }
        yield record | measure(case, settings)
    if progress:
        progress(len(cases), len(cases), "")


def _time(case: Case, settings: Settings) -> dict[str, Any]:
    size, dtype = case.size, DTYPES[settings.dtype]
    kind = {"seed": settings.seed, "device": settings.device, "dtype": dtype, "maps": settings.maps}
    inputs = make_inputs(size, **kind)
    ties = _ties(replace(size, form="average"), **kind)
    inputs = replace(inputs, grad_output=without_ties(inputs.grad_output, ties))
    packed = None
    if case.packed:
        packed = ops.pack_support(inputs.support.unsqueeze(0)).with_prefixes()
    contender = trovid_with(settings.backend, packed=packed)
    step = step_of(case.backward)

    against, agreement = check(step(contender, inputs, size), case, inputs, ties)
    timings = interleave(
        {
            RIVAL: lambda: step(run_rival, inputs, size),
            TROVID: lambda: step(contender, inputs, size),
        },
        device=settings.device,
        rounds=settings.rounds,
        budget=settings.seconds,
    )
    return {
        **timing_records(timings),
        "speedup": timings[RIVAL].minimum / timings[TROVID].minimum,
        "speedup_of_medians": timings[RIVAL].median / timings[TROVID].median,
        "equation_flops": equation_flops(size),
        "factored_flops": factored_flops(size),
        "agreement": {"against": against, **asdict(agreement), "passed": agreement.passed},
        "search": _search(contender, inputs, size),
    }


def _search(
    contender: Contender, inputs: OperatorInputs, size: OperatorSize
) -> dict[str, Any] | None:
    """How the native backend searched, as `native.last_search` says; None where others compute."""
    native.last_search.directions = -1
    with torch.no_grad():
        contender(inputs, size)
    if native.last_search.directions < 0:
        return None
    return {"directions": native.last_search.directions, "share": native.last_search.share}


def check(
    results: Mapping[str, Tensor], case: Case, inputs: OperatorInputs, ties: Tensor
) -> tuple[str, Agreement]:
    """Holds trovid's results against the rival's; returns what they were held against, and how.

    In float32 that is the rival in float32. Where the two differ by more than they may, as the
    rounding of sums over very few positions or of large logits can make them, the rival in float64
    decides, and what may be is twice what the rival in float32 is off. In 16 bits it is the rival
    in float64, on the same rounded input, from the beginning.
    """
    dtype = inputs.features.dtype
    step, tolerance = step_of(case.backward), TOLERANCE[dtype]
    rival = step(run_rival, inputs, case.size) if dtype == torch.float32 else None
    if rival is not None:
        agreement = compare(results, rival, ties, tolerance)
        if agreement.passed:
            return "rival", agreement
    exact = step(run_rival, inputs.to(torch.float64), case.size)
    if rival is not None:
        own = compare(rival, exact, ties, tolerance).largest
        tolerance = max(tolerance, 2 * own) if own < LARGEST_OWN_ERROR else tolerance
    return "rival in float64", compare(results, exact, ties, tolerance)


@functools.lru_cache(maxsize=2)
def _ties(size: OperatorSize, seed: int, device: str, dtype: torch.dtype, maps: str) -> Tensor:
    """The ties do not depend on the form of the attention, so cases share them."""
    inputs = make_inputs(size, seed=seed, device=device, dtype=dtype, maps=maps)
    compute = torch.float64 if dtype != torch.float32 else torch.float32
    roi_features = torchvision.ops.roi_align(
        inputs.features.to(compute),
        [inputs.boxes.to(compute)],
        size.grid,
        1 / size.stride,
        size.sampling_ratio,
    )
    return near_ties(roi_features, inputs.support, size.top_k)


def _memory(case: Case, settings: Settings) -> dict[str, Any]:
    peaks = {
        name: memory_of(
            name,
            case.size,
            backward=case.backward,
            backend=settings.backend,
            threads=settings.threads,
            device=settings.device,
            dtype=settings.dtype,
            maps=settings.maps,
        )
        for name in (RIVAL, TROVID)
    }
    return {"extra_bytes": peaks, "share": peaks[TROVID] / peaks[RIVAL]}


def probe(settings: Settings) -> None:
    """Runs a tiny case, so that who cannot run says so before anything is measured.

    Raises:
        ValueError: If there is no such backend here, or it or the rival cannot compute in this
            precision.
    """
    torch.set_num_threads(settings.threads)
    tiny = OperatorSize(rois=2, frames=1, channels=32, height=9, width=9)
    inputs = make_inputs(tiny, device=settings.device, dtype=DTYPES[settings.dtype])
    trovid_with(settings.backend)(inputs, tiny)
    try:
        run_rival(inputs, tiny)
    except RuntimeError as error:
        if "not implemented for" not in str(error):
            raise
        raise OptionError(
            f"`dtype` {settings.dtype} cannot be timed on {settings.device}: torchvision "
            f"{torchvision.__version__} has no RoIAlign in it there, which the rival uses; "
            "leave it out"
        ) from error


def estimate(cases: Iterable[Case], settings: Settings) -> float:
    """An upper estimate of the seconds that the cases take, from the rival's arithmetic.

    Supposes that the rival computes at 40 GFLOP/s a thread, all in all, and thrice as long with
    a backward; on a GPU 2 TFLOP/s.
    """
    speed = 2e12 if settings.device.startswith("cuda") else 4e10 * settings.threads
    seconds = 5.0
    for case in cases:
        once = equation_flops(case.size) / speed * (3 if case.backward else 1)
        if case.kind == "memory":
            seconds += 15 + once
        else:
            rounds = min(settings.rounds, max(2, round(settings.seconds / max(once, 1e-9))))
            seconds += (rounds + 2) * once
    return seconds


def fitting(cases: Iterable[Case], maps: str) -> list[Case]:
    """The cases with the size that the maps have; without those that vary what cannot be varied.

    Raises:
        TrovidError: If there are no such maps, or no case is left.
    """
    cases = list(cases)
    found: dict[tuple[Any, ...], Case] = {}
    for case in cases:
        resized = replace(case, size=fitted(maps, case.size))
        if keeps_its_factor(case, resized.size):
            key = resized.size, resized.backward, resized.kind, resized.packed
            found.setdefault(key, resized)
    if cases and not found:
        size = fitted(maps, cases[0].size)
        raise OptionError(
            f"`maps` {maps} has T = {size.frames}, C = {size.channels}, map "
            f"{size.height}x{size.width}, and so no case {' or '.join(c.name for c in cases)}: "
            "name other cases"
        )
    return list(found.values())


def passed(record: dict[str, Any]) -> bool:
    """Whether a record's result was checked and found right; memory has nothing to check."""
    return record["kind"] == "memory" or record["agreement"]["passed"]
