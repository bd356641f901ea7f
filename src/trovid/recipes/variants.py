"""The variants of the paper's Tables 1 to 4: what takes the place of Temporal RoI Align."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trovid.recipes.support_schema import (
    DeformableRecipe,
    NonLocalRecipe,
    SupportRecipe,
    TemporalRecipe,
)


@dataclass(frozen=True)
class Variant:
    """A single-frame detector with one way to use support frames.

    Attributes:
        title: What it is.
        temporal: What takes the place of Temporal RoI Align.
        published: The paper's figure with ResNet-101.
    """

    title: str
    temporal: SupportRecipe
    published: float


def variants(temporal: TemporalRecipe, *, hidden: int) -> Mapping[str, Variant]:
    """The variants by the end of their recipes' names.

    Args:
        temporal: Temporal RoI Align as the family of recipes has it; the variants keep all of its
            values but their own.
        hidden: Width of the layers that predict the offsets of modulated deformable RoI Align.
    """
    moved = DeformableRecipe(
        num_heads=temporal.num_heads,
        embedding=temporal.embedding,
        bias=temporal.bias,
        logit_scale=temporal.logit_scale,
        hidden=hidden,
    )
    mean = "averaging in place of temporal attention"
    deformable = "modulated deformable RoI Align in place of Most Similar RoI Align"
    found = {
        "ms-average": Variant(f"Temporal RoI Align, {mean}", replace(temporal, num_heads=0), 78.5),
        "md-average": Variant(f"{deformable}, {mean}", replace(moved, num_heads=0), 68.5),
        "md-attention": Variant(f"{deformable}, temporal attention", moved, 76.6),
        "non-local": Variant("RoIAlign, then Non-Local", NonLocalRecipe(top_k=None), 77.9),
        "non-local-top-k": Variant(
            "RoIAlign, then Non-Local with the 4 largest weights", NonLocalRecipe(top_k=4), 78.4
        ),
    }
    for key, letter, figures in (("top_k", "K", TABLE_3), ("num_heads", "N", TABLE_4)):
        for value, figure in figures.items():
            if value != getattr(temporal, key):
                title = f"Temporal RoI Align, {letter} = {value}"
                changed = replace(temporal, **{key: value})
                found[f"troi-{letter.lower()}{value}"] = Variant(title, changed, figure)
    return found


TABLE_3 = dict(zip(range(1, 7), (79.3, 79.8, 80.2, 80.5, 80.4, 80.2), strict=True))
"""The paper's figure of each K."""
TABLE_4 = dict(zip((1, 2, 4, 8, 16, 32), (79.5, 80.1, 80.5, 80.5, 80.4, 80.3), strict=True))
"""The paper's figure of each N."""
