"""Fewer channels for some levels of a backbone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class Reduction(nn.ModuleDict):
    """A 3x3 convolution with ReLU on each level that has one; the others pass as they are.

    Args:
        level_channels: Channels of each level that comes in, finest first.
        reduction: Channels of the levels to be reduced.

    Raises:
        ValueError: If `reduction` names a level that does not come in.
    """

    def __init__(self, level_channels: Mapping[str, int], reduction: Mapping[str, int]) -> None:
        unknown = sorted(reduction.keys() - level_channels.keys())
        if unknown:
            raise ValueError(
                f"`reduction` must name levels of {list(level_channels)}, but names {unknown}"
            )
        super().__init__(
            {
                _key(name): nn.Conv2d(level_channels[name], channels, 3, padding=1)
                for name, channels in reduction.items()
            }
        )
        self.level_channels = {**level_channels, **reduction}

    def forward(self, levels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Levels of Tensor[B, C, H, W] by name to the same with fewer channels."""
        return OrderedDict(
            (name, F.relu(self[_key(name)](level)) if _key(name) in self else level)
            for name, level in levels.items()
        )


def _key(name: str) -> str:
    """A level's name as a module's: without dots."""
    return name.replace(".", "_")
