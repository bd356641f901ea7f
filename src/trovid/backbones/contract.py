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

    def inference_form(self, form: InferenceForm) -> nn.Module:
        """See `trovid.nn.inference_form`."""
        return self
