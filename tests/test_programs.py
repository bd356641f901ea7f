"""Programs in processes of their own, which the tests start and wait for."""

from __future__ import annotations

import os
import signal
from subprocess import TimeoutExpired

import pytest

from tests.programs import run_program, start_program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts Python as anybody does")


def test_a_program_has_its_words_variables_folder_and_end(tmp_path):
    code = "import os, sys; print(*sys.argv, *os.environ, os.getcwd()); sys.exit('no')"
    done = run_program(code, ["a b", tmp_path], environment={"ONE": "1"}, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "no\n")
    assert done.stdout == f"-c a b {tmp_path} ONE {tmp_path}\n"


def test_it_is_waited_for_no_longer_than_asked_and_others_go_on():
    slow = start_program("import time; print(1, flush=True); time.sleep(600)", leads=True)
    try:
        assert os.getpgid(slow.pid) == slow.pid != os.getpgid(0)
        with pytest.raises(TimeoutExpired):
            slow.communicate(timeout=0.05)
        assert run_program("print(2)").stdout == "2\n"
        assert slow.poll() is None
    finally:
        slow.kill()
    assert slow.wait() == slow.poll() == -signal.SIGKILL


def test_ctrl_c_interrupts_it():
    code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    done = run_program(code)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
