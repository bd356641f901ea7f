"""EfficientNet-Lite without its classifier (Tan and Le, EfficientNet, 2019; Lite: 2020)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from trovid.backbones.contract import Backbone
from trovid.backbones.fused_convolution import fuse_activations
from trovid.nn.batch_norm import fold_batch_norm
from trovid.nn.fpn import FeaturePyramid
from trovid.nn.inference_form import InferenceForm

STEM_CHANNELS = 32
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first block, channels, blocks of Lite0."""
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))
"""Times the channels and the blocks of Lite0 to Lite4. The stem stays, and so do the blocks of the
first and the last stage."""
CHANNEL_UNIT = 8
LEVELS = {"conv2": 1, "conv3": 2, "conv4": 4, "conv5": 6}
"""The last stage of each stride from 4 to 32."""
NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
PUBLISHED_NAMES = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_expand_conv": "expand.0",
    "_depthwise_conv": "depthwise.0",
    "_project_conv": "project.0",
}
BLOCK_NORMS = {"_bn0": "expand.1", "_bn1": "depthwise.1", "_bn2": "project.1"}
TIMM_NAMES = {"conv_stem": "stem.0", "bn1": "stem.1"}
TIMM_BLOCK_NAMES = {
    "conv_pw": "expand.0",
    "bn1": "expand.1",
    "conv_dw": "depthwise.0",
    "bn2": "depthwise.1",
    "conv_pwl": "project.0",
    "bn3": "project.1",
}
TIMM_NARROW_NAMES = {
    "conv_dw": "depthwise.0",
    "bn1": "depthwise.1",
    "conv_pw": "project.0",
    "bn2": "project.1",
}
"""In blocks that do not expand."""


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shapes allow one.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        kernel: Side of the filter.
        stride: Of the filter.
        expansion: Channels that are filtered, as a multiple of `in_channels`.

    Attributes:
        pads_first: Whether the zeros that a stride needs are put around the few channels that come
            in, and again into the many that are filtered, which spares a copy of these. For
            inference alone, since it writes into a result.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.kernel, self.stride = kernel, stride
        self.pads_first = False
        self.shortcut = stride == 1 and in_channels == out_channels
        self.expand = (
            nn.Identity()
            if expansion == 1
            else Conv2dNormActivation(
                in_channels, width, 1, norm_layer=NORM, activation_layer=nn.ReLU6
            )
        )
        self.depthwise = Conv2dNormActivation(
            width,
            width,
            kernel,
            stride,
            padding=kernel // 2 if stride == 1 else 0,
            groups=width,
            norm_layer=NORM,
            activation_layer=nn.ReLU6,
        )
        self.project = Conv2dNormActivation(
            width, out_channels, 1, norm_layer=NORM, activation_layer=None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor[B, C_in, H, W] to Tensor[B, C_out, H / stride, W / stride]."""
        if self.stride == 1:
            wide = self.expand(x)
        elif self.pads_first:
            margins = margins_of(x, self.kernel, self.stride)
            wide = emptied(self.expand(F.pad(x, margins)), margins)
        else:
            wide = F.pad(self.expand(x), margins_of(x, self.kernel, self.stride))
        out = self.project(self.depthwise(wide))
        return x + out if self.shortcut else out


class EfficientNetLiteBackbone(Backbone):
    """EfficientNet-Lite, whose BatchNorm keeps its statistics, with a feature pyramid on top.

    Convolutions with a stride are padded below and right first, as the published weights want it.

    Args:
        size: 0 to 4, which of Lite0 to Lite4.
        levels: Stages that the pyramid stands on, of "conv2" (stride 4) to "conv5" (stride 32),
            which follow each other, finest first.
        pyramid: Channels of the pyramid's levels: p2 for conv2 and so on, and one more.
        frozen_stages: 0: all parts are trained; n: the stem and the first n - 1 levels are not.
    """

    def __init__(
        self,
        *,
        size: int = 0,
        levels: Sequence[str] = ("conv3", "conv4", "conv5"),
        pyramid: int = 96,
        frozen_stages: int = 0,
    ) -> None:
        super().__init__()
        unknown = [level for level in levels if level not in LEVELS]
        if unknown:
            raise ValueError(f"`levels` must be of {list(LEVELS)}, but has {unknown}")
        self.stem = Conv2dNormActivation(
            3, STEM_CHANNELS, 3, 2, padding=0, norm_layer=NORM, activation_layer=nn.ReLU6
        )
        self.blocks = nn.ModuleList()
        self.ends: dict[int, str] = {}
        self.stages = stages_of(size)
        before, level_of = STEM_CHANNELS, {stage: name for name, stage in LEVELS.items()}
        for stage, (expansion, kernel, stride, channels, count) in enumerate(self.stages):
            for number in range(count):
                block_stride = stride if number == 0 else 1
                block = InvertedResidual(
                    before, channels, kernel=kernel, stride=block_stride, expansion=expansion
                )
                self.blocks.append(block)
                before = channels
            if stage in level_of:
                self.ends[len(self.blocks) - 1] = level_of[stage]
        self.levels = tuple(levels)
        self.pyramid = FeaturePyramid(
            {level: self.stages[LEVELS[level]][3] for level in levels}, pyramid
        )
        self.level_channels = self.pyramid.level_channels
        for part in self._trunk()[: self._blocks_before(frozen_stages)]:
            part.requires_grad_(False)

    def network_state(self) -> dict[str, Tensor]:
        """See `Backbone.network_state`."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("pyramid.")}

    def network_key(self, name: str) -> str:
        """The published file says `_blocks.3._bn0` for `blocks.3.expand.1`, timm `blocks.2.0.bn1`.

        Of timm's networks `tf_efficientnet_lite0` to `tf_efficientnet_lite4` are these.
        """
        found = re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)\.(\w+)", name)
        if found:
            return self._timms_block(name, int(found[1]), int(found[2]), found[3], found[4])
        found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if found:
            number, part, tensor = found.groups()
            part = BLOCK_NORMS.get(part) or PUBLISHED_NAMES.get(part, part)
            return f"blocks.{number}.{part}.{tensor}"
        part, _, tensor = name.partition(".")
        module = PUBLISHED_NAMES.get(part) or TIMM_NAMES.get(part, part)
        return f"{module}.{tensor}"

    def inference_form(self, form: InferenceForm) -> EfficientNetLiteBackbone:
        """BatchNorm folded, ReLU6 within the convolutions."""
        fold_batch_norm(self)
        if form.onednn:
            fuse_activations(self)
            for block in self.blocks:
                assert isinstance(block, InvertedResidual)
                block.pads_first = True
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the pyramid's levels, Tensor[B, C, H / stride, W / stride] each."""
        x = self.stem(F.pad(images, margins_of(images, 3, 2)))
        stages = {}
        for number, block in enumerate(self.blocks):
            x = block(x)
            if self.ends.get(number) in self.levels:
                stages[self.ends[number]] = x
        return self.pyramid(stages)

    def _timms_block(self, name: str, stage: int, number: int, part: str, tensor: str) -> str:
        """The own name of a tensor that timm counts by stages; one of no block keeps its name."""
        if stage >= len(self.stages) or number >= self.stages[stage][4]:
            return name
        names = TIMM_NARROW_NAMES if self.stages[stage][0] == 1 else TIMM_BLOCK_NAMES
        before = sum(count for *_, count in self.stages[:stage])
        return f"blocks.{before + number}.{names.get(part, part)}.{tensor}"

    def _trunk(self) -> list[nn.Module]:
        return [self.stem, *self.blocks]

    def _blocks_before(self, frozen_stages: int) -> int:
        """How many parts of the trunk the first stages are: none, the stem, up to conv2, ..."""
        if frozen_stages < 2:
            return frozen_stages
        return 2 + list(self.ends)[frozen_stages - 2]


