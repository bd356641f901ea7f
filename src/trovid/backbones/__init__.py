"""Backbones: an image in, a dict of feature maps out, finest level first.

Each has `level_channels`, the channels of each level that it returns, by name.
"""

from trovid.backbones.resnet import ResNetBackbone
from trovid.backbones.small import SmallBackbone
from trovid.backbones.timm import TimmBackbone

__all__ = ["ResNetBackbone", "SmallBackbone", "TimmBackbone"]
