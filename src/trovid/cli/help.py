"""What `--help` shows: a command's docstring, its options with whole sentences, its examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cyclopts
from cyclopts import Parameter
from cyclopts.help import DefaultFormatter

SAID_EVERYWHERE = (
    "Every command takes --quiet (only what went wrong is said) and --debug (where an error came "
    "from)."
)


class HelpFormatter(DefaultFormatter):
    """The usual panels; a description that a docstring breaks into lines is one paragraph."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """Prints one panel."""
        from rich.text import Text

        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if isinstance(text, Text):
                entry.description.primary_renderable = Text(" ".join(text.plain.split()))
        super().__call__(console, options, panel)


def shown_default(value: object) -> str | None:
    """How a default is shown; nothing, a flag that is not set and an empty list are not."""
    return None if value is None or value is False or value == () else str(value)


SHOWING_DEFAULTS = Parameter(show_default=shown_default)


def describe(app: cyclopts.App, words: str, command: Callable) -> None:
    """Takes the help of a command from its function.

    Args:
        app: The command; gets usage, description and, after the list of options, examples.
        words: The words that run it, such as `trovid models show`.
        command: Its function.
    """
    body = (inspect.getdoc(command) or "").partition("\n\nArgs:")[0]
    description, _, examples = body.partition("\n\nExamples:")
    paragraphs = [
        text if "\n " in text else text.replace("\n", " ") for text in description.split("\n\n")
    ]
    app.help = "\n\n".join(paragraphs)
    app.help_epilogue = (f"Examples:{examples}\n\n" if examples else "") + SAID_EVERYWHERE
    app.usage = f"Usage: {words} {' '.join([*_places(command), '[OPTIONS]'])}"


def _places(command: Callable) -> list[str]:
    """What is given by its place, as the line of usage writes it."""
    places = []
    for name, parameter in inspect.signature(command).parameters.items():
        word = name.rstrip("_").upper()
        if parameter.kind is parameter.VAR_POSITIONAL:
            places.append(f"{word.removesuffix('S')}...")
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            needed = parameter.default is parameter.empty
            places.append(word if needed else f"[{word}]")
    return places
