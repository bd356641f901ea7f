"""What commands say on stderr."""

from __future__ import annotations

import os
import sys
import traceback

DEBUG_VARIABLE = "TROVID_DEBUG"


def complain(message: str) -> None:
    """One line on stderr; with `--debug` the error being handled follows with its place."""
    print("trovid: " + " ".join(message.split()), file=sys.stderr)
    if os.environ.get(DEBUG_VARIABLE) and sys.exc_info()[0] is not None:
        traceback.print_exc()
