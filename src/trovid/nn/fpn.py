"""The feature pyramid network (Lin et al., Feature Pyramid Networks, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool


class FeaturePyramid(nn.Module):
    """torchvision's pyramid on the stages of a backbone, with one coarser level for the RPN.

    Args:
        level_channels: Channels of the stages by name (conv2 to conv5), finest first.
        channels: Channels of every level that comes out.

    Attributes:
        level_channels: Channels of the levels that come out: p2 for conv2 and so on, and one more
            of half the last one's size.

    Raises:
        ValueError: If a stage is not named so, or they do not follow each other.

    Example:
        >>> import torch
        >>> pyramid = FeaturePyramid({"conv4": 8, "conv5": 16}, 4)
        >>> maps = {"conv4": torch.rand(1, 8, 8, 10), "conv5": torch.rand(1, 16, 4, 5)}
        >>> {name: list(level.shape[1:]) for name, level in pyramid(maps).items()}
        {'p4': [4, 8, 10], 'p5': [4, 4, 5], 'p6': [4, 2, 3]}
    """

    def __init__(self, level_channels: Mapping[str, int], channels: int) -> None:
        super().__init__()
        numbers = [int(name.removeprefix("conv")) for name in level_channels]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise ValueError(
                "`level_channels` must name stages that follow each other, such as conv2 to "
                f"conv5, but names {list(level_channels)}"
            )
        self.network = FeaturePyramidNetwork(
            list(level_channels.values()), channels, extra_blocks=LastLevelMaxPool()
        )
        names = [f"p{number}" for number in [*numbers, numbers[-1] + 1]]
        self.level_channels = dict.fromkeys(names, channels)

    def forward(self, stages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The stages, Tensor[B, C_l, H_l, W_l] each, to the levels, Tensor[B, C, H_l, W_l] each."""
        levels = self.network(dict(stages))
        return dict(zip(self.level_channels, levels.values(), strict=True))
