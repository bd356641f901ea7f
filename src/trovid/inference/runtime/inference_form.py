"""The detector as it runs at inference: the same products in fewer and faster steps.

Each part says itself what it becomes (`inference_form`): BatchNorm goes into the convolutions
before it, on a CPU residual sums are made by the convolutions and oneDNN multiplies what torch
leaves to slower kernels, and the parts that bear a lower precision compute in it. Weights lie
channels last.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch

from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.nn import onednn
from trovid.nn.inference_form import InferenceForm

Kind = TypeVar("Kind", bound=VideoDetector)
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def for_inference(
    detector: Kind,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    channels_last: bool = True,
) -> Kind:
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
    shared = _share(detector.eval().to(device).to(memory_format=layout))
    return shared.inference_form(InferenceForm(dtype=dtype, onednn=fast))


def _share(detector: Kind) -> Kind:
    """Modules of its own around the same parameters and buffers."""
    tensors = [*detector.parameters(), *detector.buffers()]
    return copy.deepcopy(detector, {id(tensor): tensor for tensor in tensors})
