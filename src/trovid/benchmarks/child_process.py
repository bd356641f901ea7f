"""A measurement in a process of its own: what it holds is then nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def run_module(
    module: str, job: Mapping[str, Any], *, threads: int, what: str, **environment: str
) -> Any:
    """Runs a module with a job, in a new process that inherits the environment.

    Args:
        module: A module that takes a job as JSON as its argument, and writes its result as JSON
            in its last line.
        job: What is to be done.
        threads: OpenMP's.
        what: What is measured, for the message of an error.
        environment: More variables.

    Returns:
        The result.

    Raises:
        RuntimeError: If the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(job)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), **environment},
    )
    if done.returncode:
        last = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"{what} failed: {last}")
    return json.loads(done.stdout.splitlines()[-1])
