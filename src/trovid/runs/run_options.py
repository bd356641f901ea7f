"""What is asked for when a video is run: frames, classes, score, support."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from trovid.errors import TrovidError
from trovid.inference.predictor import Predictor
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import VideoReader


@dataclass(frozen=True)
class RunOptions:
    """The options of one run over videos.

    Attributes:
        score: Lowest score that is kept, 0..1.
        classes: Names of the classes that are kept; None for all.
        support: Support frames; None for the model's own.
        nms: IoU above which the lower of two boxes of a class goes; None for the model's own.
        class_agnostic_nms: Whether boxes of different classes suppress each other too.
        max_detections: Detections a frame at most; None for the model's own.
        seq_nms: Whether suppression follows sequences of boxes through the whole video.
        start: Seconds of the video before the first target frame.
        end: Seconds of the video at which no more frames are taken; None for its end.
        stride: Every how many frames is a target frame.
        online: Whether support comes from past frames and `lookahead` future ones alone.
        lookahead: Future frames that may serve when online.

    Raises:
        TrovidError: If a value is out of range.
    """

    score: float = 0.5
    classes: tuple[str, ...] | None = None
    support: str | None = None
    nms: float | None = None
    class_agnostic_nms: bool = False
    max_detections: int | None = None
    seq_nms: bool = False
    start: float = 0.0
    end: float | None = None
    stride: int = 1
    online: bool = False
    lookahead: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise TrovidError(f"--score must lie in 0..1, but is {self.score}")
        if self.nms is not None and not 0 <= self.nms <= 1:
            raise TrovidError(f"--nms must lie in 0..1, but is {self.nms}")
        if self.max_detections is not None and self.max_detections < 1:
            raise TrovidError(f"--max-detections must be at least 1, but is {self.max_detections}")
        if self.seq_nms and self.online:
            raise TrovidError("--seq-nms needs the whole video, --online has not: give one of them")
        if self.stride < 1:
            raise TrovidError(f"--stride must be at least 1, but is {self.stride}")
        if not self.start >= 0:
            raise TrovidError(f"--start must not be negative, but is {self.start}")
        if self.end is not None and not self.end > self.start:
            raise TrovidError(f"--end must lie after --start ({self.start} s), but is {self.end} s")
        if self.lookahead < 0:
            raise TrovidError(f"--lookahead must not be negative, but is {self.lookahead}")
        if self.lookahead and not self.online:
            raise TrovidError("--lookahead belongs to --online; give both or none")
        if self.support is not None:
            SupportSampling.parse(self.support)

    def targets(self, reader: VideoReader) -> Sequence[int]:
        """Indices of the target frames.

        Raises:
            TrovidError: If there is none between start and end.
        """
        times = reader.times
        first = bisect_left(times, self.start) if self.start else 0
        last = len(times) if self.end is None else bisect_left(times, self.end)
        if first >= last:
            end = times[-1] if len(times) else 0.0
            hint = "" if end else "; give the folder's --frame-rate"
            raise TrovidError(
                f"{reader.source}: no frame lies in the time asked for, "
                f"the last one is at {end:.2f} s; change --start or --end{hint}"
            )
        return range(first, last, self.stride)

    def keywords(self) -> dict[str, Any]:
        """The arguments of `Predictor.run`, but for the frames."""
        names = {field.name for field in fields(self)} - {"start", "end", "stride"}
        return {name: getattr(self, name) for name in names}

    def head(self, predictor: Predictor) -> dict[str, Any]:
        """All values in force, as the head of the results states them."""
        inference = predictor.recipe.inference
        return {
            **asdict(self),
            "classes": None if self.classes is None else list(self.classes),
            "support": self.support or inference.support,
            "nms": inference.nms if self.nms is None else self.nms,
            "max_detections": self.max_detections or inference.max_detections,
            "precision": predictor.precision,
        }


def seconds(text: str) -> float:
    """Seconds of a time written as 12.5, 1:30 or 1:02:03.5.

    Raises:
        TrovidError: If it is written otherwise.

    Example:
        >>> seconds("12.5"), seconds("1:30"), seconds("1:02:03.5")
        (12.5, 90.0, 3723.5)
    """
    total = 0.0
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or not all(0 <= part < float("inf") for part in parts):
            raise ValueError
        for part in parts:
            total = 60 * total + part
    except ValueError:
        raise TrovidError(
            f"the time {text!r} is not understood: write seconds (12.5) or minutes:seconds (1:30)"
        ) from None
    return total
