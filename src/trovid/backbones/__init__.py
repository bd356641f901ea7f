"""Backbones: an image in, a dict of feature maps out, finest level first."""

from trovid.backbones.contract import Backbone
from trovid.backbones.efficientnet_lite import EfficientNetLiteBackbone
from trovid.backbones.resnet import ResNetBackbone
from trovid.backbones.small import SmallBackbone
from trovid.backbones.timm import TimmBackbone

__all__ = [
    "Backbone",
    "EfficientNetLiteBackbone",
    "ResNetBackbone",
    "SmallBackbone",
    "TimmBackbone",
]
