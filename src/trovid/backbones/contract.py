"""What trovid asks of a backbone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from trovid.nn.batch_norm import keep_statistics
from trovid.nn.inference_form import InferenceForm


class Backbone(nn.Module):
    """Images to a dict of feature maps, finest level first.

    Attributes:
        level_channels: Channels of each level that is returned, by name.
    """

    level_channels: dict[str, int]

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the levels, Tensor[B, C, H / stride, W / stride] each."""

    def fixed(self) -> Iterable[nn.Module]:
        """The parts whose BatchNorm keeps its statistics in training; all of them by default."""
        return [self]

    def train(self, mode: bool = True) -> Backbone:
        """Training mode, apart from BatchNorm that keeps its statistics."""
        super().train(mode)
        for part in self.fixed():
            keep_statistics(part)
        return self

    def inference_form(self, form: InferenceForm) -> Backbone:
        """See `trovid.nn.inference_form`."""
        return self

    def network_state(self) -> dict[str, Tensor]:
        """The tensors that a classification network's weights start, by its names for them.

        None of the other parts (the reduction, a feature pyramid); empty where no such weights are
        published.
        """
        return {}

    def network_key(self, name: str) -> str:
        """A tensor's name as this network and the published one share it."""
        return name
