"""The videos of a shard, each to a Parquet file with a marker; what is missing is done again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError
from trovid.inference.predictor import Predictor
from trovid.progress import bar
from trovid.runs.jobs import Job
from trovid.runs.parquet.reading import SAME_HEAD
from trovid.runs.parquet.rows import arrow
from trovid.runs.places import Place
from trovid.runs.provenance import results_head
from trovid.runs.shard import Shard
from trovid.runs.sinks.making import Pictures, Subject
from trovid.runs.sinks.parquet import ParquetSink
from trovid.runs.video_run import Outcome, VideoRun
from trovid.structures import DetectOptions
from trovid.video.file import VIDEO_NAME
from trovid.video.opening import open_video

DONE, FAILED = ".done", ".failed"
SHARDS = "_shards"
"""Folder in the results where each shard lists its videos."""


@dataclass(frozen=True)
class ShardResult:
    """What came of one video.

    Attributes:
        path: Of the video, relative to the input root.
        state: "done", "done before", "damaged" (something was wrong, and is kept), "failed" (the
            next run tries again) or "not done" (stopped before).
        frames: Frames in the file.
        detections: Detections in it.
        seconds: How long it took.
        problems: What was wrong, one line each.
    """

    path: str
    state: str
    frames: int = 0
    detections: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass
class ShardRun:
    """One process of many over the videos of a folder.

    For each video OUT receives PATH.parquet, whole or not at all, and then PATH.done; where a video
    fails, PATH.failed with the reason. The same command again does what has no PATH.done.

    Attributes:
        load: Gives the model; called when the first video needs it.
        options: What is asked for.
        root: Folder of all videos.
        out: Folder of the results.
        shard: This process's part.
        overwrite: Whether results that exist are made again.
        frame_rate: Frames per second of folders of images.
        stop: Is asked whether to stop.
        show_progress: Whether bars are shown.
    """

    load: Callable[[], Predictor]
    options: DetectOptions
    root: Place
    out: Place
    shard: Shard
    overwrite: bool = False
    frame_rate: float = 0.0
    stop: Callable[[], bool] = lambda: False
    show_progress: bool = False

    def run(self) -> Iterator[ShardResult]:
        """The results as the videos are done.

        Raises:
            TrovidError: If there is no video, the model cannot be loaded, or results of another
                model or options are there.
        """
        arrow()
        videos = self.root.videos()
        shard_videos = [path for path in videos if self.shard.holds(path)]
        predictor = self.load()
        options = predictor.options(self.options)
        head = results_head(predictor, options)
        digest = _digest(head, self.frame_rate)
        names = video_names(videos)
        listed = {
            "shard": str(self.shard),
            "videos": shard_videos,
            "of": len(videos),
            "run": digest,
        }
        self.out.write(f"{SHARDS}/{self.shard.index}-of-{self.shard.count}.json", _text(listed))
        for path in shard_videos:
            if self.stop():
                yield ShardResult(path, "not done", problems=("interrupted before it began",))
            elif self._is_done(path, digest):
                yield ShardResult(path, "done before")
            else:
                yield self._one(path, names[path], predictor, options, head, digest)

    def _is_done(self, path: str, digest: str) -> bool:
        text = self.out.read(path + DONE)
        if text is None or self.overwrite:
            return False
        marker = read_marker(text, f"{self.out}/{path}{DONE}")
        if marker.get("run") != digest:
            raise TrovidError(
                f"{self.out}/{path}{DONE}: was made with another model or other options; "
                "give those, `overwrite` or another `out`"
            )
        return self.out.exists(f"{path}.parquet")

    def _one(
        self,
        path: str,
        name: str,
        predictor: Predictor,
        options: DetectOptions,
        head: dict[str, Any],
        digest: str,
    ) -> ShardResult:
        self.out.remove(path + DONE)
        try:
            with self.root.local(path) as video, self.out.writing(f"{path}.parquet") as file:
                outcome = self._detect(path, name, video, file, predictor, options, head)
                problems = [self.root.named(text, path, video) for text in outcome.problems]
                if not outcome.complete and outcome.error is None:
                    raise _Stopped(f"{path}: stopped after {outcome.frames} frames")
        except _Stopped as error:
            return ShardResult(path, "not done", problems=(str(error),))
        except (TrovidError, OSError, MemoryError) as error:
            reason = str(error) or type(error).__name__
            self.out.write(path + FAILED, _text({"path": path, "error": reason, "run": digest}))
            return ShardResult(path, "failed", problems=(reason,))
        state = "damaged" if outcome.problems else "done"
        found = ShardResult(
            path,
            state,
            outcome.frames,
            outcome.detections,
            outcome.seconds,
            tuple(dict.fromkeys(problems)),
        )
        self.out.write(path + DONE, _text({**asdict(found), "run": digest}))
        self.out.remove(path + FAILED)
        return found

    def _detect(
        self,
        path: str,
        name: str,
        video: Path,
        file: Path,
        predictor: Predictor,
        options: DetectOptions,
        head: dict[str, Any],
    ) -> Outcome:
        source = open_video(video, frame_rate=self.frame_rate)
        job = Job(path, {"parquet": file})
        subject = Subject(job, source, head, options, Pictures())
        named = replace(source.video, name=name)
        run = VideoRun(subject, [ParquetSink(file, named, path, head)], stop=self.stop)
        batcher = predictor.batcher(options)
        try:
            progress = bar(path, unit="frames", shown=self.show_progress)
            run.begin(predictor, (), progress if self.show_progress else nullcontext(_quiet))
            while run.goes_on:
                (turn,) = batcher.next_frames([run.targets])
                run.take(turn)
            return run.finish()
        except BaseException:
            run.discard()
            raise


class _Stopped(Exception):
    """The wish to stop came within a video."""


def video_names(paths: Sequence[str]) -> dict[str, str]:
    """What videos are called in results: by the path of each its path without a video's suffix.

    Where two would be called alike, each is called by its whole path.

    Example:
        >>> video_names(["kitchen/P01.mp4", "cam.1"])
        {'kitchen/P01.mp4': 'kitchen/P01', 'cam.1': 'cam.1'}
        >>> video_names(["a.mp4", "a.mkv"])
        {'a.mp4': 'a.mp4', 'a.mkv': 'a.mkv'}
    """
    short = {p: p.rpartition(".")[0] if VIDEO_NAME.fullmatch(p) else p for p in paths}
    counts = Counter([*short.values(), *(path for path in paths if short[path] != path)])
    return {path: name if counts[name] == 1 else path for path, name in short.items()}


def read_marker(text: str, name: str) -> dict[str, Any]:
    """What a marker holds.

    Raises:
        TrovidError: If it is none.
    """
    try:
        marker = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrovidError(f"{name} is not JSON ({error}); remove it") from error
    if not isinstance(marker, dict):
        raise TrovidError(f"{name} must hold an object; remove it")
    return marker


def _digest(head: Mapping[str, Any], frame_rate: float) -> str:
    """16 hexadecimal digits that tell one model with its options from another."""
    same = {**{key: head[key] for key in SAME_HEAD}, "frame_rate": frame_rate}
    return sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1) + "\n"


def _quiet(done: int, total: int, detail: str = "", /) -> None:
    pass
