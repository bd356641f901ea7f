"""What a recipe holds: frozen dataclasses, each of which describes its keys.

Every number has a range in `ranges.py`. A key that is added later gets a default, which is what was
done before, and `metadata={"since": VERSION}`: files that were written without it are still
complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trovid.recipes.backbone_schema import BackboneRecipe
from trovid.recipes.camera_schema import CameraRecipe
from trovid.recipes.instance_schema import MaskHeadRecipe, TrackHeadRecipe, TrackingRecipe
from trovid.recipes.support_schema import SupportRecipe


@dataclass(frozen=True, kw_only=True)
class RPNRecipe:
    """The region proposal network.

    Attributes:
        channels: of the 3x3 convolution; null: as many as the level's
        anchor_sizes: pixels of the resized frame, one list a level
        aspect_ratios: height over width
        rounded_anchors: half the sides rounded to whole pixels
        pre_nms: boxes before suppression: training, test
        post_nms: proposals: training, test
        samples: anchors of an image in the loss
        positive_fraction: of the samples, at most
        lowest_iou: of an object's best anchor
        allowed_border: pixels that anchors of the loss may lie outside; null: any
        smooth_l1_beta: where the box loss goes from square to linear
        strides: pixels from anchor to anchor, one a level; null: by the maps' sizes
        lowest_score: objectness that a proposal must reach at test
    """

    levels: tuple[str, ...] = ("0",)
    channels: int | None = None
    anchor_sizes: tuple[tuple[int, ...], ...]
    aspect_ratios: tuple[float, ...]
    rounded_anchors: bool = True
    pre_nms: tuple[int, int]
    post_nms: tuple[int, int]
    nms: float
    samples: int
    positive_fraction: float = 0.5
    foreground_iou: float = 0.7
    background_iou: float = 0.3
    lowest_iou: float = 0.0
    allowed_border: int | None = None
    smooth_l1_beta: float = 1 / 9
    strides: tuple[int, ...] | None = field(default=None, metadata={"since": "0.2"})
    lowest_score: float = field(default=0.0, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class RoIRecipe:
    """How the features of a proposal are pooled.

    Attributes:
        output_size: bins of a side
        sampling_ratio: samples of a bin's side
        aligned: boxes shifted by half a pixel
        temporal: Temporal RoI Align, a rival (name: deformable, non-local), or training-free;
            null: RoIAlign
        searched: level of the support frames that a proposal searches: own, last (the coarsest),
            or its name
        canonical_scale: pixels of a box that is pooled from the level of stride 16
    """

    levels: tuple[str, ...]
    output_size: int
    sampling_ratio: int
    aligned: bool = False
    temporal: SupportRecipe | None
    searched: str = field(default="own", metadata={"since": "0.2"})
    canonical_scale: int = field(default=224, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class BoxHeadRecipe:
    """From RoI features to classes and boxes.

    Attributes:
        hidden: widths of the fully connected layers
        selsa_heads: heads of SELSA's attention; 0: none
        class_agnostic: one box a RoI, or one for each class
        delta_stds: what the deltas x, y, w, h are divided by
        samples: RoIs of an image in the loss
        positive_fraction: of the samples, at most
        smooth_l1_beta: where the box loss goes from square to linear
    """

    hidden: tuple[int, ...]
    selsa_heads: int
    class_agnostic: bool
    delta_stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    samples: int
    positive_fraction: float = 0.25
    foreground_iou: float = 0.5
    smooth_l1_beta: float = 1.0


@dataclass(frozen=True, kw_only=True)
class AggregationRecipe:
    """FGFA's aggregation by similarity, without flow.

    Attributes:
        level: the map that is aggregated, before the RPN
    """

    level: str


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The parts of the detector.

    Attributes:
        aggregation: of whole maps over the support frames; null: none
        mask_head: null: boxes alone
        track_head: null: identities by other means
    """

    classes: tuple[str, ...]
    backbone: BackboneRecipe
    rpn: RPNRecipe
    roi: RoIRecipe
    box_head: BoxHeadRecipe
    aggregation: AggregationRecipe | None = field(default=None, metadata={"since": "0.2"})
    mask_head: MaskHeadRecipe | None = field(default=None, metadata={"since": "0.2"})
    track_head: TrackHeadRecipe | None = field(default=None, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class TorchvisionModelRecipe:
    """One of torchvision's two-stage detectors; what is not here is as its builder makes it.

    Attributes:
        name: torchvision's builder
        unused: torchvision's labels that stand for no class
        frozen: parts of the backbone's body that are not trained
        norm_eps: BatchNorm's
        channels_last: false: torchvision's order of sums; true: a fifth faster on a CPU
        searched: level of the support frames that a proposal searches: own, or last, the coarsest
        temporal: Temporal RoI Align, a rival (name: deformable, non-local), or training-free;
            null: RoIAlign
        masks: the mask head too, where the builder has one
    """

    name: Literal[
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_v2",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "maskrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn_v2",
        "keypointrcnn_resnet50_fpn",
    ]
    classes: tuple[str, ...]
    unused: tuple[int, ...]
    frozen: tuple[str, ...]
    norm_eps: float
    channels_last: bool = True
    searched: Literal["own", "last"]
    temporal: SupportRecipe | None
    masks: bool = field(default=False, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class TorchvisionImageRecipe:
    """The frame as torchvision's detectors resize it: sizes rounded down, pixels not rounded.

    Attributes:
        shorter: pixels of the shorter side
        longer: bound of the longer side
        mean: RGB
        divisor: of the padded sides
    """

    name: Literal["torchvision"]
    shorter: int
    longer: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    divisor: int


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """The resized frame.

    Attributes:
        shorter: pixels of the shorter side
        longer: bound of the longer side
        mean: RGB
        divisor: of the padded sides
    """

    shorter: int
    longer: int
    antialias: bool = True
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    divisor: int


@dataclass(frozen=True, kw_only=True)
class InferenceRecipe:
    """Support frames at inference and the choice of detections.

    Attributes:
        support: which frames: uniform:14, consecutive:6, stride:8x26
        target_among_support: the target frame is its own last support frame
        support_proposals: boxes found in each support frame that are looked at in the target too
        score: lowest of a detection
        nms: IoU above which the lower of two boxes goes
        max_detections: of a frame
        tracking: how detections find their identities; null: the defaults
    """

    support: str
    target_among_support: bool
    score: float = 0.05
    nms: float
    max_detections: int
    tracking: TrackingRecipe | None = field(default=None, metadata={"since": "0.2"})
    support_proposals: int = field(default=0, metadata={"since": "0.2.0"})


@dataclass(frozen=True, kw_only=True)
class AugmentationRecipe:
    """Random changes of a training clip, alike in all its frames; none by default.

    Attributes:
        crop: smallest window that is enlarged to the frame, as a share of its sides; 1: none
        light: how much brightness, contrast and saturation may differ
        blur: probability of a Gaussian blur
        damage: probability that a target frame alone is blurred, dark or noisy
        still_motion: how far the window moves from frame to frame of a picture that is a clip
    """

    crop: float = 1.0
    light: float = 0.0
    blur: float = 0.0
    damage: float = 0.0
    still_motion: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Data, schedule and support frames of a training.

    Attributes:
        start: recipe whose weights it begins with; null: none
        videos: the first so many; null: all
        batch: clips of a step
        support_frames: of a clip, beside the target frame
        support_window: frames around the target frame; null: any frames of the video
        mutual_support: support frames are target frames too, and labelled ones
        draw: clips: each clip as often; frames: each labelled frame; balanced: clips of rare
            classes more often
        flip: probability, alike within a clip
        momentum: AdamW's first, SGD's only one
        backbone_rate: share of the learning rate for what a network's published weights start
        warmup: steps in which the learning rate rises
        warmup_start: share of the learning rate that it rises from
        drops: steps from which it is a tenth; none: half a cosine
        clip_norm: bound of the gradients' norm
        reference_window: frames around the target frame of which one trains the track head; 0: none
        own_data: the classes are the data's; it begins with the best weights at hand
        validate_every: steps from one validation on the way to the next; 0: at the end alone
        random: what the samples of the losses depend on: step, all of a step in order; clip, each
            frame's number in the step, which is the same for any number of processes
        accumulate: parts in which each process goes through its clips of a step
        checkpointing: activations of the backbone are computed again when they are needed
        group_aspects: the videos of a step are all upright or all wide, so that less is padded
        compile: backbone and RPN are made by torch.compile
        camera: makes clips of pictures; null: none
    """

    start: str | None
    videos: int | None
    steps: int
    batch: int
    support_frames: int
    support_window: int | None
    mutual_support: bool = False
    draw: Literal["clips", "frames", "balanced"] = "clips"
    flip: float = 0.0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    learning_rate: float
    warmup: int
    warmup_start: float = 0.0
    drops: tuple[int, ...] = ()
    weight_decay: float
    clip_norm: float
    colour_augmentation: bool
    bfloat16: bool
    reference_window: int = field(default=0, metadata={"since": "0.2"})
    own_data: bool = field(default=False, metadata={"since": "0.2.0"})
    validate_every: int = field(default=0, metadata={"since": "0.2.0"})
    random: Literal["step", "clip"] = field(default="step", metadata={"since": "0.2.0"})
    accumulate: int = field(default=1, metadata={"since": "0.2.0"})
    checkpointing: bool = field(default=False, metadata={"since": "0.2.0"})
    group_aspects: bool = field(default=False, metadata={"since": "0.2.0"})
    compile: bool = field(default=False, metadata={"since": "0.2.0"})
    augmentation: AugmentationRecipe = field(
        default=AugmentationRecipe(), metadata={"since": "0.2.0"}
    )
    camera: CameraRecipe | None = field(default=None, metadata={"since": "0.2.0"})
    backbone_rate: float = field(default=1.0, metadata={"since": "0.2.0"})


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a recipe comes from, which `trovid recipes show` prints beside its values.

    Attributes:
        title: What it is, in a line or a few.
        base: The recipe that it was derived from.
        file: The YAML file that it was read from.
        remarks: Words on some of its values, by dotted key.
    """

    title: str = ""
    base: Recipe | None = None
    file: str | None = None
    remarks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes a model: its parts, its input, its inference, its training.

    Two recipes are equal if their values are; where they come from is no value.

    Attributes:
        published: mAP at IoU 0.5 in per cent that others state for such a model
    """

    name: str
    published: float | None = None
    model: ModelRecipe | TorchvisionModelRecipe
    image: ImageRecipe | TorchvisionImageRecipe
    inference: InferenceRecipe
    training: TrainingRecipe
    origin: Origin = field(default=Origin(), compare=False, repr=False)
