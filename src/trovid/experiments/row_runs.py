"""Rows of one model over some videos: each frame is encoded once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trovid.datasets.reading import read_dataset
from trovid.experiments.description import Row
from trovid.experiments.scoring import save_detections
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.storage.hashes import sha256_of
from trovid.structures import Detections, DetectOptions, SupportSampling
from trovid.video.opening import VideoReader

LOWEST_SCORE = 0.01
FRAMES_AT_ONCE, PIXELS_AT_ONCE = 256, 2**25
"""Bounds on the encoded frames of a video that are held for all rows; a longer or larger video is
run row by row."""


@dataclass(frozen=True, kw_only=True)
class RowsJob:
    """Some rows of one model over some videos of a data set.

    Attributes:
        weights: The model.
        data: The data set, as `read_dataset` takes it.
        rows: The rows.
        files: For each row where its detections go.
        first: Number of the first video.
        count: Number of videos.
        every: Every how many labelled frames is evaluated.
        device: Where to run.
    """

    weights: Path
    data: Path
    rows: tuple[Row, ...]
    files: tuple[Path, ...]
    first: int
    count: int
    every: int
    device: str = "cpu"


def run_rows(job: RowsJob) -> None:
    """Runs the rows over the videos and writes what each found, one file a row."""
    dataset = read_dataset(job.data, split="val")
    models = [row_model(job.weights, row, job.device) for row in job.rows]
    found: list[dict[str, list[Detections]]] = [{} for _ in job.rows]
    for video in dataset.videos[job.first : job.first + job.count]:
        targets = dataset.labelled_frames(video.name)[:: job.every].tolist()
        with dataset.open(video.name) as reader:
            for by_video, frames in zip(found, run_video(models, reader, targets), strict=True):
                by_video[video.name] = frames
    for row, file, videos in zip(job.rows, job.files, found, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        head = {"weights": sha256_of(job.weights), "options": row.options(), "every": job.every}
        save_detections(file, videos, head)


RowModel = tuple[Predictor, DetectOptions]
"""A row's model and its resolved options."""


def row_model(weights: Path, row: Row, device: str = "cpu") -> RowModel:
    """The model of a row and its resolved options."""
    predictor = load(weights, device=device, temporal=row.temporal)
    if row.top_k is not None:
        for detector in (predictor.detector, predictor.running):
            detector.roi_features.extractor.top_k = row.top_k
    score = min(LOWEST_SCORE, predictor.recipe.inference.score)
    options = predictor.options(support=row.support, seq_nms=row.seq_nms, score=score)
    return predictor, options


def run_video(
    models: Sequence[RowModel],
    reader: VideoReader,
    targets: Sequence[int],
    *,
    frames_at_once: int = FRAMES_AT_ONCE,
) -> Iterator[list[Detections]]:
    """For each model what it finds in the target frames of a video.

    Args:
        models: Rows of one model: what depends on support frames alone is the same for all.
        reader: The video.
        targets: Indices of the target frames in rising order.
        frames_at_once: With more support frames than these each model runs by itself.
    """
    wanted = {i for model in models for i in _support_frames(model, reader, targets)}
    pixels = reader.video.height * reader.video.width * len(wanted)
    if not wanted or len(wanted) > frames_at_once or pixels > PIXELS_AT_ONCE:
        yield from (_alone(model, reader, targets) for model in models)
        return
    encoder = max((predictor for predictor, _ in models), key=_held)
    bank = encoder.encode(reader.read(sorted(wanted)))
    for model in models:
        if model[1].seq_nms or not _sampled(model):
            yield _alone(model, reader, targets)
        else:
            predictor, options = model
            runs = predictor.run(reader, frames=targets, options=options, encoded=bank)
            yield [found for _, found in runs]


def _held(predictor: Predictor) -> tuple[bool, int]:
    """How much of a support frame a model needs."""
    detector = predictor.running
    return detector.uses_support, len(detector.searched_levels)


def _sampled(model: RowModel) -> SupportSampling | None:
    """How a model's support frames are chosen; None where it has none."""
    predictor, options = model
    sampling = SupportSampling.parse(str(options.support))
    return sampling if predictor.running.uses_support and sampling.count else None


def _support_frames(model: RowModel, reader: VideoReader, targets: Sequence[int]) -> set[int]:
    sampling = _sampled(model)
    if sampling is None or model[1].seq_nms:
        return set()
    number = reader.video.num_frames
    return {i for target in targets for i in sampling.indices(number, target)}


def _alone(model: RowModel, reader: VideoReader, targets: Sequence[int]) -> list[Detections]:
    """By the model's own way through the video."""
    predictor, options = model
    if not options.seq_nms:
        return list(predictor.detect(reader, frames=targets, options=options))
    everything = predictor.detect(reader, options=options)
    chosen = set(targets)
    return [found for found in everything if found.frame_index in chosen]
