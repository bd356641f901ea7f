"""Convolutions that bound their result while they convolve, with weights laid out once.

In a network of many small convolutions, as EfficientNet-Lite is one, ReLU6 passes over every map
once more, and oneDNN brings the weights into its own order at every call.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from trovid.nn import onednn


def fuse_activations(module: nn.Module) -> None:
    """Replaces each convolution whose BatchNorm is folded, with the ReLU6 behind it.

    Args:
        module: Changed in place; for inference on a CPU where `onednn.available()`.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv2dNormActivation):
                convolution, *rest = [m for m in child if not isinstance(m, nn.Identity)]
                relu6 = [isinstance(m, nn.ReLU6) for m in rest]
                if isinstance(convolution, nn.Conv2d) and relu6 in ([], [True]):
                    setattr(parent, name, FusedConvolution(convolution, relu6=bool(relu6)))


class FusedConvolution(nn.Module):
    """A convolution in one call of oneDNN.

    Args:
        convolution: With zeros as padding; its weights must not change afterwards.
        relu6: Whether ReLU6 follows it.
    """

    def __init__(self, convolution: nn.Conv2d, *, relu6: bool) -> None:
        super().__init__()
        self.convolution = convolution
        self.relu6 = relu6
        self._laid_out: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: the layout is the processor's own."""
        return {**self.__dict__, "_laid_out": None}

    def forward(self, x: Tensor) -> Tensor:
        """Tensor[B, C_in, H, W] to Tensor[B, C, H', W']."""
        convolution = self.convolution
        if torch.compiler.is_compiling() or not onednn.fuses(x):
            y = convolution(x)
            return F.relu6(y) if self.relu6 else y
        how = convolution.padding, convolution.stride, convolution.dilation, convolution.groups
        if self._laid_out is None:
            size = list(x.shape)
            self._laid_out = torch.ops.mkldnn._reorder_convolution_weight(
                convolution.weight, *how, size
            )
        bounds = ("hardtanh", [0.0, 6.0], "") if self.relu6 else ("none", [], "")
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._laid_out, convolution.bias, *how, *bounds
        )
