"""What the tests share lives to their end, and is not looked over for garbage again and again.

A test that waits longer than it may is failed by pytest-timeout, with an exception. Where none
reaches it, inside C or after the test has failed, the process ends and says where it stood.
"""

from __future__ import annotations

import faulthandler
import gc
import os
from collections.abc import Generator

import pytest

STDERR = pytest.StashKey[int]()
PATIENCE = 1.5
"""As a multiple of the time that the test may take."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The imports of all tests together are more than a million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keeps the stream that pytest's capturing takes away from the tests."""
    capturing = session.config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled():
        session.config.stash[STDERR] = os.dup(2)


def longest(item: pytest.Item) -> float:
    """Seconds after which the process ends; 0 where a test may take any time."""
    if not item.config.pluginmanager.hasplugin("timeout"):
        return 0.0
    marker = item.get_closest_marker("timeout")
    asked = item.config.getoption("timeout")
    if asked is None:
        asked = item.config.getini("timeout") or 0
    return PATIENCE * float(marker.args[0] if marker else asked)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def ended_in_time(item: pytest.Item) -> Generator[None, object, object]:
    """Of each part of a test: pytest itself lets go of the timer when a part has failed."""
    if seconds := longest(item):
        faulthandler.dump_traceback_later(seconds, exit=True, file=item.config.stash[STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = ended_in_time


def pytest_unconfigure() -> None:
    """Libraries look at the end of Python for what was not let go of."""
    gc.unfreeze()
