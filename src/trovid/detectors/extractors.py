"""From what a recipe says of RoI features to their extractor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from trovid.nn import (
    DeformableRoIAlign,
    Extractor,
    LevelPooler,
    NonLocalRoIAlign,
    RoIAlign,
    TemporalRoIAlign,
    TrainingFreeRoIAlign,
)
from trovid.recipes import (
    DeformableRecipe,
    NonLocalRecipe,
    SupportRecipe,
    TemporalRecipe,
    TrainingFreeRecipe,
)


def build_pooler(
    recipe: SupportRecipe | None,
    levels: Sequence[str],
    channels: int,
    *,
    pooling: dict[str, Any],
    searched: str = "own",
    **options: Any,
) -> LevelPooler:
    """RoI features of the levels, with what the recipe says of support frames.

    Args:
        recipe: None for plain RoIAlign.
        levels: Names of the levels, finest first.
        channels: C of the levels.
        pooling: RoIAlign's `output_size`, `sampling_ratio` and, where it is not the default,
            `aligned`.
        searched: Which level of the support frames a proposal searches (`LevelPooler`), where the
            recipe does not say.
        options: Further ones of `LevelPooler`.
    """
    if isinstance(recipe, TrainingFreeRecipe):
        searched = searched if recipe.searched == "own" else recipe.searched
        options["searching"] = recipe.searching
    return LevelPooler(
        build_extractor(recipe, channels, pooling), levels, searched=searched, **options
    )


def build_extractor(
    recipe: SupportRecipe | None, channels: int, pooling: dict[str, Any]
) -> Extractor:
    """The extractor alone; see `build_pooler`."""
    if recipe is None:
        return RoIAlign(**pooling)
    names = [field.name for field in dataclasses.fields(recipe)]
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in names if name != "name"}
    if isinstance(recipe, TemporalRecipe):
        return TemporalRoIAlign(**pooling, channels=channels, **settings)
    if isinstance(recipe, DeformableRecipe):
        return DeformableRoIAlign(**pooling, channels=channels, **settings)
    if isinstance(recipe, NonLocalRecipe):
        return NonLocalRoIAlign(**pooling, channels=channels, **settings)
    del settings["searched"], settings["searching"]
    return TrainingFreeRoIAlign(**pooling, **settings)
