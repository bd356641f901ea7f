"""BatchNorm that keeps its statistics in training, and that is folded away at inference."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def keep_statistics(module: nn.Module) -> None:
    """Lets each BatchNorm use the statistics that it has, and leave them alone, until `train`."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


class FixedStatistics(nn.Sequential):
    """Layers whose BatchNorm keeps its statistics in training too."""

    def train(self, mode: bool = True) -> FixedStatistics:
        """Training mode, apart from BatchNorm."""
        super().train(mode)
        keep_statistics(self)
        return self


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
