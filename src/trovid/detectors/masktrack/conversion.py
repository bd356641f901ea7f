"""The names of published MaskTrack R-CNN checkpoints, beside those of Faster R-CNN's."""

from __future__ import annotations

from trovid.detectors.faster_rcnn.conversion import RULES as BOX_RULES

RULES: tuple[tuple[str, str], ...] = (
    (
        r"detector\.neck\.lateral_convs\.(\d+)\.conv\.(\w+)",
        r"backbone.pyramid.network.inner_blocks.\1.0.\2",
    ),
    (
        r"detector\.neck\.fpn_convs\.(\d+)\.conv\.(\w+)",
        r"backbone.pyramid.network.layer_blocks.\1.0.\2",
    ),
    (r"detector\.roi_head\.mask_head\.convs\.(\d+)\.conv\.(\w+)", r"mask_head.layers.\1.\2"),
    (r"detector\.roi_head\.mask_head\.upsample\.(\w+)", r"mask_head.upsample.\1"),
    (r"detector\.roi_head\.mask_head\.conv_logits\.(\w+)", r"mask_head.mask_logits.\1"),
    (r"track_head\.embed_head\.fcs\.(\d+)\.(\w+)", r"track_head.layers.\1.\2"),
    *BOX_RULES,
)
"""Pattern of a published key and the key of trovid's state."""
