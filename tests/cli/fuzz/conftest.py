"""What all fuzzing shares: whole files of every kind, and readable failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.fuzz.reports import made_readable
from tests.cli.fuzz.trials import SEED
from tests.cli.fuzz.whole_files import write_whole_files


@pytest.fixture(scope="session")
def seeds(tmp_path_factory) -> Path:
    """Whole files of every kind that trovid reads."""
    print(f"seed of the fuzz: {SEED}")
    return write_whole_files(tmp_path_factory.mktemp("seeds"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    made_readable(report)
    return report
