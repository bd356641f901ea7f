"""The command `trovid`: finds the subcommand, runs it, turns errors into one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout

import cyclopts
from rich.console import Console

from trovid import __version__
from trovid.allocator import keep_freed_memory
from trovid.cli.addresses import check_addresses
from trovid.cli.help import SAID_EVERYWHERE, SHOWING_DEFAULTS, HelpFormatter, describe
from trovid.cli.messages import DEBUG_VARIABLE, complain, name_options_of, speaking
from trovid.cli.quick_start import quicken_imports
from trovid.cli.signals import ended_in_order
from trovid.cli.streams import LostOutput, give_up_stdout, usable_streams
from trovid.errors import TrovidError, nearest
from trovid.progress import QUIET_VARIABLE

SUMMARIES = {
    "detect": "Find objects in videos: annotated MP4, JSON and CSV.",
    "info": "Say what a video really holds: streams, frame rate, frames, damage.",
    "segment": "Give every object in videos a mask and an identity: overlay MP4, JSON, PNG.",
    "blur": "Cover persons, cars and other classes in videos, also where they were missed.",
    "explain": "Draw where Temporal RoI Align found an object again in other frames.",
    "demo": "Compare a single-frame detector with Temporal RoI Align on built-in clips.",
    "evaluate": "Measure predictions, or a model, against labels.",
    "compare": "Say whether predictions B are better than A, with an interval.",
    "merge": "Make one file of the results of all shards.",
    "synthvid": "Write clips and labels of the built-in benchmark SynthVID.",
    "train": "Train a detector from a recipe.",
    "data": "Labelled videos: check, stats, split, convert, view.",
    "models": "Models: list, show.",
    "recipes": "Recipes: list, show, diff.",
    "weights": "Published weights: list, download, convert, verify, where.",
    "export": "Write a model as a file that other programs run: ONNX or torch.export.",
    "experiment": "Repeat the measured tables of the README.",
    "bench": "Measure speed and memory beside the rival's, with the result checked.",
    "completion": "Print the script by which a shell completes commands, options, files.",
}
ALONE: dict[tuple[str | None, str], tuple[tuple[str, ...], str | None]] = {
    ("detect", "--track"): (("iou", "embedding"), "iou"),
    ("segment", "--track"): (("iou", "embedding"), None),
    ("blur", "--track"): (("iou", "embedding"), None),
}
"""Options whose value may be left out: the values, and the one that is meant, or the default."""
COMPLETE = "__complete"
"""The word by which a shell's script asks what may come next."""

