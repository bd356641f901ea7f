"""A model over a data set: the one way that evaluation and validation go.

Experiments whose rows share encoded frames, or whose frames are spoilt, are no single model over a
data set: they go video by video through `Predictor.run`, where support frames are chosen as here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from trovid.datasets.contract import Dataset
from trovid.datasets.video_places import check_length
from trovid.errors import OptionError
from trovid.inference.identities import video_tracker
from trovid.inference.predictor import Predictor
from trovid.progress import Tick
from trovid.structures import DetectOptions, SupportSampling, Video
from trovid.video.glance import glance
from trovid.video.reader import VideoReader

SupportSource = Literal["clip", "other clip", "target"]
"""Where support frames come from: the video itself; the next one; or the target frame in place of
each of them. The last two are controls."""


def run_dataset(
    predictor: Predictor,
    dataset: Dataset,
    *,
    every: int = 1,
    videos: int | None = None,
    names: Collection[str] | None = None,
    unlabelled: bool = False,
    at_once: int = 1,
    support_source: SupportSource = "clip",
    progress: Tick | None = None,
    options: DetectOptions | None = None,
    **changes: Any,
) -> Iterator[tuple[Video, Any]]:
    """Runs a model over the labelled frames of a data set, video after video.

    Frames that nobody labelled are read as support frames alone; with `seq_nms`, which links the
    boxes of one frame to those of the next, they are gone through too.

    Args:
        predictor: The model.
        dataset: The data set.
        every: Take every `every`-th labelled frame.
        videos: How many of the first videos; None for all.
        names: Only these of them; None for all.
        unlabelled: Take frames that nobody labelled too.
        at_once: Videos that are run at once and share the batch; their frames then come in turns.
        support_source: Where support frames come from; with another than "clip" videos are run one
            by one.
        progress: Called after a video with (videos done, videos in all, the video's name).
        options: See `Predictor.detect`.
        **changes: See `Predictor.detect`.

    Yields:
        A video and what was found in its next frame: Detections, or Candidates with
        `selection="candidates"`.

    Raises:
        TrovidError: If a video cannot be read or has fewer frames than its labels say, or an option
            does not fit.
    """
    wanted = predictor.options(options, **changes)
    asked = [v for v in dataset.videos[:videos] if names is None or v.name in names]
    whole = unlabelled or wanted.seq_nms
    frames = {video.name: _frames(dataset, video, every, whole) for video in asked}
    chosen = [video for video in asked if frames[video.name]]
    for video in chosen:
        source = dataset.source(video.name)
        if isinstance(source, Path) and source.is_file():
            check_length(source, glance(source).num_frames, video.num_frames)
    if support_source not in get_args(SupportSource):
        known = ", ".join(map(repr, get_args(SupportSource)))
        raise OptionError(f"`support_source` must be one of {known}, but is {support_source!r}")
    if support_source == "other clip" and len(chosen) == 1:
        raise OptionError("`support_source` 'other clip' needs at least two videos, but has one")
    at_once = at_once if support_source == "clip" else 1
    for start in range(0, len(chosen), at_once):
        group = chosen[start : start + at_once]
        if support_source == "clip":
            together = predictor.detect_together(
                [dataset.source(video.name) for video in group],
                frames=[frames[video.name] for video in group],
                options=wanted,
            )
            yield from ((group[number], found) for number, found in together)
        else:
            source = chosen[(start + 1) % len(chosen)] if support_source == "other clip" else None
            control = _control(predictor, dataset, group[0], frames[group[0].name], source, wanted)
            yield from ((group[0], found) for found in control)
        if progress:
            progress(start + len(group), len(chosen), group[-1].name)


def by_video(found: Iterable[tuple[Video, Any]]) -> dict[str, list[Any]]:
    """What `run_dataset` yields, by the video's name."""
    videos: dict[str, list[Any]] = {}
    for video, frame in found:
        videos.setdefault(video.name, []).append(frame)
    return videos


def _frames(dataset: Dataset, video: Video, every: int, whole: bool) -> Sequence[int]:
    if whole:
        return range(0, video.num_frames, every)
    return dataset.labelled_frames(video.name)[::every].tolist()


def _control(
    predictor: Predictor,
    dataset: Dataset,
    video: Video,
    frames: Sequence[int],
    source: Video | None,
    options: DetectOptions,
) -> Iterator[Any]:
    """A video with the support frames of another, or with each target frame in place of them."""
    assert options.support is not None
    sampling = SupportSampling.parse(options.support)
    with dataset.open(video.name) as reader:
        if source is None:
            yield from each_with_itself(predictor, reader, frames, options)
            return
        support = None
        if sampling.count:
            with dataset.open(source.name) as other:
                support = predictor.encode(other.read(sampling.indices(source.num_frames)))
        found = predictor.run(reader, frames=frames, support=support, options=options)
        yield from (detections for _, detections in found)


def each_with_itself(
    predictor: Predictor, reader: VideoReader, frames: Sequence[int], options: DetectOptions
) -> Iterator[Any]:
    """Target frames of a video, each in place of its support frames: a control.

    Args:
        predictor: The model.
        reader: The video.
        frames: Indices of the target frames in rising order.
        options: Resolved.
    """
    predictor.notice.say(reader)
    count = SupportSampling.parse(str(options.support)).count
    tracker = video_tracker(predictor, reader, options, ()) if options.track else None
    for frame in reader.walk(frames):
        encoded = [predictor.encode([frame])] * count
        support = encoded[0].cat(encoded) if encoded else None
        (found,) = predictor.detect_frames([frame], [support], options)
        yield found if tracker is None else tracker.update(found)
