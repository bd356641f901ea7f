"""Modules that own weights: Temporal RoI Align, SELSA's attention, the box head."""

from trovid.nn.box_head import BoxHead
from trovid.nn.multi_scale_roi_align import MultiScaleRoIAlign
from trovid.nn.selsa import SelsaAttention
from trovid.nn.temporal_roi_align import MultiScaleTemporalRoIAlign, TemporalRoIAlign

__all__ = [
    "BoxHead",
    "MultiScaleRoIAlign",
    "MultiScaleTemporalRoIAlign",
    "SelsaAttention",
    "TemporalRoIAlign",
]