def stages_of(size: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """Expansion, kernel, stride, channels and blocks of the stages of Lite0 to Lite4.

    Raises:
        ValueError: If there is no such size.
    """
    if not 0 <= size < len(SCALES):
        raise ValueError(f"`size` must be 0 to {len(SCALES) - 1}, but is {size}")
    width, depth = SCALES[size]
    ends = (0, len(STAGES) - 1)
    return tuple(
        (
            expansion,
            kernel,
            stride,
            _whole_units(channels * width),
            count if number in ends else math.ceil(count * depth),
        )
        for number, (expansion, kernel, stride, channels, count) in enumerate(STAGES)
    )


def _whole_units(channels: float) -> int:
    """The nearest multiple of eight that is not more than a tenth below."""
    nearest = max(CHANNEL_UNIT, int(channels + CHANNEL_UNIT / 2) // CHANNEL_UNIT * CHANNEL_UNIT)
    return nearest if nearest >= 0.9 * channels else nearest + CHANNEL_UNIT


def margins_of(x: Tensor, kernel: int, stride: int) -> list[int]:
    """Zeros to put around a map left, right, above and below; the odd one goes right and below.

    A convolution without padding then leaves ceil(side / stride).
    """
    margins = []
    for side in (x.shape[-1], x.shape[-2]):
        whole = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        margins += [whole // 2, whole - whole // 2]
    return margins


def emptied(x: Tensor, margins: Sequence[int]) -> Tensor:
    """The same tensor with zeros in the margins."""
    left, right, top, bottom = margins
    height, width = x.shape[-2:]
    x[..., :top, :] = 0
    x[..., height - bottom :, :] = 0
    x[..., :left] = 0
    x[..., width - right :] = 0
    return x
