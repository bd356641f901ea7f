"""torchvision imported without torch's compiler, which takes longer than all the rest of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WANTING = "torchvision.ops.roi_align"
"""The file that asks for one function of the compiler, to call it in a case on a GPU."""
WANTED, FUNCTION = "torch._dynamo.utils", "is_compile_supported"


def defer_compiler() -> None:
    """From now on torchvision's RoIAlign imports torch's compiler when it first needs it.

    Only while that one file is run, a module stands in the compiler's place that holds the
    function it asks for. Another torchvision, without such a file, is imported as ever.
    """
    if WANTING not in sys.modules and WANTED not in sys.modules:
        sys.meta_path.insert(0, _Finder())


def _is_compile_supported(device_type: str) -> bool:
    return getattr(importlib.import_module(WANTED), FUNCTION)(device_type)


def _of_the_compiler(name: str) -> Any:
    """Whatever else a torchvision to come asks for: from the compiler, imported at once."""
    if name.startswith("__"):
        raise AttributeError(name)
    sys.modules.pop(WANTED, None)
    return getattr(importlib.import_module(WANTED), name)


class _Finder(MetaPathFinder):
    """Finds the file, once, and has it run with the stand-in."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != WANTING:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None or WANTED in sys.modules:
            return spec
        run = spec.loader.exec_module

        def run_with_stand_in(module: ModuleType) -> None:
            stand_in = ModuleType(WANTED)
            setattr(stand_in, FUNCTION, _is_compile_supported)
            stand_in.__getattr__ = _of_the_compiler
            sys.modules[WANTED] = stand_in
            try:
                run(module)
            finally:
                if sys.modules.get(WANTED) is stand_in:
                    del sys.modules[WANTED]

        spec.loader.exec_module = run_with_stand_in
        return spec
