"""What is asked for when a detector is run over a video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

from trovid.errors import OptionError
from trovid.structures.support_sampling import NO_SUPPORT, SupportSampling
from trovid.structures.times import seconds

if TYPE_CHECKING:
    from trovid.recipes import InferenceRecipe

CONTINUE_SCORE = 0.2
"""See `DetectOptions.continue_score`."""


@dataclass(frozen=True, kw_only=True)
class DetectOptions:
    """Support frames, the choice of detections, and which frames are target frames.

    One object goes from the command line or from Python through every layer.

    Attributes:
        support: "uniform:14", "consecutive:6", "stride:8x26"; "14" is "uniform:14"; None for the
            recipe's.
        target_among_support: Whether a target frame that is a support frame stays among them and
            every target frame is also its own last support frame (published code; the paper leaves
            it out); None for the recipe's.
        score: Lowest score of a detection, 0..1; None for the recipe's.
        classes: Names of the classes to look for; None for all.
        nms: IoU above which the lower of two boxes of a class goes; None for the recipe's.
        class_agnostic_nms: Whether boxes of different classes suppress each other too.
        max_detections: Detections a frame at most; None for the recipe's.
        seq_nms: Whether suppression follows sequences of boxes through the whole video
            (`trovid.inference.seq_nms`), in place of `nms` and `class_agnostic_nms`.
        online: Whether support comes from past frames and `lookahead` future ones alone.
        lookahead: Future frames that may serve when online.
        start: Seconds of the video before the first target frame, or a time as people write it
            ("1:30"), which becomes seconds.
        end: Seconds of the video at which no more frames are taken, or such a time; None for its
            end.
        stride: Every how many frames is a target frame.
        masks: Whether each detection gets its mask, where the detector has a mask head.
        track: Whether detections get identities: "iou", by the overlap of boxes from frame to
            frame; "embedding", by what the track head says of them, or else by the cosine of the
            box head's last layer (`trovid.tracking`); None for none. Boxes of several classes on
            one object are then one detection, the surest, and classes are voted for along an
            identity.
        continue_score: Lowest score of a detection that continues an identity which no detection
            above `score` continues, where `track` is given (ByteTrack: Zhang et al., ECCV 2022);
            those that continue none are left out. None for 0.2; `score` or more for none, as with
            `seq_nms` and in the published memory.
        selection: "detections", or "candidates": all boxes with the scores of all classes.

    Raises:
        OptionError: If a value is out of range.
        TypeError: If `classes` is a text.
    """

    support: str | None = None
    target_among_support: bool | None = None
    score: float | None = None
    classes: tuple[str, ...] | None = None
    nms: float | None = None
    class_agnostic_nms: bool = False
    max_detections: int | None = None
    seq_nms: bool = False
    online: bool = False
    lookahead: int = 0
    start: float = 0.0
    end: float | None = None
    stride: int = 1
    masks: bool = False
    track: Literal["iou", "embedding"] | None = None
    continue_score: float | None = None
    selection: Literal["detections", "candidates"] = "detections"

    def __post_init__(self) -> None:
        if isinstance(self.classes, str):
            raise TypeError(f"`classes` must be names, such as [{self.classes!r}], but is a text")
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
        for name in ("score", "nms", "continue_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise OptionError(f"`{name}` must lie in 0..1, but is {value}")
        for name in ("max_detections", "stride"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"`{name}` must be at least 1, but is {value}")
        if self.seq_nms and self.online:
            raise OptionError("`seq_nms` needs the whole video, `online` has not: give one of them")
        if self.seq_nms and self.selection == "candidates":
            raise OptionError("`seq_nms` selects: leave it out where `selection` is 'candidates'")
        if self.track not in (None, "iou", "embedding"):
            raise OptionError(f"`track` must be 'iou' or 'embedding', but is {self.track!r}")
        for name in ("masks", "track"):
            if getattr(self, name) and self.selection == "candidates":
                raise OptionError(f"`{name}` needs chosen boxes: leave it out of 'candidates'")
        if self.seq_nms and (self.masks or self.track == "embedding"):
            raise OptionError(
                "`seq_nms` chooses boxes when their features are gone: it goes with `track` 'iou' "
                "alone, and without `masks`"
            )
        for name in ("start", "end"):
            object.__setattr__(self, name, seconds(getattr(self, name)))
        if not self.start >= 0:
            raise OptionError(f"`start` must not be negative, but is {self.start}")
        if self.end is not None and not self.end > self.start:
            raise OptionError(f"`end` must lie after `start` ({self.start} s), but is {self.end} s")
        if self.lookahead < 0:
            raise OptionError(f"`lookahead` must not be negative, but is {self.lookahead}")
        if self.lookahead and not self.online:
            raise OptionError("`lookahead` belongs to `online`; give both or none")
        if self.selection not in ("detections", "candidates"):
            raise OptionError(
                f"`selection` must be 'detections' or 'candidates', but is {self.selection!r}"
            )
        if self.support is not None:
            object.__setattr__(self, "support", str(SupportSampling.parse(self.support)))

    def of_single_frames(self, model: str) -> Self:
        """The same for a model that has no support frames, whatever its recipe says of them.

        Args:
            model: Its name, for the message.

        Raises:
            OptionError: If support frames are asked for.
        """
        if SupportSampling.parse(self.support or NO_SUPPORT).count:
            raise OptionError(
                f"{model} knows single frames alone: leave `support` out, or give `temporal` "
                "training-free"
            )
        return replace(self, support=NO_SUPPORT)

    def resolved(self, inference: InferenceRecipe) -> Self:
        """The same with the recipe's values where there is None.

        Raises:
            OptionError: If `continue_score` is given without `track`.
        """
        names = ("support", "target_among_support", "score", "nms", "max_detections")
        defaults = {name: getattr(inference, name) for name in names if getattr(self, name) is None}
        resolved = replace(self, **defaults)
        if self.track is None:
            if self.continue_score is not None:
                raise OptionError("`continue_score` belongs to `track`; give both or none")
            return resolved
        lowest = CONTINUE_SCORE if self.continue_score is None else self.continue_score
        published = inference.tracking is not None and inference.tracking.repeated
        if self.seq_nms or (published and self.track == "embedding"):
            lowest = 1.0
        assert resolved.score is not None
        return replace(resolved, continue_score=min(lowest, resolved.score))

    @property
    def of_detector(self) -> Self:
        """What the detector is asked for with `track`: also what may only continue identities."""
        if self.seq_nms or self.continue_score is None:
            return self
        return replace(self, score=self.continue_score)
