"""Videos with some classes covered: looked at once to find objects, once more to cover them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

from trovid.errors import OptionError, TrovidError
from trovid.inference.predictor import Predictor
from trovid.recipes import TrackingRecipe
from trovid.recipes.heads import with_tracking
from trovid.redaction.options import Redaction
from trovid.redaction.sink import RedactionSink
from trovid.runs.batch import Batch, Result
from trovid.runs.sinks.making import Subject
from trovid.runs.sinks.video import FALLBACK_RATE
from trovid.structures import DetectOptions
from trovid.video.blanking import BlankingReader

KINDS = ("video", "report", "json")
LOWEST_SCORE = 0.3
"""Lower than that of `detect`: here a miss costs more than a false box."""
NO_CLASSES_OF_FACES = ("face", "plate")


def redaction_batch(
    load: Callable[[], Predictor],
    *,
    out: Path,
    options: DetectOptions,
    redaction: Redaction,
    **running: Any,
) -> Batch:
    """How videos are run and covered; NAME.mp4, NAME.md and NAME.json come of each.

    Args:
        load: Gives the model.
        out: Folder of the results.
        options: What is looked for: `classes` must be named.
        redaction: What is covered, and how.
        **running: `overwrite`, `resume`, `frame_rate`, `allow_playlist`, `stop`, `show_progress`
            of `Batch`.

    Raises:
        OptionError: If no class is named, or frames are left out.
    """
    if not options.classes:
        raise OptionError("`classes` must name what is to be covered, such as person,car")
    if options.online or options.stride != 1:
        raise OptionError(
            "every frame is covered, and only of a whole video: no `online`, `stride`"
        )

    def checked() -> Predictor:
        predictor = load()
        check_model(predictor, options.classes or (), redaction)
        return without_loss(predictor)

    def sinks(subject: Subject, batch: Batch) -> Sequence[RedactionSink]:
        how = {"stop": batch.stop, "show_progress": batch.show_progress}
        return [RedactionSink(subject, redaction, **how)]

    masks = redaction.by == "mask"
    usual = None if masks else "iou"
    return Batch(
        load=checked,
        options=replace(options, masks=masks, track=options.track or usual, continue_score=1.0),
        segment=masks,
        out=Path(out),
        kinds=KINDS,
        opened=BlankingReader,
        sinks=sinks,
        stated=asdict(redaction),
        **running,
    )


def redact(
    videos: str | PathLike[str] | Sequence[str | PathLike[str]],
    predictor: Predictor,
    *,
    classes: Sequence[str],
    out: str | Path = "trovid-blur",
    redaction: Redaction | None = None,
    options: DetectOptions | None = None,
    overwrite: bool = False,
    resume: bool = False,
    frame_rate: float = FALLBACK_RATE,
) -> list[Result]:
    """Covers objects of some classes in videos, with gaps filled; writes what `trovid blur` does.

    Args:
        videos: Video files or folders of images, one or several.
        predictor: The model, from `trovid.load`.
        classes: Names of what is covered.
        out: Folder of NAME.mp4, NAME.md and NAME.json.
        redaction: What is covered, and how.
        options: See `DetectOptions`; its score is 0.3 where it says none.
        overwrite: Whether results that exist are replaced.
        resume: Whether they are gone on from.
        frame_rate: Frames per second of folders of images, which do not know it.

    Returns:
        For each video what came of it; `losses` says what went wrong, one line each.

    Raises:
        TrovidError: If a class is unknown, or the model has no masks where they are wanted.
        TypeError: If `classes` is a text.
    """
    single = isinstance(videos, str | PathLike)
    words = [str(videos)] if single else [str(word) for word in videos]
    wanted = replace(options or DetectOptions(), classes=classes)
    if wanted.score is None:
        wanted = replace(wanted, score=LOWEST_SCORE)
    batch = redaction_batch(
        lambda: predictor,
        out=Path(out),
        options=wanted,
        redaction=redaction or Redaction(),
        overwrite=overwrite,
        resume=resume,
        frame_rate=frame_rate,
    )
    return list(batch.run(words))


def without_loss(predictor: Predictor) -> Predictor:
    """The same model, whose tracker gives every detection an identity and leaves none out."""
    tracking = predictor.recipe.inference.tracking or TrackingRecipe()
    other = copy.copy(predictor)
    other.recipe = with_tracking(predictor.recipe, replace(tracking, repeated=False, same=1.0))
    return other


def check_model(predictor: Predictor, classes: Sequence[str], redaction: Redaction) -> None:
    """That a model can do what is asked for.

    Raises:
        TrovidError: If not: it has no masks, or does not know a class.
    """
    if redaction.by == "mask" and not predictor.detector.segments:
        raise TrovidError(
            f"{predictor.name} finds boxes alone: take `by` box, or a `model` with masks such as "
            "coco-mask-r50-fpn"
        )
    for name in classes:
        if name not in predictor.class_names and any(
            word in name.lower() for word in NO_CLASSES_OF_FACES
        ):
            raise TrovidError(
                f"{predictor.name} knows no class {name!r}: faces and number plates are no classes "
                "of it; cover the whole person or vehicle, or take a `model` trained on them"
            )
