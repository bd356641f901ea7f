"""A video seen by a detector of single frames and by one with Temporal RoI Align."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trovid.errors import TrovidError
from trovid.inference import Predictor, load
from trovid.runs.batch import Batch, Result
from trovid.runs.jobs import find_inputs
from trovid.runs.predictions import read_frames
from trovid.runs.sinks.making import Pictures
from trovid.structures import DetectOptions
from trovid.structures.support_sampling import NO_SUPPORT
from trovid.zoo.default import DEFAULT_MODEL, DEFAULT_SINGLE

SHOWN_SCORE = 0.4
BESIDE = "single-frame"


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        video: The MP4: left single frames, right with the other frames, scores over time below.
        single: JSON of the detections in single frames.
        temporal: JSON of those with the other frames.
        frames: Frames of the video.
        detections: Detections in single frames and with the others.
        losses: One line for each thing that went wrong.
    """

    video: Path
    single: Path
    temporal: Path
    frames: int
    detections: tuple[int, int]
    losses: tuple[str, ...]


def load_pair(model: str, single: str | None) -> tuple[Predictor, Predictor]:
    """The single-frame detector and the temporal one.

    Args:
        model: The temporal one.
        single: The other; None for the default's own rival, or for the same model without its
            support frames where `model` is another one.
    """
    temporal = load(model)
    if single is None and model == DEFAULT_MODEL:
        single = DEFAULT_SINGLE
    return (temporal if single is None else load(single)), temporal


def compare_on_video(
    video: str,
    out: Path,
    pair: tuple[Predictor, Predictor],
    *,
    score: float = SHOWN_SCORE,
    show_progress: bool = True,
) -> Comparison:
    """Runs both over a video and draws them side by side, with a timeline.

    Args:
        video: See `open_video`.
        out: Folder of the results: NAME.mp4, NAME.json, and `single-frame`/NAME.json.
        pair: Of `load_pair`.
        score: Lowest score of a detection.
        show_progress: Whether bars are shown.

    Raises:
        TrovidError: If the video cannot be read, or a file not be written.
    """
    single, temporal = pair
    if len(find_inputs(video)) > 1:
        raise TrovidError(f"{video}: holds several videos; name one of them")

    def run(predictor: Predictor, options: DetectOptions, folder: Path, **how: object) -> Result:
        load_it: Callable[[], Predictor] = lambda: predictor  # noqa: E731
        batch = Batch(
            load=load_it,
            options=options,
            out=folder,
            overwrite=True,
            show_progress=show_progress,
            **how,  # ty: ignore[invalid-argument-type]
        )
        (result,) = batch.run([video])
        if result.job is None or result.outcome is None:
            raise TrovidError(result.losses[0])
        return result

    alone = run(single, DetectOptions(score=score, support=NO_SUPPORT), out / BESIDE)
    assert alone.job is not None
    assert alone.outcome is not None
    found = read_frames(alone.job.files["json"])[1]
    pictures = Pictures(timeline=True, beside={f"{BESIDE}: {single.name}": found})
    both = run(
        temporal, DetectOptions(score=score), out, kinds=("video", "json"), pictures=pictures
    )
    assert both.job is not None
    assert both.outcome is not None
    return Comparison(
        video=both.job.files.get("video") or both.job.files["picture"],
        single=alone.job.files["json"],
        temporal=both.job.files["json"],
        frames=both.outcome.frames,
        detections=(alone.outcome.detections, both.outcome.detections),
        losses=tuple(dict.fromkeys([*alone.losses, *both.losses])),
    )
