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
from trovid.nn.level_pooler import LevelPooler
from trovid.nn.selsa import SelsaAttention
from trovid.nn.similarity_aggregation import SimilarityAggregation

__all__ = [
    "BoxHead",
    "DeformableRoIAlign",
    "Extractor",
    "LevelPooler",
    "NonLocalRoIAlign",
    "RoIAlign",
    "SelsaAttention",
    "SimilarityAggregation",
    "TemporalRoIAlign",
    "TrainingFreeRoIAlign",
]
