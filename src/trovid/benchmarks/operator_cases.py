"""The cases of the operator's benchmark, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from trovid.benchmarks.inputs import OperatorSize
from trovid.errors import TrovidError

PAPER = OperatorSize()
QUICK = OperatorSize(rois=6, frames=2, channels=32, height=12, width=16)
FACTORS: dict[str, tuple[int, ...] | tuple[tuple[int, int], ...]] = {
    "rois": (1, 30, 300, 1000),
    "frames": (1, 4, 14, 30),
    "channels": (64, 256, 512, 2048),
    "map": ((10, 10), (20, 32), (38, 63), (75, 125)),
    "top_k": (1, 2, 4, 8),
}
"""What is varied, one factor at a time around the paper's size."""

Kind = Literal["time", "memory"]


@dataclass(frozen=True)
class Case:
    """One row of the report.

    Attributes:
        name: Its name on the command line and in files.
        size: The size of the problem.
        backward: Forward and backward, or forward alone.
        kind: What is measured.
        packed: Whether trovid's support maps are prepared before, as for all frames of a video but
            the first. The rival has no such form.
    """

    name: str
    size: OperatorSize
    backward: bool = False
    kind: Kind = "time"
    packed: bool = False


def paper_cases(base: OperatorSize = PAPER) -> list[Case]:
    """The three forms at the paper's size, forward and with the backward, and their memory."""
    dense, average = replace(base, form="dense"), replace(base, form="average")
    return [
        Case("forward-grouped", base),
        Case("forward-grouped-packed", base, packed=True),
        Case("forward-dense", dense),
        Case("forward-average", average),
        Case("training-grouped", base, backward=True),
        Case("training-dense", dense, backward=True),
        Case("memory-forward-grouped", base, kind="memory"),
        Case("memory-forward-dense", dense, kind="memory"),
        Case("memory-training-grouped", base, backward=True, kind="memory"),
        Case("memory-training-dense", dense, backward=True, kind="memory"),
    ]


def scaling_cases(base: OperatorSize = PAPER) -> list[Case]:
    """Grouped forward with one factor changed; the unchanged size is `forward-grouped`."""
    cases = []
    for factor, values in FACTORS.items():
        for value in values:
            size = _changed(base, factor, value)
            if size != base:
                cases.append(Case(f"{factor}-{_word(value)}", size))
    return cases


def quick_cases() -> list[Case]:
    """All kinds of case at a size that takes a moment: shows that the benchmark works."""
    return [
        *(case for case in paper_cases(QUICK) if case.kind == "time"),
        Case("memory-forward-grouped", QUICK, kind="memory"),
        Case("rois-1", replace(QUICK, rois=1)),
        Case("top_k-1", replace(QUICK, top_k=1)),
    ]


def all_cases() -> list[Case]:
    """The whole benchmark."""
    return [*paper_cases(), *scaling_cases()]


def chosen_cases(cases: list[Case], names: tuple[str, ...]) -> list[Case]:
    """Those of the names given, or where there is none so, whose names begin so; all without names.

    Raises:
        TrovidError: If a name fits no case.
    """
    for name in names:
        if not any(case.name.startswith(name) for case in cases):
            known = ", ".join(case.name for case in cases)
            raise TrovidError(f"no case {name!r}; there are {known}")
    exact = {case.name for case in cases}
    return [
        case
        for case in cases
        if not names
        or any(
            case.name == name or (name not in exact and case.name.startswith(name))
            for name in names
        )
    ]


def factor_of(name: str) -> tuple[str, str] | None:
    """The factor and its value that a scaling case's name spells, else None."""
    factor, _, value = name.partition("-")
    return (factor, value) if factor in FACTORS else None


def keeps_its_factor(case: Case, size: OperatorSize) -> bool:
    """Whether the case's name is true of another size too: what it varies is the same there."""
    factor = (factor_of(case.name) or ("", ""))[0]
    names = ("height", "width") if factor == "map" else (factor,) if factor else ()
    return all(getattr(case.size, name) == getattr(size, name) for name in names)


def _changed(base: OperatorSize, factor: str, value: int | tuple[int, int]) -> OperatorSize:
    if isinstance(value, tuple):
        return replace(base, height=value[0], width=value[1])
    return replace(base, **{factor: value})


def _word(value: int | tuple[int, int]) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)
