"""What a recipe holds of masks and identities (see `schema.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class MaskHeadRecipe:
    """From RoI features to masks.

    Attributes:
        output_size: bins of a RoI's side; the mask has twice as many
        channels: of the convolutions
        convolutions: how many
        class_agnostic: one mask a RoI, or one for each class
        threshold: from which probability a pixel is the object's
        temporal: RoI features by Temporal RoI Align, with an embedding of its own
    """

    output_size: int
    channels: int
    convolutions: int
    class_agnostic: bool = False
    threshold: float = 0.5
    temporal: bool = False


@dataclass(frozen=True, kw_only=True)
class TrackHeadRecipe:
    """From RoI features to what tells objects apart.

    Attributes:
        output_size: bins of a RoI's side
        hidden: widths of the fully connected layers
        samples: RoIs of an image that the loss takes its objects' RoIs from
        positive_fraction: of the samples, at most
        temporal: RoI features by Temporal RoI Align, with an embedding of its own
    """

    output_size: int
    hidden: tuple[int, ...]
    samples: int
    positive_fraction: float = 0.25
    foreground_iou: float = 0.5
    temporal: bool = False


@dataclass(frozen=True, kw_only=True)
class TrackingRecipe:
    """How detections find their identities.

    Attributes:
        score: weight of the logarithm of the detection's score, where `repeated`
        iou: weight of the overlap with the identity's last box, where `repeated`, or with the box
            that its motion leads to
        label: what being of the identity's class, or new, is worth, where `repeated`
        classes: weight of the cosine of the scores in all classes, those of the detections and
            those summed along the identity; it is 1 for a new one
        patience: frames after which an identity that was not seen is forgotten
        repeated: as in the published code: an identity may occur twice in a frame, weaker rows go,
            and another class is another identity; else each at most once, by the assignment of
            greatest total, and classes are voted for along it
        same: overlap above which detections of different classes are one object; 1 for never
    """

    score: float = 1.0
    iou: float = 4.0
    label: float = 10.0
    patience: int = 20
    repeated: bool = False
    same: float = field(default=0.7, metadata={"since": "0.2"})
    classes: float = field(default=1.0, metadata={"since": "0.2"})
