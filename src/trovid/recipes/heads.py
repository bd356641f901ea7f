"""The methods that are compared: a recipe with Temporal RoI Align, with SELSA, with both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trovid.recipes.instance_schema import TrackingRecipe
from trovid.recipes.schema import (
    AggregationRecipe,
    ModelRecipe,
    Origin,
    Recipe,
    TorchvisionModelRecipe,
)
from trovid.recipes.support_schema import (
    SupportRecipe,
)


def with_heads(
    base: Recipe,
    name: str,
    *,
    title: str,
    temporal: SupportRecipe | None = None,
    selsa_heads: int = 0,
    hidden: tuple[int, ...] | None = None,
    aggregation: AggregationRecipe | None = None,
    published: float | None = None,
    remarks: dict[str, str] | None = None,
    **others: Any,
) -> Recipe:
    """The recipe of a single-frame detector with one of the methods, or two.

    Args:
        base: The recipe.
        name: Of the new one.
        title: Of the new one.
        temporal: Temporal RoI Align or a rival, if that is wanted.
        selsa_heads: Heads of SELSA's attention; 0 for none.
        hidden: Widths of the fully connected layers, where they are others.
        aggregation: Of whole maps, if that is wanted.
        published: The figure that others state.
        remarks: On values that differ from the base's, by dotted key.
        others: Other keys of the recipe that differ.
    """
    parts = base.model
    assert isinstance(parts, ModelRecipe)
    model = replace(
        parts,
        aggregation=aggregation,
        roi=replace(parts.roi, temporal=temporal),
        box_head=replace(
            parts.box_head, selsa_heads=selsa_heads, hidden=hidden or parts.box_head.hidden
        ),
    )
    origin = Origin(title=title, base=base, remarks=remarks or {})
    return replace(base, name=name, published=published, model=model, origin=origin, **others)


def with_temporal(recipe: Recipe, temporal: SupportRecipe | None) -> Recipe:
    """The same with another way to take RoI features from support frames."""
    model: Any = recipe.model
    if isinstance(model, TorchvisionModelRecipe):
        changed = replace(model, temporal=temporal)
    else:
        changed = replace(model, roi=replace(model.roi, temporal=temporal))
    return replace(recipe, model=changed)


def with_tracking(recipe: Recipe, tracking: TrackingRecipe) -> Recipe:
    """The same whose detections find their identities in another way."""
    return replace(recipe, inference=replace(recipe.inference, tracking=tracking))
