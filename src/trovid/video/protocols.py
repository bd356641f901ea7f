"""A file opened as a file: no protocol by its name, no playlist by what is in it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import av
from av.container import InputContainer

from trovid.errors import TrovidError

PLAYLISTS = frozenset(
    ("applehttp", "concat", "dash", "hls", "imf", "lavfi", "rtsp", "sdp", "webm_dash_manifest")
)
"""FFmpeg's formats of text that names other files or addresses, which are read in its place."""
BEGINNINGS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat version": "a list of files to join",
    b"v=0": "a description of a stream (SDP)",
    b"<?xml": "a manifest",
    b"<MPD": "a manifest (DASH)",
}
PATIENCE = 10.0
"""Seconds without any data after which what a playlist names counts as gone."""
READ_ONCE = {"max_reload": "1", "live_start_index": "0"}
"""FFmpeg's HLS reader would else ask again and again what was added since."""


def ffmpeg_name(path: Path) -> str:
    """A file's name as FFmpeg takes it, which reads a protocol in `12:30.mp4`.

    Example:
        >>> ffmpeg_name(Path("/a/12:30.mp4"))
        '/a/12:30.mp4'
    """
    return os.path.abspath(path)


def open_file(path: Path, *, allow_playlist: bool = False) -> InputContainer:
    """Opens a file for reading.

    Args:
        path: The file.
        allow_playlist: Whether it may be a playlist, for which other files are read.

    Raises:
        TrovidError: If it is a playlist and may not be one, or one without an end.
        OSError: FFmpegError or another one, if it cannot be opened.
    """
    if allow_playlist:
        return _open_playlist(path)
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, what in BEGINNINGS.items():
        if head.startswith(beginning):
            raise TrovidError(
                f"{path}: {what}, which names other files to be read in its place: name the video "
                "itself, or give `allow_playlist`"
            )
    return av.open(
        ffmpeg_name(path),
        container_options={"format_whitelist": _formats()},
        metadata_errors="replace",
    )


def _open_playlist(path: Path) -> InputContainer:
    container = av.open(
        ffmpeg_name(path), container_options=READ_ONCE, timeout=PATIENCE, metadata_errors="replace"
    )
    if "hls" in container.format.name.split(",") and container.duration is None:
        container.close()
        raise TrovidError(
            f"{path}: names no end (#EXT-X-ENDLIST), as a playlist does that is still being "
            "written; wait until it is whole, or add that line"
        )
    return container


@cache
def _formats() -> str:
    """All formats but playlists."""
    names = {name for entry in av.formats_available for name in entry.split(",")}
    return ",".join(sorted(names - PLAYLISTS))
