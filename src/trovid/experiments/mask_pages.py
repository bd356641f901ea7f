"""The report on masks as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trovid.evaluation.track_report import AMODAL
from trovid.experiments.markdown import figure_text, gain_text, origin_text, table, written
from trovid.experiments.mask_report import (
    BEST_FULL,
    BEST_SINGLE,
    FULL,
    PUBLISHED_FULL,
    PUBLISHED_SINGLE,
    SINGLE,
)
from trovid.inference.predictor import USUAL_SCORE
from trovid.structures.detect_options import CONTINUE_SCORE

LEAST_AP, LEAST_GAIN = 0.30, 0.03
"""What was asked of the single-frame model, and of Temporal RoI Align over it, beforehand."""
PUBLISHED = (
    "The paper's Table 8 (YouTube-VIS, validation; AP / AP50 / AP75 of tracks), on real videos and "
    "with larger networks: MaskTrack R-CNN with ResNet-50-FPN 30.3 / 51.1 / 32.6, with Temporal "
    "RoI Align 33.5 / 57.0 / 36.6 (+3.2 AP); with ResNeXt-101-FPN 34.9 / 58.8 / 36.5 and 38.0 / "
    "63.3 / 40.3 (+3.1 AP)."
)
COUNTS = ("switches",)


def write_mask_report(result: dict[str, Any], folder: Path) -> str:
    """Writes masks.json and masks.md into `folder`; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = mask_page(result)
    written(folder / "masks.json", json.dumps(result, indent=1) + "\n")
    written(folder / "masks.md", markdown)
    return markdown


def mask_page(result: dict[str, Any]) -> str:
    """The report as a page of tables, in per cent; switches are counts."""
    classes, twins = result["classes"], result["twins"]
    seeds = ", ".join(map(str, result["seeds"]))
    scores, best = result["lowest_score"], result["best_score"]
    lines = [
        "# SynthVID: masks and identities, with and without Temporal RoI Align",
        "",
        f"MaskTrack R-CNN, training seeds {seeds}, the same schedule for both. "
        f"{origin_text(result)} Mean over "
        "seeds and, after ±, their standard deviation; intervals are the 95 % of a paired "
        f"bootstrap over clips ({result['resamples']} resamples), which speak of other clips, not "
        "of other trainings.",
        "",
        *_asked_for(result),
        "",
        PUBLISHED,
        "",
        "Two memories give the identities. By default an object is known by its last frames, its "
        "class is voted for along it, and boxes of several classes on one object are one object "
        "in doubt. The published one (MaskTrack R-CNN's code) keeps each class apart, so a frame "
        "in doubt begins another identity.",
        "",
        "## Masks",
        "",
        f"{_clips(classes)}, detections from score {scores['classes']:g}. AP is that of "
        f"YouTube-VIS: of tracks through the clip. {AMODAL} `visible AP` is that of the parts that "
        "can be seen (predictions stay whole shapes), `frame AP` COCO's AP of masks frame by "
        "frame, whatever the identities. `handed out`: the AP of what `trovid segment` writes "
        f"where nothing is asked for, identities that begin at a score of {USUAL_SCORE:g} and go "
        f"on from {CONTINUE_SCORE:g}, without the unsure detections that AP asks for.",
        "",
        *_models(classes["models"]),
        "",
        *_gains(classes["gains"]),
        "",
        "## Identities",
        "",
        f"{_clips(twins)}, in the setting `twins`: two objects of one class that hide each other. "
        f"Detections from score {scores['twins']:g}; identities are compared whatever the class, "
        "by the overlap of masks (amodal) from 0.5. `switches`: how often an object goes on under "
        "another identity than its last one. Few switches are worth little where few objects are "
        "found: see `recall`. `best score`: each model from the score on that gave its identities "
        f"the greatest HOTA on val clips, {best[SINGLE]:g} for single frames and {best[FULL]:g} "
        "with Temporal RoI Align, as trackers are usually compared.",
        "",
        *_models(twins["models"]),
        "",
        *_gains(twins["gains"]),
        "",
    ]
    return "\n".join(lines)


def _clips(report: dict[str, Any]) -> str:
    every = "every frame" if report["every"] == 1 else f"one frame in {report['every']}"
    data = report["data"]
    return (
        f"{report['clips']} clips of {data['name']} {data['version']}, split {data['split']}, from "
        f"clip {report['first']} on (fixed before any of them was looked at), {every}, "
        f"{report['frames']} frames"
    )


def _asked_for(result: dict[str, Any]) -> list[str]:
    """What was asked for beforehand, and whether it came out."""
    score = result["lowest_score"]["twins"]
    gains = result["twins"]["gains"]
    own, common = (
        _fewer(_gain_of(gains, model, over))
        for model, over in ((BEST_FULL, BEST_SINGLE), (FULL, SINGLE))
    )
    published = _fewer(_gain_of(gains, PUBLISHED_FULL, PUBLISHED_SINGLE))
    return [
        "Asked for beforehand, of intervals that they do not hold 0:",
        "",
        f"- {_masks_met(result, SINGLE, FULL)}; fewer identity switches, each model at its best "
        f"score: {own}; both from score {score:g} on: {common};",
        f"- with the published memory: {_masks_met(result, PUBLISHED_SINGLE, PUBLISHED_FULL)}; "
        f"fewer identity switches from score {score:g} on: {published}.",
    ]


def _masks_met(result: dict[str, Any], over: str, model: str) -> str:
    """What of the AP is met by a model and its single-frame rival."""
    single = result["classes"]["models"][over]["AP"]["mean"]
    gain = _gain_of(result["classes"]["gains"], model, over)["AP"]
    met = [
        f"single frames at least {100 * LEAST_AP:.0f} AP: {_yes(single >= LEAST_AP)} "
        f"({100 * single:.1f})",
        f"Temporal RoI Align at least {100 * LEAST_GAIN:+.0f}: "
        f"{_yes(gain['value'] >= LEAST_GAIN and gain['low'] > 0)} ({gain_text(gain)})",
    ]
    return "; ".join(met)


def _fewer(gain: dict[str, Any]) -> str:
    """Whether a model has fewer identity switches than its single-frame rival."""
    return f"{_yes(gain['switches']['high'] < 0)} ({_count_gain(gain['switches'])})"


def _gain_of(gains: Sequence[dict[str, Any]], model: str, over: str) -> dict[str, Any]:
    return next(gain for gain in gains if (gain["model"], gain["over"]) == (model, over))


def _yes(met: bool) -> str:
    return "met" if met else "not met"


def _models(models: dict[str, dict[str, Any]]) -> list[str]:
    titles = list(next(iter(models.values())))
    rows = [[name, *(_cell(figures[t], t) for t in titles)] for name, figures in models.items()]
    return table(["model", *titles], rows)


def _cell(figure: dict[str, Any], title: str) -> str:
    if title not in COUNTS:
        return figure_text(figure)
    spread = "" if figure["spread"] is None else f" ± {figure['spread']:.1f}"
    return f"{figure['mean']:.1f}{spread}"


def _gains(gains: Sequence[dict[str, Any]]) -> list[str]:
    titles = [key for key in gains[0] if key not in ("model", "over")]
    rows = [
        [
            gain["model"],
            gain["over"],
            *(_count_gain(gain[t]) if t in COUNTS else gain_text(gain[t]) for t in titles),
        ]
        for gain in gains
    ]
    return table(["gain of", "over", *titles], rows)


def _count_gain(gain: dict[str, float]) -> str:
    return f"{gain['value']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}]"
