"""The command `trovid`: finds the subcommand, runs it, turns errors into one line."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence

import cyclopts
from rich.console import Console

from trovid import __version__
from trovid.cli.messages import DEBUG_VARIABLE, complain
from trovid.errors import TrovidError

SUMMARIES = {
    "detect": "Find objects in videos: annotated MP4 and JSON.",
    "demo": "Compare a single-frame detector with Temporal RoI Align on built-in clips.",
    "evaluate": "Measure predictions, or a model, against labels.",
    "synthvid": "Write clips and labels of the built-in benchmark SynthVID.",
    "train": "Train a detector from a recipe.",
    "models": "Models: list, show.",
    "recipes": "Recipes: list, show, diff.",
    "weights": "Published weights: list, download, convert, verify, where.",
    "export": "Write a model as a file that other programs run: ONNX or torch.export.",
    "experiment": "Repeat the measured tables of the README.",
    "bench": "Measure speed and memory beside the rival's, with the result checked.",
}
EXIT_NOTHING_DONE = 2
EXIT_INTERRUPTED = 130


def build_app(chosen: str | None = None) -> cyclopts.App:
    """The command-line application; a subcommand's module is imported only when it runs.

    Args:
        chosen: The subcommand that will run: its help is its own docstring with the examples
            instead of the summary.
    """
    app = cyclopts.App(
        name="trovid",
        version=__version__,
        help="Video object detection with Temporal RoI Align.",
        help_epilogue="`trovid COMMAND --help` explains a command; `--debug` before or after it "
        "shows where an error came from.",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, summary in SUMMARIES.items():
        if name != chosen:
            app.command(f"trovid.cli.{name}:{name}", name=name, help=summary)
            continue
        command = getattr(importlib.import_module(f"trovid.cli.{name}"), name)
        if isinstance(command, cyclopts.App):
            for action in command:
                if not action.startswith("-"):
                    texts = _help_texts(command[action].default_command)
                    command[action].help, command[action].help_epilogue = texts.values()
            app.command(command)
        else:
            app.command(command, name=name, **_help_texts(command))
    return app


def _help_texts(command: Callable) -> dict[str, str]:
    """What a command's help says before and after the list of options: its docstring."""
    body = (inspect.getdoc(command) or "").partition("\n\nArgs:")[0]
    description, _, examples = body.partition("\n\nExamples:")
    paragraphs = [
        text if "\n " in text else text.replace("\n", " ") for text in description.split("\n\n")
    ]
    return {
        "help": "\n\n".join(paragraphs),
        "help_epilogue": f"Examples:{examples}" if examples else "",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its status.

    Exit status: 0 done, 1 done with losses (which were named), 2 nothing done, 130 interrupted.

    Args:
        arguments: Words after `trovid`; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in words:
        os.environ[DEBUG_VARIABLE] = "1"
    debug = bool(os.environ.get(DEBUG_VARIABLE))
    words = [word for word in words if word != "--debug"]
    chosen = next((word for word in words if not word.startswith("-")), None)
    if chosen is not None and chosen not in SUMMARIES:
        near = difflib.get_close_matches(chosen, SUMMARIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SUMMARIES)}"
        complain(f"no command {chosen!r}; {hint}")
        sys.exit(EXIT_NOTHING_DONE)
    app = build_app(chosen)
    try:
        status = app(
            words,
            exit_on_error=False,
            print_error=False,
            error_console=Console(stderr=True),
            result_action="return_value",
        )
    except TrovidError as error:
        if debug:
            raise
        complain(str(error))
        sys.exit(EXIT_NOTHING_DONE)
    except cyclopts.CycloptsError as error:
        if debug:
            raise
        complain(f"{error} (`trovid --help` lists commands and options)")
        sys.exit(EXIT_NOTHING_DONE)
    except KeyboardInterrupt:
        if debug:
            raise
        complain("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
