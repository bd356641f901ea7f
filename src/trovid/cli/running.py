"""What commands that go through videos do alike: run them, name what went wrong, sum up."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trovid.cli.detect_summary import NOTHING_DONE, exit_status, print_json, print_table
from trovid.cli.messages import complain, say
from trovid.cli.signals import stop_wish
from trovid.errors import TrovidError
from trovid.progress import QUIET_VARIABLE
from trovid.zoo.default import DEFAULT_MODEL, DEFAULT_SUPPORT

if TYPE_CHECKING:
    from trovid.inference import Predictor
    from trovid.runs.batch import Batch
    from trovid.video.early_frames import First
    from trovid.video.file import FileReader
    from trovid.viz.window import Window


def check_videos(
    command: str,
    videos: Sequence[str | Path],
    *,
    overwrite: bool,
    resume: bool,
    batch: int,
    one_by_one: str | None,
) -> None:
    """That there is something to do, and that its options fit each other.

    Args:
        command: Its name.
        videos: What it shall run.
        overwrite: Whether results that exist are replaced.
        resume: Whether they are gone on from.
        batch: Videos at once.
        one_by_one: The option in force that goes through one video at a time.

    Raises:
        TrovidError: If not.
    """
    if not videos:
        raise TrovidError(f"{command}: name at least one video file or folder of frames")
    if overwrite and resume:
        raise TrovidError("--overwrite begins anew and --resume goes on: give one of them")
    if batch < 1:
        raise TrovidError(f"--batch must be at least 1, but is {batch}")
    if batch > 1 and one_by_one is not None:
        raise TrovidError(f"{one_by_one} goes through one video at a time: leave out --batch")


def introduce(predictor: Predictor) -> None:
    """Says in a line which classes a model knows that was taken without being named."""
    from trovid.inference.notice import classes_line

    if not os.environ.get(QUIET_VARIABLE):
        say(classes_line(predictor.name, predictor.class_names))


def known_support(model: str | Path, support: str | None) -> str | None:
    """A model's support frames as far as they are known before it is loaded.

    Args:
        model: Its name or weights file.
        support: Those that are asked for in place of its own.
    """
    return support or (DEFAULT_SUPPORT if model == DEFAULT_MODEL else None)


def window_for(show: bool) -> Window | None:
    """The window that --show asks for; where there can be none, a line says so and it goes on."""
    if not show:
        return None
    from trovid.viz.window import Window

    try:
        return Window()
    except TrovidError as error:
        say(f"{error}; the files are written as ever")
        return None


@contextmanager
def counted_ahead(
    videos: Sequence[str | Path], *, allow_playlist: bool, support: str | None
) -> Generator[dict[str, FileReader]]:
    """While it lasts, the first video's frames are counted, also while torch is imported.

    Args:
        videos: See `find_inputs`.
        allow_playlist: See `open_video`.
        support: The support frames, where they are known; those that serve every target frame are
            decoded before the others are counted.

    Yields:
        The open file by its word; nothing where that is no file. What is wrong with it is said in
        its turn.
    """
    from trovid.structures import SupportSampling
    from trovid.video.opening import FileReader, open_video

    word, begun = str(videos[0]), dict[str, FileReader]()
    first: First | None = None
    with suppress(TrovidError):  # of a word that means nothing the run itself tells
        sampling = None if support is None else SupportSampling.parse(support)
        if sampling is not None and not sampling.depends_on_target:
            first = sampling.indices
    with suppress(TrovidError, OSError, MemoryError):
        reader = open_video(word, allow_playlist=allow_playlist) if Path(word).is_file() else None
        if isinstance(reader, FileReader):
            begun[word] = reader
    try:
        for reader in begun.values():
            reader.count_ahead(first)
        yield begun
    finally:
        for reader in begun.values():
            reader.give_up()


def run_videos(batch: Batch, videos: Sequence[str | Path], *, json: bool) -> int:
    """Runs the videos; an interruption completes the files with what was done.

    Args:
        batch: How they are run.
        videos: See `find_inputs`.
        json: Whether the summary is JSON, and no bars are shown.

    Returns:
        The command's exit status.
    """
    results = []
    with stop_wish() as stop:
        runs = replace(batch, stop=stop, show_progress=not json)
        for result in runs.run([str(word) for word in videos]):
            results.append(result)
            for number, loss in enumerate(result.losses):
                complain(loss, None if number else result.error)
    status = exit_status(results)
    if json:
        print_json(results, status)
    elif status != NOTHING_DONE:
        print_table(results)
    return status