EXIT_NOTHING_DONE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
LONG = (
    "bench detect",
    "bench training",
    "bench video",
    "blur",
    "demo",
    "detect",
    "experiment",
    "segment",
    "train",
)
"""Commands that go through large tensors again and again, and for which freed memory is kept.

`evaluate` keeps it where it runs a model. `explain` and `export` look at a few frames once.
`bench operator` and `bench pyramid` measure the operator as it is in other programs, which do not
keep theirs.
"""
EVERYWHERE = {"--debug": DEBUG_VARIABLE, "--quiet": QUIET_VARIABLE}


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
        help_epilogue=f"`trovid COMMAND --help` explains a command. {SAID_EVERYWHERE}",
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        default_parameter=SHOWING_DEFAULTS,
        suppress_keyboard_interrupt=False,
    )
    for name, summary in SUMMARIES.items():
        if name != chosen:
            app.command(f"trovid.cli.{name}:{name}", name=name, help=summary)
            continue
        command = getattr(importlib.import_module(f"trovid.cli.{name}"), name)
        if isinstance(command, cyclopts.App):
            app.command(command)
            command.help_epilogue = f"{command.help_epilogue}\n\n{SAID_EVERYWHERE}"
            for action in command:
                if not action.startswith("-"):
                    function = command[action].default_command
                    describe(command[action], f"trovid {name} {action}", function)
        else:
            app.command(command, name=name)
            describe(app[name], f"trovid {name}", command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its status.

    Exit status: 0 done, 1 done with losses (which were named), 2 nothing done (or stdout could not
    be written), 128 + its number after a signal (130 interrupted), 141 where whoever read the
    output left early (as `head` does).

    Args:
        arguments: Words after `trovid`; those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [COMPLETE]:
        build_app()([*_wishes(given[:-1])[0], *given[-1:]])
    words, wishes = _wishes(given)
    chosen = next((word for word in words if not word.startswith("-")), None)
    with usable_streams(), _environment(wishes):
        quiet = bool(os.environ.get(QUIET_VARIABLE))
        silent = quiet and "--json" not in words
        with (
            open(os.devnull, "w") if silent else nullcontext(sys.stdout) as out,
            redirect_stdout(out),
            speaking(quiet=quiet),
            ended_in_order(),
        ):
            status = _status(chosen, words)
    sys.exit(status)


@contextmanager
def _environment(names: Iterable[str]) -> Generator[None, None, None]:
    """Sets these variables to 1, for this process and those it starts, and puts them back."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _wishes(arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """The words without those that every command knows, and the variables that these set."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    wishes = {EVERYWHERE[word] for word in words[:end] if word in EVERYWHERE}
    return [word for word in words[:end] if word not in EVERYWHERE] + words[end:], wishes


def _functions(command: cyclopts.App) -> Iterator[Callable]:
    """The functions of a command and of its actions."""
    for app in (command, *(command[name] for name in command if not name.startswith("-"))):
        if app.default_command is not None:
            yield app.default_command


def _completed(chosen: str | None, words: Sequence[str]) -> Iterator[str]:
    """The words with the values that may be left out.

    Raises:
        TrovidError: If the word after such an option is neither a value of it nor a video.
    """
    end = words.index("--") if "--" in words else len(words)
    for word, after in zip(words[:end], [*words[1:end], ""], strict=True):
        if (chosen, word) not in ALONE:
            yield word
            continue
        values, meant = ALONE[chosen, word]
        if after in values:
            yield word
        elif after and not after.startswith("-") and not _is_video(after):
            hint = nearest(after, values)
            raise TrovidError(f"{word} {after}: neither a value of {word} nor a file{hint}")
        elif meant is not None:
            yield from (word, meant)
    yield from words[end:]


def _is_video(word: str) -> bool:
    """Whether a word may name videos: a file, a folder, a pattern, an address or a camera."""
    other = "://" in word or "*" in word or word.partition(":")[0] == "webcam"
    return other or os.path.exists(word)


def _status(chosen: str | None, words: Sequence[str]) -> int:
    """Runs a command; errors that a user can mend become a line, others show where they are."""
    debug = bool(os.environ.get(DEBUG_VARIABLE))
    if chosen is not None and chosen not in SUMMARIES:
        complain(f"no command {chosen!r}{nearest(chosen, SUMMARIES)}")
        return EXIT_NOTHING_DONE
    try:
        if " ".join(words[:2]).startswith(LONG):
            keep_freed_memory()
        quicken_imports()
        app = build_app(chosen)
        if chosen is not None:
            check_addresses(chosen, words)
            name_options_of(_functions(app[chosen]))
        status = app(
            list(_completed(chosen, words)),
            exit_on_error=False,
            print_error=False,
            error_console=Console(stderr=True),
            result_action="return_value",
        )
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_stdout()
        return EXIT_BROKEN_PIPE
    except LostOutput as error:
        give_up_stdout()
        complain(str(error))
        return EXIT_NOTHING_DONE
    except TrovidError as error:
        if debug:
            raise
        complain(str(error))
        return EXIT_NOTHING_DONE
    except cyclopts.CycloptsError as error:
        if debug:
            raise
        help_words = "trovid --help" if chosen is None else f"trovid {chosen} --help"
        reason = str(error)
        if isinstance(error, cyclopts.UnusedCliTokensError):
            reason = f"not expected: {' '.join(error.unused_tokens or ())}"
        complain(f"{reason} (`{help_words}` lists what there is)")
        return EXIT_NOTHING_DONE
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}; choose another file or folder, or free space")
        return EXIT_NOTHING_DONE
    except MemoryError:
        if debug:
            raise
        complain("out of memory; smaller videos need less, and so does --support uniform:4")
        return EXIT_NOTHING_DONE
    except KeyboardInterrupt:
        if debug:
            raise
        complain("interrupted")
        return EXIT_INTERRUPTED
    return status if isinstance(status, int) else 0
