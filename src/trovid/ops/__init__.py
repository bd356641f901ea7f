"""Pure functions of tensors: the operator of the paper, its backends, and its rivals."""

from trovid.ops.deform_roi_align import deform_roi_align
from trovid.ops.non_local import non_local
from trovid.ops.roi_align import roi_align
from trovid.ops.similarity_aggregation import similarity_aggregation
from trovid.ops.temporal_roi_align import (
    PackedSupport,
    backends,
    most_similar_roi_align,
    pack_support,
    temporal_attention,
    temporal_roi_align,
)

__all__ = [
    "PackedSupport",
    "backends",
    "deform_roi_align",
    "most_similar_roi_align",
    "non_local",
    "pack_support",
    "roi_align",
    "similarity_aggregation",
    "temporal_attention",
    "temporal_roi_align",
]
