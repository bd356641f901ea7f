"""torch imported without looking for garbage, torchvision without torch's compiler.

Both take longer than all the rest of the imports.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LARGE = "torch"
WANTING = "torchvision.ops.roi_align"
"""The file that asks for one function of the compiler, to call it in a case on a GPU."""
WANTED, FUNCTION = "torch._dynamo.utils", "is_compile_supported"


def quicken_imports() -> None:
    """From now on torch is imported in one go, and its compiler when it is first needed.

    Only while torchvision's RoIAlign is imported, a module stands in the compiler's place that
    holds the function it asks for. Another torchvision, without such a file, is imported as ever.
    """
    if LARGE not in sys.modules:
        sys.meta_path.insert(0, _Finder(LARGE, _uncollected))
    if WANTING not in sys.modules and WANTED not in sys.modules:
        sys.meta_path.insert(0, _Finder(WANTING, _without_compiler))


@contextmanager
def _uncollected() -> Generator[None]:
    """What is made in it stays to the end: garbage is not looked for in it, now or later."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def _without_compiler() -> Generator[None]:
    if WANTED in sys.modules:
        yield
        return
    stand_in = ModuleType(WANTED)
    setattr(stand_in, FUNCTION, _is_compile_supported)
    stand_in.__getattr__ = _of_the_compiler
    sys.modules[WANTED] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(WANTED) is stand_in:
            del sys.modules[WANTED]


def _is_compile_supported(device_type: str) -> bool:
    return getattr(importlib.import_module(WANTED), FUNCTION)(device_type)


def _of_the_compiler(name: str) -> Any:
    """Whatever else a torchvision to come asks for: from the compiler, imported at once."""
    if name.startswith("__"):
        raise AttributeError(name)
    sys.modules.pop(WANTED, None)
    return getattr(importlib.import_module(WANTED), name)


class _Finder(MetaPathFinder):
    """Finds one module, once, and has it run in a context."""

    def __init__(self, wanted: str, context: Callable[[], AbstractContextManager]) -> None:
        self._wanted, self._context = wanted, context

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._wanted:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_in_context(module: ModuleType) -> None:
            with self._context():
                run(module)

        spec.loader.exec_module = run_in_context
        return spec
