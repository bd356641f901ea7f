"""Modules that own weights: RoI features, SELSA's attention, the box head, the RPN."""

from trovid.nn.box_head import BoxHead
from trovid.nn.extractors import Extractor, RoIAlign, TemporalRoIAlign
from trovid.nn.level_pooler import LevelPooler
from trovid.nn.selsa import SelsaAttention

__all__ = [
    "BoxHead",
    "Extractor",
    "LevelPooler",
    "RoIAlign",
    "SelsaAttention",
    "TemporalRoIAlign",
]
