"""torchvision's residual networks with a dilated last stage (DC5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from trovid.backbones.contract import Backbone
from trovid.backbones.fused_bottleneck import fuse_residuals
from trovid.backbones.reduction import Reduction
from trovid.nn.batch_norm import fold_batch_norm
from trovid.nn.fpn import FeaturePyramid
from trovid.nn.inference_form import InferenceForm
from trovid.nn.low_precision import lower_precision


class ResNetBackbone(Backbone):
    """A residual network with stride 16 at the end, whose BatchNorm keeps its statistics.

    The parameters have torchvision's names, so that its ImageNet weights fit. The 3x3 convolutions
    with a stride in conv5 get stride 1 and dilation 2 in all blocks of the stage (in the blocks of
    ResNet-18: the first convolution of each). The random weights make the residual branches of a
    stage of L blocks begin with a scale of L^-0.5, since BatchNorm that keeps its statistics does
    not bound their sum.

    Args:
        name: "resnet18", "resnet50", "resnet101" or "resnext101_64x4d".
        levels: What is returned, of "conv2" to "conv5", finest first.
        reduction: For some of the levels the channels that a 3x3 convolution with ReLU leaves.
        dilated: Whether conv5 has stride 1 and dilation 2 (total stride 16) instead of stride 2.
        frozen_stages: 0: all parts are trained; n: the stem and the first n - 1 stages are not.
        trained_norm: Whether scale and shift of BatchNorm are trained where the stage is; its
            statistics never change.
        pyramid: Channels of a feature pyramid on the levels, whose own are called p2 for conv2 and
            so on, with one more; 0 for none.
    """

    def __init__(
        self,
        name: str,
        *,
        levels: Sequence[str],
        reduction: Mapping[str, int],
        dilated: bool = True,
        frozen_stages: int = 2,
        trained_norm: bool = True,
        pyramid: int = 0,
    ) -> None:
        super().__init__()
        network = getattr(torchvision.models, name)(weights=None)
        self.conv1, self.bn1 = network.conv1, network.bn1
        self.relu, self.maxpool = network.relu, network.maxpool
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        for _, stage in self._stages():
            _scale_branches(stage, len(stage) ** -0.5)
        if dilated:
            _dilate(self.layer4)
        width = network.fc.in_features
        channels = {"conv2": width // 8, "conv3": width // 4, "conv4": width // 2, "conv5": width}
        unknown = [level for level in levels if level not in channels]
        if unknown:
            raise ValueError(f"`levels` must be of {list(channels)}, but has {unknown}")
        self.levels = tuple(levels)
        self.reduction = Reduction({level: channels[level] for level in levels}, reduction)
        self.level_channels = self.reduction.level_channels
        self.pyramid = FeaturePyramid(self.level_channels, pyramid) if pyramid else None
        if self.pyramid is not None:
            self.level_channels = self.pyramid.level_channels
        if not trained_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.requires_grad_(False)
        if frozen_stages:
            frozen = [self.conv1, self.bn1, *(layer for _, layer in self._stages())]
            for part in frozen[: frozen_stages + 1]:
                part.requires_grad_(False)

    def network_state(self) -> dict[str, Tensor]:
        """See `Backbone.network_state`."""
        others = ("reduction.", "pyramid.")
        return {k: v for k, v in self.state_dict().items() if not k.startswith(others)}

    def _stages(self) -> list[tuple[str, nn.Sequential]]:
        return [
            ("conv2", self.layer1),
            ("conv3", self.layer2),
            ("conv4", self.layer3),
            ("conv5", self.layer4),
        ]

    def inference_form(self, form: InferenceForm) -> ResNetBackbone:
        """BatchNorm folded, sums made by the convolutions, the coarsest maps in low precision."""
        fold_batch_norm(self)
        if form.onednn:
            fuse_residuals(self)
        for name in ("layer3", "layer4", "reduction"):
            setattr(self, name, lower_precision(getattr(self, name), form.dtype))
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the levels, Tensor[B, C, H / stride, W / stride] each."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        levels = {}
        for stage, layer in self._stages():
            x = layer(x)
            if stage in self.levels:
                levels[stage] = x
        levels = self.reduction(levels)
        return levels if self.pyramid is None else self.pyramid(levels)


def _scale_branches(stage: nn.Sequential, scale: float) -> None:
    for block in stage:
        last = "bn3" if isinstance(block, Bottleneck) else "bn2"
        nn.init.constant_(block.get_parameter(f"{last}.weight"), scale)


def _dilate(stage: nn.Sequential) -> None:
    for block in stage:
        dilated = "conv2" if isinstance(block, Bottleneck) else "conv1"
        for name, convolution in block.named_modules():
            if isinstance(convolution, nn.Conv2d):
                convolution.stride = (1, 1)
                if name == dilated:
                    convolution.dilation = convolution.padding = (2, 2)
