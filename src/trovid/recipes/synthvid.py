"""SynthVID's recipes: small enough to be trained on two cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from trovid.recipes.backbone_schema import SmallBackboneRecipe
from trovid.recipes.heads import with_heads
from trovid.recipes.instance_schema import MaskHeadRecipe, TrackHeadRecipe
from trovid.recipes.schema import (
    AggregationRecipe,
    BoxHeadRecipe,
    ImageRecipe,
    InferenceRecipe,
    ModelRecipe,
    Origin,
    Recipe,
    RoIRecipe,
    RPNRecipe,
    TrainingRecipe,
)
from trovid.recipes.support_schema import (
    TemporalRecipe,
)
from trovid.recipes.variants import Variant, variants

CLASSES = (
    "aeroplane anchor club cup envelope flag gear heart knight note pencil recycling rook "
    "scissors skull snowflake star sun telephone umbrella"
)
TEMPORAL = TemporalRecipe(top_k=4, num_heads=4, embedding="grouped", bias=True, logit_scale=1.0)
CLIPS = 1600
"""That are trained on."""


def start() -> Recipe:
    """The single-frame detector that the four others start from."""
    return Recipe(
        name="synthvid-start",
        model=START_MODEL,
        image=ImageRecipe(shorter=160, longer=288, divisor=16),
        inference=InferenceRecipe(
            support="uniform:14", target_among_support=False, nms=0.5, max_detections=100
        ),
        training=TrainingRecipe(
            start=None,
            videos=CLIPS,
            steps=3000,
            batch=16,
            support_frames=0,
            support_window=None,
            learning_rate=0.0015,
            warmup=100,
            weight_decay=0.01,
            clip_norm=5.0,
            colour_augmentation=True,
            bfloat16=True,
        ),
        origin=Origin(title="SynthVID: the single-frame detector that the four others start from"),
    )


START_MODEL = ModelRecipe(
    classes=tuple(CLASSES.split()),
    backbone=SmallBackboneRecipe(
        name="small", widths=(32, 48, 96, 160), blocks=(2, 2, 1), out_channels=96, frozen_stages=0
    ),
    rpn=RPNRecipe(
        anchor_sizes=((28, 42, 62),),
        aspect_ratios=(0.7, 1.0, 1.4),
        pre_nms=(400, 200),
        post_nms=(48, 32),
        nms=0.7,
        samples=64,
    ),
    roi=RoIRecipe(levels=("0",), output_size=7, sampling_ratio=2, temporal=None),
    box_head=BoxHeadRecipe(hidden=(192, 192), selsa_heads=0, class_agnostic=True, samples=32),
)


def single() -> Recipe:
    """Faster R-CNN, trained further as those with support frames are."""
    base = start()
    return replace(
        base,
        name="synthvid-single",
        model=replace(
            START_MODEL,
            backbone=replace(START_MODEL.backbone, frozen_stages=2),
            box_head=replace(START_MODEL.box_head, samples=16),
        ),
        training=replace(
            base.training,
            start="synthvid-start",
            steps=1600,
            batch=4,
            support_frames=3,
            mutual_support=True,
            learning_rate=0.0006,
        ),
        origin=Origin(title="SynthVID: single-frame Faster R-CNN", base=base),
    )


def fgfa() -> Recipe:
    """The single-frame detector with FGFA's aggregation, without flow."""
    base = single()
    return with_heads(
        base,
        "synthvid-fgfa",
        title="SynthVID: FGFA's aggregation by similarity, without flow",
        aggregation=AggregationRecipe(level="0"),
        inference=replace(base.inference, support="consecutive:14"),
        training=replace(base.training, support_window=9),
    )


def variant(name: str, variation: Variant) -> Recipe:
    """The single-frame detector with a variant of Temporal RoI Align."""
    title = f"SynthVID: {variation.title}"
    return with_heads(single(), name, title=title, temporal=variation.temporal)


def masktrack() -> Recipe:
    """MaskTrack R-CNN: masks, and embeddings that tell the objects of a clip apart."""
    base = single()
    return replace(
        base,
        name="synthvid-masktrack",
        model=replace(
            base.model,
            mask_head=MaskHeadRecipe(
                output_size=14, channels=64, convolutions=2, class_agnostic=True
            ),
            track_head=TrackHeadRecipe(output_size=7, hidden=(128, 128), samples=16),
        ),
        training=replace(base.training, steps=3600, reference_window=100),
        origin=Origin(
            title="SynthVID: MaskTrack R-CNN",
            base=base,
            remarks={"training.reference_window": "another of the clip's target frames"},
        ),
    )


def masktrack_troi(*, selsa_heads: int = 0) -> Recipe:
    """MaskTrack R-CNN with Temporal RoI Align for the boxes and for the embeddings."""
    ending, words = ("selsa-troi", "SELSA and ") if selsa_heads else ("troi", "")
    recipe = with_heads(
        masktrack(),
        f"synthvid-masktrack-{ending}",
        title=f"SynthVID: MaskTrack R-CNN with {words}Temporal RoI Align",
        temporal=TEMPORAL,
        selsa_heads=selsa_heads,
        remarks={"model.track_head.temporal": "chosen on val, as that masks are of single frames"},
    )
    model = recipe.model
    assert isinstance(model, ModelRecipe)
    assert model.track_head is not None
    track_head = replace(model.track_head, temporal=True)
    return replace(recipe, model=replace(model, track_head=track_head))


RECIPES: dict[str, Callable[[], Recipe]] = {
    "synthvid-start": start,
    "synthvid-single": single,
    "synthvid-single-troi": lambda: with_heads(
        single(),
        "synthvid-single-troi",
        title="SynthVID: single-frame Faster R-CNN with Temporal RoI Align",
        temporal=TEMPORAL,
    ),
    "synthvid-selsa": lambda: with_heads(
        single(), "synthvid-selsa", title="SynthVID: SELSA", selsa_heads=8
    ),
    "synthvid-selsa-troi": lambda: with_heads(
        single(),
        "synthvid-selsa-troi",
        title="SynthVID: SELSA with Temporal RoI Align",
        temporal=TEMPORAL,
        selsa_heads=8,
    ),
    "synthvid-fgfa": fgfa,
    **{
        f"synthvid-single-{end}": partial(variant, f"synthvid-single-{end}", variation)
        for end, variation in variants(TEMPORAL, hidden=192).items()
    },
    "synthvid-masktrack": masktrack,
    "synthvid-masktrack-troi": masktrack_troi,
    "synthvid-masktrack-selsa-troi": lambda: masktrack_troi(selsa_heads=8),
}
"""Name and function of each."""
