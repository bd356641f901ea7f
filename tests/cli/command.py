"""One run of the command line in this process, and a stdout that is full."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

from trovid.cli.main import main


class FullStream(io.StringIO):
    """A stream on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def trovid_command(capsys, *words: str | Path) -> tuple[int, str, list[str]]:
    """Exit status, stdout, and the complaints among the lines of stderr."""
    with pytest.raises(SystemExit) as exited:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    complaints = [line for line in captured.err.splitlines() if line.startswith("trovid: ")]
    return exited.value.code, captured.out, complaints
