"""The backbone of one of torchvision's detectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trovid.backbones import Backbone


class TorchvisionBackbone(Backbone):
    """The backbone of a torchvision detector, its feature pyramid included.

    Args:
        network: The module, which returns a dict of levels or one level.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        reference = next(network.parameters())
        with torch.no_grad():
            levels = self(reference.new_zeros(1, 3, 64, 64))
        self.levels = tuple(levels)
        self.strides = {name: 64 // level.shape[-1] for name, level in levels.items()}
        self.level_channels = {name: level.shape[1] for name, level in levels.items()}

    def network_state(self) -> dict[str, Tensor]:
        """See `Backbone.network_state`."""
        return self.network.get_submodule("body").state_dict()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the levels, finest first."""
        levels = self.network(images)
        return {"0": levels} if isinstance(levels, Tensor) else levels
