"""Residual blocks that add into the shortcut while they convolve.

On a CPU the sum at the end of a block costs more than its arithmetic: the last convolution's result
is a new map of many channels (39 MB in conv2 at 600x1000), which the system must first find memory
for, and which is then read and written twice more, for the sum and for ReLU. oneDNN convolves, adds
and rectifies in one pass over the shortcut's own memory, where maps lie channels last.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from trovid.nn import onednn


def fuse_residuals(module: nn.Module) -> None:
    """Replaces each bottleneck whose BatchNorm is folded.

    Args:
        module: Changed in place; for inference on a CPU where `onednn.available()`.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Bottleneck) and isinstance(child.bn3, nn.Identity):
                setattr(parent, name, FusedBottleneck(child))


class FusedBottleneck(nn.Module):
    """A bottleneck that may write its result into its input.

    So the map that goes in must not be read afterwards: between two blocks of a stage nobody else
    does. Where the block has a shortcut of its own, as every first one of a stage, the input stays.

    Args:
        block: Whose convolutions are taken.
    """

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = block.conv1, block.conv2, block.conv3
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """Tensor[B, C_in, H, W] to Tensor[B, C, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu_(self.conv2(F.relu_(self.conv1(x))))
        if torch.compiler.is_compiling() or not (onednn.fuses(y) and onednn.fuses(shortcut)):
            return F.relu(self.conv3(y) + shortcut)
        last = self.conv3
        return torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut,
            y,
            last.weight,
            last.bias,
            *(last.padding, last.stride, last.dilation, last.groups),
            *("add", 1.0, "relu", [], None),
        )
