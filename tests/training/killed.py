"""Run as a program: trainings that are killed at random moments and started again.

    python killed.py FOLDER KILLS SEED

Half of the kills hit a training of one process, the other half one of two processes, mostly the
second of them. Every third waits for a checkpoint that is being written. Processes are forked from
this one, which has imported everything. Prints a JSON object a line: the kills, and whether each
training that came to its end left the bits of one that nobody disturbed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tests.training.shared_training import free_port, shared_recipe
from tests.training.tiny import TRANSFORM, tiny_dataset
from trovid.errors import TrovidError
from trovid.training.clips import TrainingClips
from trovid.training.loop import train
from trovid.training.processes import started_processes

STEPS = 10
PATIENCE = 120.0
"""Seconds after which a process that should end is taken for one that hangs."""


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        clips: What it learns.
        folder: Where its checkpoint and its digests are.
        processes: How many share it.
    """

    clips: TrainingClips
    folder: Path
    processes: int

    def start(self) -> list[int]:
        """The numbers of its processes."""
        port = str(free_port())
        return [self._fork(rank, port) for rank in range(self.processes)]

    def _fork(self, rank: int, port: str) -> int:
        number = os.fork()
        if number:
            return number
        status = 1
        try:
            if self.processes > 1:
                os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(self.processes)}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            self._run(rank)
            status = 0
        except TrovidError as error:
            (self.folder / f"said{rank}").write_text(str(error))
            status = 2
        finally:
            os._exit(status)

    def _run(self, rank: int) -> None:
        recipe = shared_recipe(steps=STEPS)
        with started_processes(torch.device("cpu")) as processes:
            trained = train(
                recipe,
                self.clips,
                seed=0,
                checkpoint=self.folder / "checkpoint",
                device="cpu",
                save_every=2,
                processes=processes,
            )
        digest = hashlib.sha256()
        for name, value in sorted(trained.detector.state_dict().items()):
            digest.update(name.encode() + value.numpy().tobytes())
        (self.folder / f"digest{rank}").write_text(digest.hexdigest())

    def digests(self) -> list[str]:
        """What the processes left."""
        return [(self.folder / f"digest{rank}").read_text() for rank in range(self.processes)]


def ended(number: int, seconds: float) -> int | None:
    """How a process ended; None where it did not in that time."""
    limit = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            return None
        time.sleep(0.005)


def whole(job: Job) -> list[str]:
    """Runs it to its end."""
    statuses = [ended(number, 10 * PATIENCE) for number in job.start()]
    assert statuses == [0] * job.processes, statuses
    return job.digests()


def saving(folder: Path) -> bool:
    with suppress(OSError):
        return any(".partial" in name for name in os.listdir(folder))
    return False


def disturbed(job: Job, victim: int, delay: float | None) -> dict[str, object]:
    """Starts it and kills a process after a delay, or while a checkpoint is being written."""
    numbers = job.start()
    limit = time.monotonic() + (PATIENCE if delay is None else delay)
    early: int | None = None
    while time.monotonic() < limit and early is None:
        if delay is None and saving(job.folder):
            break
        if delay is not None:
            time.sleep(max(0.0, limit - time.monotonic()))
        found, status = os.waitpid(numbers[victim], os.WNOHANG)
        early = os.waitstatus_to_exitcode(status) if found else None
    partial = saving(job.folder)
    if early is None:
        os.kill(numbers[victim], signal.SIGKILL)
        early = ended(numbers[victim], PATIENCE)
    others = {rank: number for rank, number in enumerate(numbers) if rank != victim}
    statuses = {rank: ended(number, PATIENCE) for rank, number in others.items()}
    for rank, number in others.items():
        if statuses[rank] is None:
            os.kill(number, signal.SIGKILL)
            ended(number, PATIENCE)
    return {
        "victim": victim,
        "saving": partial,
        "status": early,
        "others": list(statuses.values()),
        "left": saving(job.folder),
    }


def chain(clips: TrainingClips, folder: Path, processes: int, kills: int, chance: random.Random):
    """Kills and resumes; prints each kill, and each end with whether the bits are the same."""
    began = time.monotonic()
    (folder / "whole").mkdir(parents=True)
    wanted = whole(Job(clips, folder / "whole", processes))
    seconds = time.monotonic() - began
    job, number, done = Job(clips, folder / "0", processes), 0, 0
    job.folder.mkdir()
    while True:
        last = done == kills
        if not last:
            delay = None if done % 3 == 2 else chance.uniform(0, 0.7 * seconds)
            victim = 0 if processes == 1 or done % 5 == 4 else 1
            kill = disturbed(job, victim, delay)
            done += kill["status"] == -signal.SIGKILL
            print(json.dumps({"processes": processes, **kill}), flush=True)
        finished = all((job.folder / f"digest{rank}").exists() for rank in range(processes))
        if last or finished:
            found = job.digests() if finished else whole(job)
            print(json.dumps({"processes": processes, "same": found == wanted}), flush=True)
            if last:
                return
            number += 1
            job = replace(job, folder=folder / str(number))
            job.folder.mkdir()


def main(folder: Path, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    clips = TrainingClips(tiny_dataset(folder), TRANSFORM, cache=folder / "frames")
    chance = random.Random(seed)
    chain(clips, folder / "one", 1, kills // 2, chance)
    chain(clips, folder / "two", 2, kills - kills // 2, chance)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
