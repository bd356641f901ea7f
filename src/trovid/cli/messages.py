"""What commands say on stderr, and to programs on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

DEBUG_VARIABLE = "TROVID_DEBUG"


def complain(message: str, error: BaseException | None = None) -> None:
    """One line on stderr; with `--debug` the error follows with its place.

    Args:
        message: What is wrong and what helps.
        error: Where it comes from; by default the error being handled.
    """
    print("trovid: " + " ".join(message.split()), file=sys.stderr)
    error = error or sys.exception()
    if os.environ.get(DEBUG_VARIABLE) and error is not None:
        traceback.print_exception(error)


def print_record(record: Any) -> None:
    """One JSON value on stdout, which is what `--json` prints."""
    print(json.dumps(record, indent=1))
