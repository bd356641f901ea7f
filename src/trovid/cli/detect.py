"""`trovid detect`: objects in video files and folders of frames."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import trovid
from trovid.cli.messages import complain
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.data.video_io import VideoReader
    from trovid.inference.predictor import Predictor
    from trovid.structures import Video

DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
SHORTEST_FRAME = 0.001
FALLBACK_RATE = 25.0
LOWEST_RATE, HIGHEST_RATE = 0.01, 1000.0


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    source: Path
    json: Path
    video: Path | None


@dataclass(frozen=True)
class Result:
    """What came of a job."""

    job: Job
    frames: int
    detections: int
    seconds: float


def detect(
    *videos: Path,
    out: Path = Path("trovid-detect"),
    model: str = "synthvid-selsa-troi",
    score: float = 0.5,
    support: str | None = None,
    nms: float | None = None,
    class_agnostic_nms: bool = False,
    max_detections: int | None = None,
    seq_nms: bool = False,
    video: bool = True,
    frame_rate: float = FALLBACK_RATE,
    device: str = "auto",
    precision: Literal["float32", "bf16", "fp16"] = "float32",
) -> int:
    """Find objects in videos: annotated MP4 and JSON.

    For each VIDEO, OUT receives NAME.mp4, the video with boxes, classes and scores, and NAME.json,
    the same as numbers: for each frame its time and its detections with class, score and box
    (x1 y1 x2 y2 in pixels). Videos may be of any length: memory does not grow with it.

    The default model knows the 20 pictograms of the built-in benchmark SynthVID and nothing else.

    Exit status: 0 all done; 1 a video failed or is damaged (a line names it), the others are done;
    2 nothing done.

    Examples:
        trovid detect street.mp4
        trovid detect *.mp4 frames/ --out results --score 0.3
        trovid detect long.mkv --model mine.safetensors --no-video --support uniform:30

    Args:
        videos: Video files, or folders of images (in the order of the numbers in their names).
        out: Folder for the results; made where absent.
        model: Name of a model that comes with trovid, or a weights file.
        score: Lowest score that is kept.
        support: Frames that support each other: uniform:14, consecutive:6, stride:8x26; by
            default the model's own.
        nms: IoU above which the lower of two boxes of a class goes; by default the model's own.
        class_agnostic_nms: Let boxes of different classes suppress each other too.
        max_detections: Detections a frame at most; by default the model's own.
        seq_nms: Suppress along sequences of boxes through the whole video (Seq-NMS), so that sure
            boxes lift unsure ones of the same object; a video is then gone through twice.
        video: Whether to write the annotated video.
        frame_rate: Frames per second of folders, which do not know it.
        device: Where to run: auto (the GPU where there is one), cpu, cuda, cuda:1, mps.
        precision: Of the convolutions: bf16 is faster where the processor knows it; fp16 needs a
            GPU.
    """
    _check(videos, score, support, frame_rate)
    choice = {
        "support": support,
        "score": score,
        "nms": nms,
        "class_agnostic_nms": class_agnostic_nms,
        "max_detections": max_detections,
        "seq_nms": seq_nms,
    }
    readers, damaged = _open(videos, frame_rate)
    if not readers:
        return NOTHING_DONE
    predictor = trovid.load(model, device=device, precision=precision)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrovidError(
            f"{out}: cannot be made ({error.strerror}); choose another folder by --out"
        ) from error
    results = []
    for job, reader in zip(plan(list(readers), videos, out, video), readers.values(), strict=True):
        try:
            results.append(_run(predictor, reader, job, choice))
        except TrovidError as error:
            complain(str(error))
            damaged = True
        for problem in reader.problems:
            complain(problem)
            damaged = True
    for result in results:
        _print_result(result)
    if not results:
        return NOTHING_DONE
    return SOME_FAILED if damaged else DONE


def _check(videos: Sequence[Path], score: float, support: str | None, frame_rate: float) -> None:
    from trovid.data.sampling import SupportSampling

    if not videos:
        raise TrovidError("detect: name at least one video file or folder of frames")
    if not 0 <= score <= 1:
        raise TrovidError(f"--score must lie in 0..1, but is {score}")
    if not LOWEST_RATE <= frame_rate <= HIGHEST_RATE:
        raise TrovidError(
            f"--frame-rate must lie in {LOWEST_RATE}..{HIGHEST_RATE}, but is {frame_rate}"
        )
    if support is not None:
        SupportSampling.parse(support)


def _open(videos: Sequence[Path], frame_rate: float) -> tuple[dict[Path, VideoReader], bool]:
    """Readers of the inputs that can be read, and whether there are others, which are named."""
    from trovid.data.video_io import open_video

    readers: dict[Path, VideoReader] = {}
    failed = False
    for path in videos:
        try:
            readers[path] = open_video(path, frame_rate=frame_rate)
        except TrovidError as error:
            complain(str(error))
            failed = True
    return readers, failed


def plan(sources: Sequence[Path], inputs: Sequence[Path], out: Path, video: bool) -> list[Job]:
    """Names the results after the sources, so that none is another's or one of the inputs.

    Example:
        >>> jobs = plan([Path("a/clip.mp4"), Path("b/clip.avi")], [], Path("out"), False)
        >>> [job.json.name for job in jobs]
        ['clip.json', 'clip-2.json']
    """
    used = {str(path.resolve()).casefold() for path in inputs}
    jobs = []
    for source in sources:
        stem = source.resolve().name if source.is_dir() else source.stem
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}-{number}"
            files = [out / f"{name}.json", out / f"{name}.mp4"]
            keys = {str(file.resolve()).casefold() for file in files}
            if not keys & used:
                break
            number += 1
        used |= keys
        jobs.append(Job(source, files[0], files[1] if video else None))
    return jobs


def _run(predictor: Predictor, reader: VideoReader, job: Job, choice: dict[str, Any]) -> Result:
    from trovid.data.video_io import VideoWriter
    from trovid.inference.writers import JsonWriter
    from trovid.progress import bar
    from trovid.viz.drawing import draw

    began = time.monotonic()
    measures = reader.video
    stated = {name: value for name, value in choice.items() if value not in (None, False)}
    options = {"support": predictor.recipe.inference.support, **stated}
    frames = found = 0
    with ExitStack() as stack:
        tick = stack.enter_context(bar(job.source.name, unit="frames"))
        json = stack.enter_context(
            JsonWriter(
                job.json, model=predictor.name, class_names=predictor.class_names, options=options
            )
        )
        writer = None
        if job.video is not None:
            writer = stack.enter_context(
                VideoWriter(
                    job.video,
                    height=measures.height,
                    width=measures.width,
                    frame_rate=_rate(measures),
                )
            )
        json.begin_video(measures, job.source)
        shown_at = -math.inf
        for frame, detections in predictor.run(reader, **choice):
            json.write(detections)
            if writer is not None:
                shown_at = max(frame.time, shown_at + SHORTEST_FRAME)
                writer.write(draw(frame.image, detections), time=shown_at)
            frames, found = frames + 1, found + len(detections)
            tick(frames, measures.num_frames, f"{found} detections")
        json.end_video()
    return Result(job, frames, found, time.monotonic() - began)


def _rate(video: Video) -> float:
    return min(max(video.frame_rate or FALLBACK_RATE, LOWEST_RATE), HIGHEST_RATE)


def _print_result(result: Result) -> None:
    speed = result.frames / max(result.seconds, 1e-9)
    print(
        f"{result.job.source}: {result.frames} frames in {result.seconds:.1f} s "
        f"({speed:.1f} frames/s), {result.detections} detections"
    )
    for file in (result.job.video, result.job.json):
        if file is not None:
            print(f"  {file}")
