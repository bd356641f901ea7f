"""Pure functions of tensors: the operator of the paper and its backends."""

from trovid.ops.backends import backends
from trovid.ops.most_similar import most_similar_roi_align
from trovid.ops.packed import PackedSupport, pack_support
from trovid.ops.roi_align import roi_align
from trovid.ops.temporal_attention import temporal_attention
from trovid.ops.temporal_roi_align import temporal_roi_align

__all__ = [
    "PackedSupport",
    "backends",
    "most_similar_roi_align",
    "pack_support",
    "roi_align",
    "temporal_attention",
    "temporal_roi_align",
]
