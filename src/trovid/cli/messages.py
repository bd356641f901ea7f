"""What commands say on stderr, and to programs on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

DEBUG_VARIABLE = "TROVID_DEBUG"


def complain(message: str) -> None:
    """One line on stderr; with `--debug` the error being handled follows with its place."""
    print("trovid: " + " ".join(message.split()), file=sys.stderr)
    if os.environ.get(DEBUG_VARIABLE) and sys.exc_info()[0] is not None:
        traceback.print_exc()


def print_record(record: Any) -> None:
    """One JSON value on stdout, which is what `--json` prints."""
    print(json.dumps(record, indent=1))
