"""A video file's frames counted while a model looks at them already."""

from __future__ import annotations

from collections.abc import Callable

from trovid.progress import bar
from trovid.video.blanking import BlankingReader
from trovid.video.file import FileReader
from trovid.video.live import LiveStream
from trovid.video.reader import VideoReader

PATIENCE = 1.0
"""Seconds of counting after which a bar is shown."""
STEP = 0.1
Source = VideoReader | LiveStream


def begin_counting(
    source: Source, name: str, *, foresee: bool, stop: Callable[[], bool], show_progress: bool
) -> None:
    """Sees to it that a file's frames are counted, or foreseen while they are being counted.

    Args:
        source: The video; anything but a file knows its frames.
        name: What the bar calls it.
        foresee: Whether frames may be foreseen, where no picture may be blank; `turned_out_wrong`
            is to be asked then.
        stop: Is asked whether to give up.
        show_progress: Whether there is a bar.
    """
    file = _file_of(source)
    if file is None:
        return
    file.count_ahead()
    if file.counted(0):
        file.settle()
        return
    if (foresee and file is source and file.foresee()) or file.counted(PATIENCE):
        return
    with bar(f"reading {name}", unit="frames", shown=show_progress) as tick:
        while not file.counted(STEP) and not stop():
            if file.counting.frames:
                tick(file.counting.frames, file.counting.promised)


def turned_out_wrong(source: Source, *, wait: bool) -> bool:
    """Whether a file has other frames than were foreseen; then it is to be begun anew.

    Args:
        source: The video.
        wait: Whether to wait for the count; else it is false as long as nobody knows.
    """
    file = _file_of(source)
    if file is None or not file.foreseen or not (wait or file.counted(0)):
        return False
    right = file.as_foreseen()
    if right:
        file.settle()
    return not right


def end_counting(source: Source) -> None:
    """Leaves no thread that counts."""
    file = _file_of(source)
    if file is not None:
        file.give_up()


def _file_of(source: Source) -> FileReader | None:
    reader = source.reader if isinstance(source, BlankingReader) else source
    return reader if isinstance(reader, FileReader) else None
