"""The detector as it runs at inference: the same products in fewer and faster steps.

BatchNorm goes into the convolutions before it, and weights lie channels last. On a CPU residual
sums are made by the convolutions, and oneDNN multiplies what torch leaves to slower kernels. With a
lower precision the later parts of the backbone and the first fully connected layer compute in it.
All else stays in float32, Temporal RoI Align above all; the rounding of the image, of the first
stages and of the RPN would move one box in thirty by more than a pixel (another choice among nearly
equal proposals).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trovid.backbones import ResNetBackbone, SmallBackbone, TimmBackbone
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.errors import TrovidError
from trovid.nn import onednn
from trovid.nn.box_head import BoxHead
from trovid.nn.fused_residual import fuse_residuals
from trovid.nn.selsa import SelsaAttention

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
    weights lie channels last or first; what needs no other form is shared with it. It has no
    gradients: call it under `torch.inference_mode()`.

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
    fast = channels_last and device.type == "cpu" and onednn.available()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    detector = _share(detector.eval().to(device).to(memory_format=layout))
    if isinstance(detector.backbone, ResNetBackbone | SmallBackbone):
        fold_batch_norm(detector.backbone)
        if fast:
            fuse_residuals(detector.backbone)
    if dtype != torch.float32:
        for name in LOW_PRECISION.get(type(detector.backbone), ()):
            parent, _, child = name.rpartition(".")
            module = detector.backbone.get_submodule(name)
            setattr(detector.backbone.get_submodule(parent), child, LowPrecision(module, dtype))
        detector.box_head.layers[0] = LowPrecision(detector.box_head.layers[0], dtype)
    if fast:
        _through_onednn(detector.box_head)
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


def _through_onednn(box_head: BoxHead) -> None:
    """Lets oneDNN compute fully connected layers and attention. Changes them in place."""
    for parent in list(box_head.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, onednn.Linear(child))
        if isinstance(parent, SelsaAttention):
            parent.attend = onednn.attend


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
