"""The form that parts take for inference: the same products in fewer and faster steps.

A part that has one says so itself, by a method `inference_form(form)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class InferenceForm:
    """What is asked of the parts.

    Attributes:
        dtype: What the parts that bear it compute in.
        onednn: Whether oneDNN computes what torch leaves to slower kernels (`onednn.available()`).
    """

    dtype: torch.dtype = torch.float32
    onednn: bool = False


def inference_form(part: nn.Module, form: InferenceForm) -> nn.Module:
    """What takes the place of a part: itself, where it has no other form.

    Args:
        part: In eval mode; it may be changed in place, but for its tensors.
        form: What is asked of it.
    """
    method = getattr(part, "inference_form", None)
    return part if method is None else method(form)
