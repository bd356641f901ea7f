"""How many files one call of the operator runs through."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import trovid
from tests.ops.compare import available
from trovid.ops import pack_support, temporal_roi_align

PACKAGE = Path(trovid.__file__).parent
FEATURES, SUPPORT = torch.rand(1, 8, 10, 12), torch.rand(1, 2, 8, 10, 12)
BOXES = [torch.tensor([[0.0, 0, 60, 60], [10, 10, 40, 50]])]


def files_run(function: Callable[[], object]) -> list[str]:
    """The files of trovid whose code a call runs, in the order in which they are entered."""
    found: dict[str, None] = {}

    def note(frame, event: str, _) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            found[path.relative_to(PACKAGE).as_posix()] = None

    function()  # what is loaded or compiled once is not part of the way
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return list(found)


def call(backend: str, support, backward: bool) -> None:
    features = FEATURES.clone().requires_grad_(backward)
    weight = torch.rand(8, 2, 3, 3, requires_grad=backward)
    output = temporal_roi_align(
        features, support, BOXES, 3, 1 / 8, 2, num_heads=4, weight=weight, backend=backend
    )
    if backward:
        output.sum().backward()


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("support", [SUPPORT, pack_support(SUPPORT)], ids=["maps", "packed"])
@pytest.mark.parametrize("backend", [available("native"), "direct", "auto"])
def test_at_most_five_files_to_the_kernel(monkeypatch, backend, support, backward):
    monkeypatch.delenv("TROVID_BACKEND", raising=False)
    files = files_run(lambda: call(backend, support, backward))
    direct = [file for file in files if "/direct/" in file]
    if direct:  # where the native library, if there is one, only transposes the maps
        before = files[: files.index(direct[0])]
        assert direct[0].endswith("/direct/backend.py"), files
        assert len([file for file in before if "/cpp/" not in file]) <= 4, files
    else:
        assert len(files) <= 5, files
    assert all(len((PACKAGE / file).read_text().splitlines()) < 400 for file in files)
