"""A small residual network for small images on a CPU."""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from trovid.backbones.contract import Backbone
from trovid.nn.batch_norm import fold_batch_norm
from trovid.nn.inference_form import InferenceForm


def _conv_norm(in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., Deep Residual Learning, 2016)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv_norm(in_channels, out_channels, stride=stride)
        self.second = _conv_norm(out_channels, out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity()
            if same
            else _conv_norm(in_channels, out_channels, kernel=1, stride=stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor[B, C_in, H, W] to Tensor[B, C_out, H / stride, W / stride]."""
        y = self.second(F.relu(self.first(x)))
        return F.relu(y + self.shortcut(x))


class SmallBackbone(Backbone):
    """A residual network for small images on a CPU, with one map of stride 8.

    The last stage (stride 16) gives context: it is reduced, enlarged and added to stride 8.

    Args:
        widths: Channels of the stem (stride 2) and of the stages of stride 4, 8 and 16.
        blocks: Residual blocks of the three stages.
        out_channels: Channels of the map.
        frozen_stages: 0: all parts are trained; n: the stem and the first n - 1 stages are not, and
            their BatchNorm keeps its statistics.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int] = (32, 48, 96, 160),
        blocks: tuple[int, int, int] = (2, 2, 1),
        out_channels: int = 96,
        frozen_stages: int = 0,
    ) -> None:
        super().__init__()
        self.level_channels = {"0": out_channels}
        self.stem = _conv_norm(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(before, after, stride=2),
                *(ResidualBlock(after, after) for _ in range(count - 1)),
            )
            for before, after, count in zip(widths[:-1], widths[1:], blocks, strict=True)
        )
        self.lateral = nn.Conv2d(widths[2], out_channels, 1)
        self.context = nn.Conv2d(widths[3], out_channels, 1)
        self.output = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.frozen = [self.stem, *self.stages][:frozen_stages]
        for part in self.frozen:
            part.requires_grad_(False)

    def fixed(self) -> list[nn.Module]:
        """The frozen parts."""
        return self.frozen

    def inference_form(self, form: InferenceForm) -> SmallBackbone:
        """BatchNorm folded; all in float32.

        Rounded to bfloat16, any of its parts moves one box in twenty by more than a pixel.
        """
        fold_batch_norm(self)
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to {"0": Tensor[B, out_channels, H / 8, W / 8]}."""
        x = F.relu(self.stem(images))
        stride4 = self.stages[0](x)
        stride8 = self.stages[1](stride4)
        stride16 = self.stages[2](stride8)
        context = F.interpolate(self.context(stride16), size=stride8.shape[-2:], mode="nearest")
        return OrderedDict({"0": F.relu(self.output(self.lateral(stride8) + context))})
