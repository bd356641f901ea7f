"""From one feature map to RoI features, in one way a file."""

from trovid.nn.extractors.contract import Extractor, Sight
from trovid.nn.extractors.roi_align import RoIAlign
from trovid.nn.extractors.temporal_roi_align import TemporalAttentionEmbedding, TemporalRoIAlign

__all__ = ["Extractor", "RoIAlign", "Sight", "TemporalAttentionEmbedding", "TemporalRoIAlign"]
