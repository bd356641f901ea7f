"""What tests need beside the package: where it is missing they are skipped, in CI they fail."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def need_package(name: str) -> None:
    """That a package of the `dev` extra is there."""
    if importlib.util.find_spec(name) is None:
        _missing(f"the package {name} (pip install --editable '.[dev]')")


def need_chromium() -> str:
    """The browser's command."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    _missing("Chromium (apt-get install chromium; .ci/run does it)")
    raise AssertionError


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"without {what}")
