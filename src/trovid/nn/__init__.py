"""Modules that own weights: RoI features, SELSA's attention, the box head, the RPN."""

from trovid.nn.box_head import BoxHead
from trovid.nn.extractors import (
    DeformableRoIAlign,
    Extractor,
    NonLocalRoIAlign,
    RoIAlign,
    TemporalRoIAlign,
    TrainingFreeRoIAlign,
)
from trovid.nn.fpn import FeaturePyramid
from trovid.nn.level_pooler import LevelPooler
from trovid.nn.mask_head import MaskHead
from trovid.nn.selsa import SelsaAttention
from trovid.nn.similarity_aggregation import SimilarityAggregation
from trovid.nn.track_head import TrackHead

__all__ = [
    "BoxHead",
    "DeformableRoIAlign",
    "Extractor",
    "FeaturePyramid",
    "LevelPooler",
    "MaskHead",
    "NonLocalRoIAlign",
    "RoIAlign",
    "SelsaAttention",
    "SimilarityAggregation",
    "TemporalRoIAlign",
    "TrackHead",
    "TrainingFreeRoIAlign",
]
