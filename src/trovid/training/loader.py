"""The clips of one step after the other, drawn ahead by worker processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

import torch

from trovid.allocator import keep_freed_memory
from trovid.errors import TrovidError
from trovid.recipes import TrainingRecipe
from trovid.training.clips import TrainingClips
from trovid.training.drawn import DrawnClips

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

MOST_WORKERS = 4


def usual_workers(clips: TrainingClips) -> int:
    """None where all frames are quick to read, else one for two processor cores, up to four."""
    return 0 if clips.frames.stored else min(MOST_WORKERS, max(1, (os.cpu_count() or 1) // 2))


def drawn_clips(
    clips: TrainingClips,
    settings: TrainingRecipe,
    *,
    seed: int,
    steps: range,
    workers: int = 0,
    share: range | None = None,
) -> Generator[DrawnClips]:
    """The clips of each step in order, the same for any number of workers.

    Workers take the steps in turn. Each holds one step that is ready and waits until it is taken,
    so what is drawn ahead is bounded by their number. They end with the generator, after an error,
    and with the process that started them, however that ends.

    Args:
        clips: The training clips.
        settings: See `TrainingClips.draw`, as `seed` and `share`.
        seed: Of the training.
        steps: The steps wanted.
        workers: Number of processes; 0 draws in this one, when asked.
        share: Numbers of the clips of a step that are wanted; None for all.

    Raises:
        TrovidError: What was raised while drawing, here or in a worker; or if a worker ended.
    """
    if workers < 0:
        raise TrovidError(f"`workers` must be at least 0, but is {workers}")
    if not workers:
        for step in steps:
            yield clips.draw(settings, seed=seed, step=step, share=share)
        return
    context = _context()
    started = []
    try:
        for number in range(min(workers, len(steps))):
            receiver, sender = context.Pipe(duplex=False)
            job = (clips, settings, seed, steps[number::workers], share, sender)
            process = context.Process(target=_work, args=job, daemon=True)
            process.start()
            sender.close()
            started.append((process, receiver))
        for _, (process, receiver) in zip(steps, itertools.cycle(started), strict=False):
            try:
                drawn = receiver.recv()
            except (EOFError, OSError) as error:
                process.join()
                raise TrovidError(
                    f"a process that reads training frames ended with status {process.exitcode}; "
                    "if memory is short, fewer workers need less"
                ) from error
            if isinstance(drawn, BaseException):
                raise drawn
            yield drawn
    finally:
        for process, receiver in started:
            process.kill()
            receiver.close()
        for process, _ in started:
            process.join()


def _context() -> ForkServerContext | SpawnContext:
    """Workers are not forked from this process, which has threads; they share what imports hold.

    A server that imports this module and does nothing else forks them, where there can be one.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _work(
    clips: TrainingClips,
    settings: TrainingRecipe,
    seed: int,
    steps: range,
    share: range | None,
    results: Connection,
) -> None:
    """A worker: what each of its steps takes, or the error that ends it, goes into `results`."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the whole group gets them; the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    torch.set_num_threads(1)
    with suppress(BrokenPipeError):
        for step in steps:
            try:
                drawn = clips.draw(settings, seed=seed, step=step, share=share)
            except Exception as error:
                results.send(_portable(error))
                return
            results.send(drawn)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error itself where it can be sent, else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    if not isinstance(error, TrovidError):
        error.add_note("".join(traceback.format_exception(error)))
    return error
