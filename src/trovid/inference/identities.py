"""The memory of a video's objects, new or as an interrupted run has left it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from trovid.inference.session import VideoSession
from trovid.structures import Detections, DetectOptions
from trovid.tracking import Tracker, make_tracker, resume

if TYPE_CHECKING:
    from trovid.inference.predictor import Predictor


def video_tracker(
    predictor: Predictor, source: Any, options: DetectOptions, earlier: Sequence[Detections]
) -> Tracker:
    """What remembers the objects of a video.

    Args:
        predictor: The model.
        source: The video, as `Predictor.detect` takes it.
        options: Resolved, with `track`.
        earlier: What an interrupted run has found in the frames before. The last of them are
            looked at once more, since their embeddings were not kept.
    """
    assert options.track is not None
    detector = predictor.detector
    settings = predictor.recipe.inference.tracking
    assert options.score is not None
    tracker = make_tracker(options.track, settings, learned=detector.embeds, score=options.score)
    if earlier:
        last = earlier[max(0, len(earlier) - tracker.patience) :]
        boxes = replace(options, masks=False, seq_nms=False)
        session = VideoSession(
            source,
            encode=predictor.encode,
            options=boxes,
            frames=[found.frame_index for found in last],
            single_frames=not detector.uses_support,
        )
        again = (
            predictor.detect_frames([target.frame], [target.support], boxes)[0]
            for target in islice(session, len(last))
        )
        resume(tracker, earlier, again)
        session.close()
    return tracker
