"""Two installations of trovid in turns: the same work, timed in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trovid.benchmarks.formatting import format_seconds
from trovid.benchmarks.machine import machine_record
from trovid.benchmarks.timing import interleave, timing_records
from trovid.errors import TrovidError

HERE, THERE = "here", "there"
TOLERANCE = 1e-3
"""Of the largest value; a near tie may let two exact versions choose another cell."""
BF16_TOLERANCE = 2**-6
"""bfloat16 through a backbone is within it, where one version computes in it and one in float32."""
UNEQUAL = 1e-2
"""Share of the values that may differ by more than that."""
HEAD = ("here", "there", "ratio", "spreads", "unequal", "work")


@dataclass(frozen=True)
class Job:
    """A piece of work that both installations do.

    Attributes:
        name: In tables.
        request: As the worker takes it: `kind` and what belongs to it.
    """

    name: str
    request: Mapping[str, Any]

    @property
    def tolerance(self) -> float:
        """How far a value may differ, as a share of the largest of its tensor."""
        return BF16_TOLERANCE if self.request.get("precision") == "bf16" else TOLERANCE


class Installation:
    """An installation of trovid, in a process that waits for work; a context manager.

    Args:
        python: Its interpreter.
        threads: torch's and OpenMP's.

    Raises:
        TrovidError: If the interpreter cannot be run, or trovid fails in it.
    """

    def __init__(self, python: Path, threads: int) -> None:
        self.python, self.threads = python, threads
        worker = Path(__file__).with_name("installation_worker.py").read_text(encoding="utf-8")
        # A pipe would be full some time, and hold the process up.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [str(python), "-c", worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
        except OSError as error:
            self._complaints.close()
            raise TrovidError(f"{python}: cannot be run ({error.strerror}); check it") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def prepare(self, job: Job) -> list[list[float]]:
        """Makes ready and runs once; returns the numbers of the result."""
        return self._ask({**job.request, "threads": self.threads})

    def run(self) -> float:
        """Seconds of one more run."""
        return self._ask("run")

    def _ask(self, request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self._process.communicate()
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip().splitlines()
            raise TrovidError(f"{self.python}: {said[-1] if said else 'ended without a word'}")
        return json.loads(line)


def run_against(
    jobs: Sequence[Job], python: Path, *, threads: int, rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """One record a job, ready for JSON.

    Args:
        jobs: The work.
        python: The interpreter of the other installation.
        threads: Of both.
        rounds: At most so many timed runs of each.
        seconds: Timed runs of a job stop after these, but not before the second round.

    Raises:
        TrovidError: If one of the installations fails.
    """
    for job in jobs:
        with ExitStack() as stack:
            installations = {
                HERE: stack.enter_context(Installation(Path(sys.executable), threads)),
                THERE: stack.enter_context(Installation(python, threads)),
            }
            # The other one first, which is the one that may fail.
            results = {name: installations[name].prepare(job) for name in (THERE, HERE)}
            timings = interleave(
                {name: one.run for name, one in installations.items()},
                rounds=rounds,
                budget=seconds,
                clock=lambda run: run(),
            )
        unequal = share_unequal(results[HERE], results[THERE], job.tolerance)
        yield {
            "benchmark": "against",
            "case": job.name,
            "against": str(python),
            "threads": threads,
            "machine": machine_record(),
            **timing_records(timings),
            "ratio": timings[HERE].minimum / timings[THERE].minimum,
            "tolerance": job.tolerance,
            "unequal": unequal,
            "passed": unequal <= UNEQUAL,
        }


def share_unequal(
    here: Sequence[Sequence[float]],
    there: Sequence[Sequence[float]],
    tolerance: float = TOLERANCE,
) -> float:
    """The share of values that differ by more than `tolerance` of the largest of their tensor."""
    if [len(values) for values in here] != [len(values) for values in there]:
        return 1.0
    total = wrong = 0
    for tensor, other in zip(here, there, strict=True):
        bound = tolerance * max((abs(value) for value in other), default=0.0)
        wrong += sum(not abs(a - b) <= bound for a, b in zip(tensor, other, strict=True))
        total += len(tensor)
    return wrong / max(total, 1)


def against_rows(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Times of the fastest runs, how many times as long it takes here, values that differ."""
    return [
        [
            format_seconds(record["minimum"][HERE]),
            format_seconds(record["minimum"][THERE]),
            f"{record['ratio']:.2f}",
            f"{record['spread'][HERE]:.0%}, {record['spread'][THERE]:.0%}",
            f"{record['unequal']:.2%}" + ("" if record["passed"] else " WRONG"),
            record["case"],
        ]
        for record in records
    ]
