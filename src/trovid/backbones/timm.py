"""Any backbone of the library timm that gives feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trovid.backbones.contract import Backbone
from trovid.backbones.reduction import Reduction
from trovid.errors import TrovidError
from trovid.nn.inference_form import InferenceForm
from trovid.nn.low_precision import lower_precision


class TimmBackbone(Backbone):
    """A network of timm, by name, with random weights; needs `pip install trovid[timm]`.

    Args:
        model: Its name in timm, e.g. "convnext_atto" or "resnet50d".
        levels: Names of the modules whose maps are returned, finest first (timm's
            `feature_info.module_name()`), e.g. "stages.2" or "layer3".
        reduction: For some of the levels the channels that a 3x3 convolution with ReLU leaves.
        output_stride: 8, 16 or 32: the stride of the last map, by dilation, where the network has
            that option; None for its own.

    Raises:
        TrovidError: If timm is not installed, or has no such model, level or stride.
    """

    def __init__(
        self,
        model: str,
        *,
        levels: Sequence[str],
        reduction: Mapping[str, int],
        output_stride: int | None = None,
    ) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise TrovidError(
                f"the backbone {model!r} needs the package timm: pip install 'trovid[timm]'"
            ) from error
        options: dict[str, Any] = {} if output_stride is None else {"output_stride": output_stride}
        try:
            with torch.device("cpu"):  # timm reads numbers off tensors, which "meta" has none of
                network: Any = timm.create_model(
                    model, pretrained=False, features_only=True, **options
                )
        except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
            raise TrovidError(f"timm cannot make {model!r} with feature maps ({error})") from error
        names: list[str] = network.feature_info.module_name()
        channels = dict(zip(names, network.feature_info.channels(), strict=True))
        unknown = [level for level in levels if level not in channels]
        if unknown:
            raise TrovidError(
                f"{model} has no level {unknown[0]!r}; there are: {', '.join(channels)}"
            )
        self.network = network.to(torch.get_default_device())
        self.positions = {level: names.index(level) for level in levels}
        self.reduction = Reduction({level: channels[level] for level in levels}, reduction)
        self.level_channels = self.reduction.level_channels

    def inference_form(self, form: InferenceForm) -> TimmBackbone:
        """The reduction in low precision."""
        self.reduction = lower_precision(self.reduction, form.dtype)
        return self

    def network_state(self) -> dict[str, Tensor]:
        """See `Backbone.network_state`."""
        return self.network.state_dict()

    def network_key(self, name: str) -> str:
        """Timm's feature networks say `stages_0` for `stages.0`."""
        return name.replace("_", ".")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the levels, Tensor[B, C, H / stride, W / stride] each."""
        maps = self.network(images)
        return self.reduction({level: maps[i] for level, i in self.positions.items()})
