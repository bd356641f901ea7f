"""`trovid info`: what a video really holds, before anything is detected in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from trovid.cli.detect_summary import DONE, DONE_WITH_LOSSES, NOTHING_DONE
from trovid.cli.frame_rate import FALLBACK_RATE, check_frame_rate
from trovid.cli.messages import complain, print_record
from trovid.errors import TrovidError, printable, without_password

if TYPE_CHECKING:
    from trovid.video.info import VideoInfo

MEGABYTE = 1e6


def info(
    *videos: str | Path,
    frame_rate: float = FALLBACK_RATE,
    allow_playlist: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what videos really hold: streams, size, rotation, frame rate, frames, damage.

    Each file is decoded once from beginning to end: the frames counted are those that every
    other command sees, whatever the container states.

    Exit status: 0 all whole; 1 some damaged or not readable (a line names each); 2 none readable.

    Examples:
        trovid info street.mp4
        trovid info *.mp4 frames/ --json

    Args:
        videos: Video files, images, folders of images, folders of these, patterns in quotes,
            http(s) addresses of files.
        frame_rate: Frames per second of folders of images, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        json: Print everything as JSON.
    """
    from trovid.runs.jobs import find_inputs
    from trovid.video.fetched import is_web_address
    from trovid.video.info import video_info
    from trovid.video.live import is_live

    if not videos:
        raise TrovidError("info: name at least one video file or folder of images")
    check_frame_rate(frame_rate)
    found: list[VideoInfo] = []
    failures: list[dict[str, str]] = []
    for word in map(str, videos):
        try:
            for source in find_inputs(word):
                if is_live(source) and not is_web_address(source):
                    raise TrovidError(f"{source}: a stream has no end; name a file")
                info = video_info(source, frame_rate=frame_rate, allow_playlist=allow_playlist)
                found.append(info)
                if not json:
                    print(_page(info))
        except BrokenPipeError:
            raise
        except (TrovidError, OSError) as error:
            reason = str(error) if isinstance(error, TrovidError) else f"{word}: {error.strerror}"
            complain(reason)
            failures.append({"source": without_password(word), "error": without_password(reason)})
    damaged = any(info.problems for info in found)
    status = NOTHING_DONE if not found else DONE_WITH_LOSSES if failures or damaged else DONE
    if json:
        record = {"status": status, "videos": [asdict(info) for info in found]}
        print_record(record | {"failures": failures})
    return status


def _page(info: VideoInfo) -> str:
    rows = [
        ("container", f"{info.container}, {info.bytes / MEGABYTE:.1f} MB"),
        *((f"stream {s.index}", _stream(asdict(s))) for s in info.streams),
        ("size", f"{info.width}x{info.height}{_rotation(info)}"),
        ("frame rate", _rate(info)),
        ("duration", f"{info.duration:.3f} s{_start(info.start)}{_stated_seconds(info)}"),
        ("frames", f"{info.frames}{_stated_frames(info)}"),
        *(("damage", problem) for problem in info.problems or ("none",)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [info.source, *(f"  {name.ljust(width)}  {text}" for name, text in rows)]
    return "\n".join(map(printable, lines))


def _stream(stream: dict[str, Any]) -> str:
    words = [f"{stream['kind']}, {stream['codec']}", stream["description"]]
    return ", ".join(word for word in words if word) + ("  (read)" if stream["read"] else "")


def _rotation(info: VideoInfo) -> str:
    mirrored = ", mirrored top to bottom" if info.mirrored else ""
    turned = f", turned by {info.rotation} degrees counter-clockwise" if info.rotation else ""
    return mirrored + turned


def _rate(info: VideoInfo) -> str:
    if not info.frame_rate:
        return "unknown"
    if not info.variable_frame_rate:
        return f"{info.frame_rate:.3f}, constant"
    return (
        f"{info.frame_rate:.3f} on average, variable: "
        f"{info.shortest_step:.4f} to {info.longest_step:.4f} s between frames"
    )


def _start(seconds: float) -> str:
    return f" from {seconds:.3f} s on" if seconds else ""


def _stated_seconds(info: VideoInfo) -> str:
    stated = info.stated_duration
    return "" if stated is None else f" (the container states {stated:.3f} s)"


def _stated_frames(info: VideoInfo) -> str:
    if info.stated_frames is None:
        return " decode"
    return f" decode (the container states {info.stated_frames})"
