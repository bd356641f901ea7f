"""The detector as it runs at inference: the same products in fewer and faster steps.

BatchNorm goes into the convolutions before it, weights lie channels last, residual sums are made by
the convolutions (on a CPU), the first fully connected layer becomes a convolution over the RoI grid
(on a CPU in float32, where its kernel is twice as fast), and with a lower precision the later parts
of the backbone and that layer compute in it. All else stays in float32, Temporal RoI Align above
all; the rounding of the image, of the first stages and of the RPN would move one box in thirty by
more than a pixel (another choice among nearly equal proposals).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trovid.errors import TrovidError
from trovid.models.backbones import ResNetBackbone, SmallBackbone, TimmBackbone
from trovid.models.detector import Detector
from trovid.models.fused_residual import fuse_residuals
from trovid.nn.box_head import RoILinear

LOW_PRECISION: dict[type[nn.Module], tuple[str, ...]] = {
    ResNetBackbone: ("layer3", "layer4", "reduction"),
    SmallBackbone: (),
    TimmBackbone: ("reduction",),
}
"""The parts of a backbone that compute in the lower precision: those of its coarsest maps. None of
the small one's: rounded to bfloat16, any of them moves one box in twenty by more than a pixel."""

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def for_inference(
    detector: Detector,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    channels_last: bool = True,
) -> Detector:
    """The detector for inference on a device.

    The original keeps its parts and its values, but goes into eval mode and to the device, and its
    weights lie channels last or first; what needs no other form is shared with it.

    Args:
        detector: Whose weights are used.
        device: Where it will run.
        precision: "float32", "bf16" or "fp16" (on a GPU).
        channels_last: Whether weights and maps lie channels last, which is faster. Otherwise a
            detector taken over from torchvision computes what torchvision's does, bit by bit.

    Raises:
        TrovidError: If there is no such precision, or not on that device.
    """
    device = torch.device(device)
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise TrovidError(f"the precision must be one of {known}, but is {precision!r}")
    if precision == "fp16" and device.type == "cpu":
        raise TrovidError("the precision fp16 needs a GPU: use bf16 or float32 on a CPU")
    dtype = PRECISIONS[precision]
    on_cpu = channels_last and device.type == "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    detector = _share(detector.eval().to(device).to(memory_format=layout))
    if isinstance(detector.backbone, ResNetBackbone | SmallBackbone):
        fold_batch_norm(detector.backbone)
        if on_cpu and torch.backends.mkldnn.is_available():
            fuse_residuals(detector.backbone)
    first = detector.box_head.layers[0]
    if on_cpu and dtype == torch.float32 and isinstance(first, RoILinear):
        first = RoIConvolution(first, detector.roi_grid)
    if dtype != torch.float32:
        for name in LOW_PRECISION.get(type(detector.backbone), ()):
            parent, _, child = name.rpartition(".")
            module = detector.backbone.get_submodule(name)
            setattr(detector.backbone.get_submodule(parent), child, LowPrecision(module, dtype))
        first = LowPrecision(first, dtype)
    detector.box_head.layers[0] = first
    return detector


def _share(detector: Detector) -> Detector:
    """Modules of its own around the same parameters and buffers."""
    tensors = [*detector.parameters(), *detector.buffers()]
    return copy.deepcopy(detector, {id(tensor): tensor for tensor in tensors})


def fold_batch_norm(module: nn.Module) -> None:
    """Puts each BatchNorm into the convolution that stands just before it in the same module.

    Args:
        module: Changed in place; in eval mode; whose modules run in the order of their definition.
    """
    for parent in list(module.modules()):
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
            before = name, child


class RoIConvolution(nn.Module):
    """A fully connected layer on RoI features as one convolution of the RoI grid's size.

    Args:
        linear: Whose weights are taken.
        grid: (h, w) of the RoI features.
    """

    def __init__(self, linear: RoILinear, grid: tuple[int, int]) -> None:
        super().__init__()
        weight = linear.weight.detach().unflatten(1, (-1, *grid))
        weight = weight.contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = linear.bias

    def forward(self, roi_features: Tensor) -> Tensor:
        """Tensor[R, C, h, w] to Tensor[R, D]."""
        return F.conv2d(roi_features, self.weight, self.bias).flatten(1)


class LowPrecision(nn.Module):
    """Runs a module in a lower precision; what goes in and comes out is float32.

    Args:
        module: A copy of it is converted.
        dtype: The lower precision.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).to(dtype)
        self.dtype = dtype

    def forward(self, value: Any) -> Any:
        """A tensor, a list or a dict of tensors to what the module makes of it."""
        return _cast(self.module(_cast(value, self.dtype)), torch.float32)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, Mapping):
        return {name: _cast(part, dtype) for name, part in value.items()}
    if isinstance(value, Sequence):
        return type(value)(_cast(part, dtype) for part in value)
    raise AssertionError(f"not tensors: {type(value)}")
