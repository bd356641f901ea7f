"""The command `trovid`, also as `python -m trovid`: Ctrl-C is one line from the first import on."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress


def main() -> None:
    """Runs the command line, see `trovid.cli.main.main`."""
    try:
        from trovid.cli.main import main as run

        run()
    except KeyboardInterrupt:
        with suppress(OSError, AttributeError):
            sys.stderr.write("trovid: interrupted\n")
        sys.exit(130)
    finally:
        _leave_nothing_to_interrupt()


def _leave_nothing_to_interrupt() -> None:
    """All is done, and from now on Ctrl-C ends Python, which would else print where it was."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
