"""Recipes: one YAML file a model, every value written out, and the model built from it."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from trovid.errors import TrovidError
from trovid.models.backbones import BACKBONES
from trovid.models.detector import Detector
from trovid.models.rpn import ProposalNetwork
from trovid.nn import BoxHead, MultiScaleRoIAlign, MultiScaleTemporalRoIAlign


@dataclass(frozen=True)
class BackboneRecipe:
    """`name` of BACKBONES and its arguments."""

    name: Literal["small"]
    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int]
    out_channels: int
    frozen_stages: int


@dataclass(frozen=True)
class RPNRecipe:
    """Arguments of ProposalNetwork; pairs are (training, test)."""

    anchor_sizes: tuple[tuple[int, ...], ...]
    aspect_ratios: tuple[float, ...]
    pre_nms: tuple[int, int]
    post_nms: tuple[int, int]
    nms: float
    samples: int


@dataclass(frozen=True)
class TemporalRecipe:
    """Arguments of Temporal RoI Align: K points, N heads (0: average), the embedding psi."""

    top_k: int
    num_heads: int
    embedding: Literal["grouped", "dense"]
    bias: bool
    logit_scale: float


@dataclass(frozen=True)
class RoIRecipe:
    """RoI grid, samples a bin, and Temporal RoI Align or null."""

    levels: tuple[str, ...]
    output_size: int
    sampling_ratio: int
    temporal: TemporalRecipe | None


@dataclass(frozen=True)
class BoxHeadRecipe:
    """FC widths, SELSA heads (0: none), one box a RoI or a class, RoIs in the loss."""

    hidden: tuple[int, ...]
    selsa_heads: int
    class_agnostic: bool
    samples: int


@dataclass(frozen=True)
class ModelRecipe:
    """The parts of a Detector."""

    classes: tuple[str, ...]
    backbone: BackboneRecipe
    rpn: RPNRecipe
    roi: RoIRecipe
    box_head: BoxHeadRecipe


@dataclass(frozen=True)
class ImageRecipe:
    """Size of the resized frame (shorter side, bound of the longer) and padding."""

    shorter: int
    longer: int
    divisor: int


@dataclass(frozen=True)
class InferenceRecipe:
    """Support frames at inference and the choice of detections."""

    support: str
    target_among_support: bool
    nms: float
    max_detections: int


@dataclass(frozen=True)
class TrainingRecipe:
    """Data, schedule and support frames of a training."""

    start: str | None
    videos: int
    steps: int
    batch: int
    support_frames: int
    support_window: int | None
    learning_rate: float
    warmup: int
    weight_decay: float
    clip_norm: float
    colour_augmentation: bool
    bfloat16: bool


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a model: its parts, its input, its inference, its training."""

    name: str
    model: ModelRecipe
    image: ImageRecipe
    inference: InferenceRecipe
    training: TrainingRecipe


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("trovid.models") / "recipes"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or of that YAML file.

    Raises:
        TrovidError: If there is none, or the file has a wrong, unknown or missing key.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        try:
            return parse_recipe(path.read_text(), str(path))
        except OSError as error:
            raise TrovidError(f"{path}: {error.strerror}") from error
    names = recipe_names()
    if str(name_or_path) not in names:
        raise TrovidError(f"no recipe {str(name_or_path)!r}{_nearest(str(name_or_path), names)}")
    file = resources.files("trovid.models") / "recipes" / f"{name_or_path}.yaml"
    return parse_recipe(file.read_text(), f"{name_or_path}.yaml")


def parse_recipe(text: str, origin: str) -> Recipe:
    """A recipe from YAML text; `origin` names the file in errors."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise TrovidError(
            f"{origin}{line}: not YAML: {getattr(error, 'problem', error)}"
        ) from error
    return _convert(values, Recipe, origin, "")


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain nested dicts, as YAML and JSON write it."""
    return dataclasses.asdict(recipe)


def build_detector(recipe: Recipe) -> Detector:
    """The detector of a recipe, with random weights."""
    parts = recipe.model
    backbone = BACKBONES[parts.backbone.name](
        widths=parts.backbone.widths,
        blocks=parts.backbone.blocks,
        out_channels=parts.backbone.out_channels,
        frozen_stages=parts.backbone.frozen_stages,
    )
    channels = parts.backbone.out_channels
    rpn = ProposalNetwork(in_channels=channels, **_fields(parts.rpn))
    roi, temporal = parts.roi, parts.roi.temporal
    plain = (list(roi.levels), roi.output_size, roi.sampling_ratio)
    return Detector(
        backbone=backbone,
        rpn=rpn,
        roi_features=MultiScaleRoIAlign(*plain)
        if temporal is None
        else MultiScaleTemporalRoIAlign(*plain, channels=channels, **_fields(temporal)),
        support_roi_features=MultiScaleRoIAlign(*plain) if parts.box_head.selsa_heads else None,
        box_head=BoxHead(
            channels * roi.output_size**2,
            hidden=parts.box_head.hidden,
            num_classes=len(parts.classes),
            selsa_heads=parts.box_head.selsa_heads,
            class_agnostic=parts.box_head.class_agnostic,
        ),
        samples=parts.box_head.samples,
    )


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def _nearest(word: str, words: list[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(words)}"


def _convert(value: Any, kind: Any, origin: str, key: str) -> Any:
    where = f"{origin}: {key or 'the recipe'}"
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(a for a in arguments if a is not type(None))
        return _convert(value, kind, origin, key)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise TrovidError(f"{where} must hold keys and values, but is {value!r}")
        hints = typing.get_type_hints(kind)
        for name in value:
            if name not in hints:
                raise TrovidError(f"{where} has no key {name!r}{_nearest(str(name), list(hints))}")
        missing = [name for name in hints if name not in value]
        if missing:
            raise TrovidError(f"{where} lacks {', '.join(missing)}")
        return kind(  # type: ignore[operator]
            **{n: _convert(value[n], h, origin, f"{key}.{n}".strip(".")) for n, h in hints.items()}
        )
    origin_kind = typing.get_origin(kind)
    if origin_kind is Literal:
        if value not in arguments:
            raise TrovidError(f"{where} must be one of {', '.join(arguments)}, but is {value!r}")
        return value
    if origin_kind is tuple:
        variable = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (variable or len(value) == len(arguments)):
            count = "values" if variable else f"{len(arguments)} values"
            raise TrovidError(f"{where} must be a list of {count}, but is {value!r}")
        kinds = [arguments[0]] * len(value) if variable else arguments
        return tuple(
            _convert(v, k, origin, f"{key}[{i}]")
            for i, (v, k) in enumerate(zip(value, kinds, strict=True))
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrovidError(f"{where} must be of type {kind.__name__}, but is {value!r}")
    return value
