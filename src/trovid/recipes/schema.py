"""Recipes: one YAML file a model, every value written out, and the model built from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from trovid.errors import TrovidError
from trovid.recipes.typed_values import convert, nearest


@dataclass(frozen=True, kw_only=True)
class SmallBackboneRecipe:
    """Arguments of SmallBackbone."""

    name: Literal["small"]
    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int]
    out_channels: int
    frozen_stages: int


@dataclass(frozen=True, kw_only=True)
class ResNetBackboneRecipe:
    """Arguments of ResNetBackbone; `reduction` has a width for each level, 0 for none."""

    name: Literal["resnet18", "resnet50", "resnet101", "resnext101_64x4d"]
    levels: tuple[str, ...]
    reduction: tuple[int, ...]
    dilated: bool
    frozen_stages: int
    trained_norm: bool


@dataclass(frozen=True, kw_only=True)
class TimmBackboneRecipe:
    """Arguments of TimmBackbone; `reduction` has a width for each level, 0 for none."""

    name: Literal["timm"]
    model: str
    levels: tuple[str, ...]
    reduction: tuple[int, ...]
    output_stride: int | None


BackboneRecipe = SmallBackboneRecipe | ResNetBackboneRecipe | TimmBackboneRecipe


@dataclass(frozen=True, kw_only=True)
class RPNRecipe:
    """Arguments of ProposalNetwork; pairs are (training, test)."""

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


@dataclass(frozen=True, kw_only=True)
class TemporalRecipe:
    """Arguments of Temporal RoI Align: K points, N heads (0: average), the embedding psi."""

    top_k: int
    num_heads: int
    embedding: Literal["grouped", "dense"]
    bias: bool
    logit_scale: float


@dataclass(frozen=True, kw_only=True)
class RoIRecipe:
    """RoI grid, samples a bin, the shift by half a pixel, and Temporal RoI Align or null."""

    levels: tuple[str, ...]
    output_size: int
    sampling_ratio: int
    aligned: bool = False
    temporal: TemporalRecipe | None


@dataclass(frozen=True, kw_only=True)
class BoxHeadRecipe:
    """FC widths, SELSA heads (0: none), one box a RoI or a class, deltas, RoIs in the loss."""

    hidden: tuple[int, ...]
    selsa_heads: int
    class_agnostic: bool
    delta_stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    samples: int
    positive_fraction: float = 0.25
    foreground_iou: float = 0.5
    smooth_l1_beta: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The parts of a Detector."""

    classes: tuple[str, ...]
    backbone: BackboneRecipe
    rpn: RPNRecipe
    roi: RoIRecipe
    box_head: BoxHeadRecipe


@dataclass(frozen=True, kw_only=True)
class TorchvisionModelRecipe:
    """One of torchvision's two-stage detectors with Temporal RoI Align, or without (null).

    What is not here is as torchvision's builder of this `name` makes it. `unused` are its labels
    that stand for no class, `frozen` the parts of the backbone's body that are not trained,
    `norm_eps` BatchNorm's. With `channels_last` a Predictor sums in another order than torchvision.
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
    temporal: TemporalRecipe | None


@dataclass(frozen=True, kw_only=True)
class TorchvisionImageRecipe:
    """Resizing as torchvision's detectors do it: sizes rounded down, pixels not rounded."""

    name: Literal["torchvision"]
    shorter: int
    longer: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    divisor: int


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """Size of the resized frame (shorter side, bound of the longer), RGB statistics, padding."""

    shorter: int
    longer: int
    antialias: bool = True
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    divisor: int


@dataclass(frozen=True, kw_only=True)
class InferenceRecipe:
    """Support frames at inference and the choice of detections."""

    support: str
    target_among_support: bool
    score: float = 0.05
    nms: float
    max_detections: int


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Data, schedule and support frames of a training.

    The learning rate rises linearly over `warmup` steps from its `warmup_start`-th part; then it
    falls to a tenth at each step of `drops`, or without any along half a cosine. `momentum` is
    AdamW's first and SGD's only one.

    A step takes `batch` clips, of each a target frame and `support_frames` others; with
    `mutual_support` each of these is a target frame too, supported by the others. `draw` says
    what is drawn alike: "clips", or labelled "frames" (long clips then come more often). A clip's
    frames are mirrored all together with probability `flip`.
    """

    start: str | None
    videos: int
    steps: int
    batch: int
    support_frames: int
    support_window: int | None
    mutual_support: bool = False
    draw: Literal["clips", "frames"] = "clips"
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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes a model: its parts, its input, its inference, its training.

    `published` is the figure that others state for such a model: mAP at IoU 0.5 in per cent.
    """

    name: str
    published: float | None = None
    model: ModelRecipe | TorchvisionModelRecipe
    image: ImageRecipe | TorchvisionImageRecipe
    inference: InferenceRecipe
    training: TrainingRecipe


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = recipes_folder()
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


def recipes_folder() -> Path:
    """Where the recipes that come with the package lie."""
    return Path(str(resources.files("trovid.recipes"))) / "yaml"


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or of that YAML file.

    Raises:
        TrovidError: If there is none, or the file has a wrong, unknown or missing key.
    """
    file = recipe_file(name_or_path)
    try:
        return parse_recipe(file.read_text(encoding="utf-8"), str(name_or_path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise TrovidError(f"{file}: {reason}") from error


def recipe_file(name_or_path: str | Path) -> Path:
    """The YAML file of a recipe that comes with the package, or the one that was named.

    Raises:
        TrovidError: If there is no recipe of that name.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    names = recipe_names()
    if str(name_or_path) not in names:
        raise TrovidError(f"no recipe {str(name_or_path)!r}{nearest(str(name_or_path), names)}")
    return recipes_folder() / f"{name_or_path}.yaml"


def parse_recipe(text: str, origin: str, *, complete: bool = True) -> Recipe:
    """A recipe from YAML text.

    Args:
        text: The recipe.
        origin: Names the file in errors.
        complete: Whether every value must be there. Otherwise a value that the first version of
            trovid did not have yet may be missing and is what that version did.

    Raises:
        TrovidError: If the text is no YAML, or has a wrong, unknown or missing key.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise TrovidError(
            f"{origin}{line}: not YAML: {getattr(error, 'problem', error)}"
        ) from error
    return convert(values, Recipe, origin, complete=complete)


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain nested dicts, as YAML and JSON write it."""
    return dataclasses.asdict(recipe)
