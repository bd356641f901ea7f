"""A signal at any moment of a command's work, in this process, where starting costs nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.fuzz.commands import BLUR, DETECT, SEGMENT, TRAIN
from tests.cli.fuzz.invariants import check_files
from tests.cli.fuzz.trials import CASES, SEED, Words, case_folder, run_here
from trovid.runs.predictions import read_document

CLIP = "clips/test/test_00000.mp4"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMMANDS: dict[str, Words] = {
    "detect": ["detect", CLIP, *DETECT],
    "segment": ["segment", CLIP, *SEGMENT, "--csv", "--end", "0.5"],
    "blur": ["blur", CLIP, *BLUR],
    "train": ["train", "longer.yaml", *TRAIN, "--steps", "8"],
}
INTERRUPTED = (1, 2, 130)


class Ended(BaseException):
    """A signal that nobody took care of has ended the program."""


class Moment:
    """Sends a signal to this process after some time of the processor.

    Args:
        number: The signal.
        after: Seconds.
        out: Where the command writes.

    Attributes:
        sent: Whether it was sent.
        begun: What the output folder held by then.
    """

    def __init__(self, number: int, after: float, out: Path) -> None:
        self.number, self.after, self.out = number, after, out
        self.sent, self.begun = False, ""

    @contextlib.contextmanager
    def armed(self, *, ignored: bool) -> Generator[None]:
        """While it lasts, the signal may come; what nobody takes care of raises `Ended`."""
        before = {
            signal.SIGVTALRM: signal.signal(signal.SIGVTALRM, self._send),
            signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        }
        for number in SIGNALS[1:]:
            before[number] = signal.signal(number, _ended)
        if ignored:
            before.setdefault(self.number, signal.getsignal(self.number))
            signal.signal(self.number, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_VIRTUAL, self.after)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            for number, earlier in before.items():
                signal.signal(number, earlier)

    def _send(self, number: int, frame: object) -> None:
        steps = any(self.out.glob("*.jsonl"))
        rows = any(path.stat().st_size for path in self.out.glob(".*.partial.csv"))
        self.begun = "training" if steps else "rows" if rows else ""
        self.sent = True
        os.kill(os.getpid(), self.number)


def _ended(number: int, frame: object) -> None:
    raise Ended(number)


@pytest.fixture(scope="module")
def durations(seeds, tmp_path_factory) -> dict[str, float]:
    """What each command takes of the processor, nobody disturbing it."""
    taken = {}
    for name, words in COMMANDS.items():
        with case_folder(seeds, tmp_path_factory.mktemp("whole") / "case") as case:
            began = time.process_time()
            assert run(words, case)[0] == 0
            taken[name] = time.process_time() - began
    return taken


def run(words: Words, case: Path) -> tuple[object, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(case)
        patch.setenv("TROVID_OFFLINE", "1")
        return run_here(*words)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_interrupted(seeds, durations, tmp_path, command):
    for number in range(CASES):
        rng = random.Random(f"{SEED}:interrupted:{command}:{number}")
        interrupted(command, seeds, durations[command], tmp_path, rng)


def interrupted(
    command: str, seeds: Path, duration: float, sandbox: Path, rng: random.Random
) -> None:
    """Files are whole, what was done is there, and a signal that was ignored stays so."""
    number, ignored = rng.choice(SIGNALS), rng.random() < 0.2
    with case_folder(seeds, sandbox / "case") as case:
        out = case / "out"
        moment = Moment(number, rng.uniform(0.05, 1) * duration, out)
        told = f"seed {SEED}: {number.name} after {moment.after:.2f} s: {COMMANDS[command]}"
        try:
            with moment.armed(ignored=ignored):
                status, said = run(COMMANDS[command], case)
        except Ended as ended:
            raise AssertionError(f"nobody took care of {told}") from ended
        told = f"{told}\n{said[:2000]}"
        expected = {0, *INTERRUPTED, 128 + number} if moment.sent and not ignored else {0}
        assert status in expected, f"status {status}: {told}"
        assert "Traceback" not in said, told
        check_files(out, cut_short=command == "blur" and status != 0)
        if moment.begun == "training":
            left = [path.suffix for path in out.glob("tiny-seed0.*")]
            assert {".checkpoint", ".safetensors"} & {*left}, f"steps are lost: {told}"
        elif moment.begun == "rows":
            (record,) = read_document(out / "test_00000.json")["videos"]
            assert record["frames"], f"frames are lost: {told}"
