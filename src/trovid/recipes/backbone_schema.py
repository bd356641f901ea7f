"""What a recipe holds of backbones (see `schema.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SmallBackboneRecipe:
    """A small residual network for small images on a CPU.

    Attributes:
        widths: stem (stride 2), stride 4, 8, 16
        blocks: residual blocks of stride 4, 8, 16
        out_channels: of the one map, stride 8
        frozen_stages: not trained; 2: stem and stride 4
    """

    name: Literal["small"]
    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int]
    out_channels: int
    frozen_stages: int


@dataclass(frozen=True, kw_only=True)
class ResNetBackboneRecipe:
    """A ResNet or ResNeXt of torchvision.

    Attributes:
        levels: conv2 to conv5, finest first
        reduction: width of each level after a 3x3 convolution with ReLU; 0: none
        dilated: conv5 with stride 1 and dilation 2
        frozen_stages: not trained; 2: stem and conv2
        trained_norm: scale and shift of BatchNorm; the statistics never change
        pyramid: channels of a feature pyramid on the levels (p2 for conv2, ...); 0: none
    """

    name: Literal["resnet18", "resnet50", "resnet101", "resnext101_64x4d"]
    levels: tuple[str, ...]
    reduction: tuple[int, ...]
    dilated: bool
    frozen_stages: int
    trained_norm: bool
    pyramid: int = field(default=0, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class TimmBackboneRecipe:
    """A network of timm.

    Attributes:
        model: its name in timm
        levels: names of timm's modules, finest first
        reduction: width of each level after a 3x3 convolution with ReLU; 0: none
        output_stride: of the last level, by dilation; null: the network's own
    """

    name: Literal["timm"]
    model: str
    levels: tuple[str, ...]
    reduction: tuple[int, ...]
    output_stride: int | None


@dataclass(frozen=True, kw_only=True)
class EfficientNetLiteBackboneRecipe:
    """EfficientNet-Lite0 to Lite4 with a feature pyramid.

    Attributes:
        levels: conv2 to conv5, finest first
        pyramid: channels of the pyramid's levels (p2 for conv2, ..., and one more)
        frozen_stages: not trained; 2: stem and conv2
    """

    name: Literal[
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "efficientnet_lite3",
        "efficientnet_lite4",
    ]
    levels: tuple[str, ...]
    pyramid: int
    frozen_stages: int


BackboneRecipe = (
    SmallBackboneRecipe | ResNetBackboneRecipe | TimmBackboneRecipe | EfficientNetLiteBackboneRecipe
)
