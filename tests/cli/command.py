"""One run of the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from trovid.cli.main import main


def trovid_command(capsys, *words: str | Path) -> tuple[int, str, list[str]]:
    """Exit status, stdout, and the complaints among the lines of stderr."""
    with pytest.raises(SystemExit) as exited:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    complaints = [line for line in captured.err.splitlines() if line.startswith("trovid: ")]
    return exited.value.code, captured.out, complaints
