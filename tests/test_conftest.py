"""What ends a test that would never end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HANGS = """
import signal, time

def test_passes():
    pass

def test_deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_wait_that_no_exception_reaches_ends_the_process_and_is_shown(tmp_path):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_hangs.py").write_text(HANGS)
    words = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "--timeout", "0.5", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=140,
    )
    assert done.returncode == 1, done.stdout
    assert "Timeout (0:00:00.750000)!" in done.stderr
    assert f'File "{tmp_path / "test_hangs.py"}", line 9 in test_deaf' in done.stderr
    assert "passed" not in done.stdout
