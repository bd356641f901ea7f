"""Short memory, said in one line with what lowers the need."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from trovid.errors import TrovidError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
MEMORY_ERRORS = (torch.OutOfMemoryError, MemoryError, RuntimeError)
"""What short memory may be raised as."""
LESS_MEMORY = (
    "fewer support frames need less (`support` uniform:4), so do fewer videos at once and a recipe "
    "of smaller image size; `device` cpu uses the computer's own memory"
)
"""The cure where a video is run."""


def memory_errors(
    cure: str,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Makes a function's errors of short memory a TrovidError.

    Args:
        cure: What lowers the need, as the error says it.
    """

    def wrap(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def guarded(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            try:
                return function(*arguments, **options)
            except MEMORY_ERRORS as error:
                if is_short_memory(error):
                    raise TrovidError(f"out of memory: {cure}") from error
                raise

        return guarded

    return wrap


def is_short_memory(error: Exception) -> bool:
    """Whether one of `MEMORY_ERRORS` says so; the CPU's allocator raises a plain RuntimeError."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    text = str(error).lower()
    return isinstance(error, kinds) or "allocate memory" in text or "out of memory" in text
