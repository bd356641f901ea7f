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
    from trovid.video.info import VideoFacts

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
            http(s) addresses of video files.
        frame_rate: Frames per second of folders of images, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        json: Print everything as JSON.
    """
    from trovid.runs.jobs import find_inputs
    from trovid.video.fetched import is_web_address
    from trovid.video.info import video_facts
    from trovid.video.live import is_live

    if not videos:
        raise TrovidError("info: name at least one video file or folder of images")
    check_frame_rate(frame_rate)
    found: list[VideoFacts] = []
    failures: list[dict[str, str]] = []
    for word in map(str, videos):
        try:
            for source in find_inputs(word):
                if is_live(source) and not is_web_address(source):
                    raise TrovidError(f"{source}: a stream has no end; name a file")
                facts = video_facts(source, frame_rate=frame_rate, allow_playlist=allow_playlist)
                found.append(facts)
                if not json:
                    print(_page(facts))
        except BrokenPipeError:
            raise
        except (TrovidError, OSError) as error:
            reason = str(error) if isinstance(error, TrovidError) else f"{word}: {error.strerror}"
            complain(reason)
            failures.append({"source": without_password(word), "error": without_password(reason)})
    damaged = any(facts.problems for facts in found)
    status = NOTHING_DONE if not found else DONE_WITH_LOSSES if failures or damaged else DONE
    if json:
        record = {"status": status, "videos": [asdict(facts) for facts in found]}
        print_record(record | {"failures": failures})
    return status


def _page(facts: VideoFacts) -> str:
    rows = [
        ("container", f"{facts.container}, {facts.bytes / MEGABYTE:.1f} MB"),
        *((f"stream {s.index}", _stream(asdict(s))) for s in facts.streams),
        ("size", f"{facts.width}x{facts.height}{_rotation(facts)}"),
        ("frame rate", _rate(facts)),
        ("duration", f"{facts.duration:.3f} s{_start(facts.start)}{_stated_seconds(facts)}"),
        ("frames", f"{facts.frames}{_stated_frames(facts)}"),
        *(("damage", problem) for problem in facts.problems or ("none",)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [facts.source, *(f"  {name.ljust(width)}  {text}" for name, text in rows)]
    return "\n".join(map(printable, lines))


def _stream(stream: dict[str, Any]) -> str:
    words = [f"{stream['kind']}, {stream['codec']}", stream["description"]]
    return ", ".join(word for word in words if word) + ("  (read)" if stream["read"] else "")


def _rotation(facts: VideoFacts) -> str:
    mirrored = ", mirrored top to bottom" if facts.mirrored else ""
    turned = f", turned by {facts.rotation} degrees counter-clockwise" if facts.rotation else ""
    return mirrored + turned


def _rate(facts: VideoFacts) -> str:
    if not facts.frame_rate:
        return "unknown"
    if not facts.variable_frame_rate:
        return f"{facts.frame_rate:.3f}, constant"
    return (
        f"{facts.frame_rate:.3f} on average, variable: "
        f"{facts.shortest_step:.4f} to {facts.longest_step:.4f} s between frames"
    )


def _start(seconds: float) -> str:
    return f" from {seconds:.3f} s on" if seconds else ""


def _stated_seconds(facts: VideoFacts) -> str:
    stated = facts.stated_duration
    return "" if stated is None else f" (the container states {stated:.3f} s)"


def _stated_frames(facts: VideoFacts) -> str:
    if facts.stated_frames is None:
        return " decode"
    return f" decode (the container states {facts.stated_frames})"
