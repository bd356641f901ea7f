"""A video seen by a detector of single frames and by one with Temporal RoI Align."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trovid.errors import TrovidError, without_password
from trovid.inference import Predictor, load
from trovid.runs.batch import Batch, Result
from trovid.runs.jobs import Job, find_inputs, jobs_for
from trovid.runs.predictions import is_own, read_frames
from trovid.runs.sinks.making import Pictures
from trovid.structures import DetectOptions
from trovid.structures.support_sampling import NO_SUPPORT
from trovid.zoo.default import DEFAULT_MODEL, DEFAULT_SINGLE

SHOWN_SCORE = 0.4
BESIDE = "single-frame"
KINDS = ("video", "json")
log = logging.getLogger("trovid")


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        video: The MP4: left single frames, right with the other frames, scores over time below; of
            a picture the PNG, without scores over time.
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
        model: The temporal one; a model of single frames gets Temporal RoI Align without training,
            and a line says so.
        single: The other; None for the default's own rival, or for the same model without its
            support frames where `model` is another one.
    """
    if single is None and model == DEFAULT_MODEL:
        single = DEFAULT_SINGLE
    plain = temporal = load(model)
    if plain.options().support == NO_SUPPORT:
        temporal = load(model, temporal="training-free")
        log.warning(
            "%s knows single frames alone: the other frames come by Temporal RoI Align without "
            "training (training-free)",
            plain.name,
        )
    return (plain if single is None else load(single)), temporal


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
        video: See `open_video`; a single picture is drawn as one.
        out: Folder of the results: NAME.mp4, NAME.json, and `single-frame`/NAME.json. Those of an
            earlier comparison are replaced.
        pair: Of `load_pair`.
        score: Lowest score of a detection.
        show_progress: Whether bars are shown.

    Raises:
        TrovidError: If the video cannot be read, a file not be written, or one is there that no
            earlier comparison wrote.
    """
    single, temporal = pair
    inputs = [without_password(word) for word in find_inputs(video)]
    if len(inputs) > 1:
        raise TrovidError(f"{video}: holds several videos; name one of them")
    (job,) = jobs_for(inputs, inputs, out, KINDS)
    _check_replaced(job, *jobs_for(inputs, inputs, out / BESIDE, ("json",)))

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
    pictures = Pictures(timeline="video" in job.files, beside={f"{BESIDE}: {single.name}": found})
    both = run(temporal, DetectOptions(score=score), out, kinds=KINDS, pictures=pictures)
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


def _check_replaced(job: Job, alone: Job) -> None:
    """That what is there was left by an earlier comparison, which has JSON files of both runs."""
    there = job.existing()
    written = [alone.files["json"], *([job.files["json"]] if there else ())]
    there += alone.existing()
    if there and not all(map(is_own, written)):
        raise TrovidError(f"{there[0]}: exists, and no earlier demo has left it; name another OUT")
