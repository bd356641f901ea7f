"""From one feature map to RoI features, in one way a file."""

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.nn.extractors.deformable_roi_align import DeformableRoIAlign
from trovid.nn.extractors.non_local import NonLocalRoIAlign
from trovid.nn.extractors.roi_align import RoIAlign
from trovid.nn.extractors.temporal_roi_align import TemporalAttentionEmbedding, TemporalRoIAlign
from trovid.nn.extractors.training_free import TrainingFreeRoIAlign

__all__ = [
    "DeformableRoIAlign",
    "Extractor",
    "NonLocalRoIAlign",
    "RoIAlign",
    "Sight",
    "TemporalAttentionEmbedding",
    "TemporalRoIAlign",
    "TrainingFreeRoIAlign",
]
