"""Temporal RoI Align and its two halves; `api` is the operator, `reference` the equations."""

from trovid.ops.temporal_roi_align.api import temporal_roi_align
from trovid.ops.temporal_roi_align.backends import backends
from trovid.ops.temporal_roi_align.most_similar import most_similar_roi_align
from trovid.ops.temporal_roi_align.packed import PackedSupport, pack_support
from trovid.ops.temporal_roi_align.temporal_attention import temporal_attention

__all__ = [
    "PackedSupport",
    "backends",
    "most_similar_roi_align",
    "pack_support",
    "temporal_attention",
    "temporal_roi_align",
]
