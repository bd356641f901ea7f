"""The everyday experiment: settings chosen on some sequences of DAVIS, the others reported once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trovid.detectors.candidates import Candidates
from trovid.errors import TrovidError
from trovid.evaluation import Bootstrap, TrackSettings, average_along_tracks, bootstrap
from trovid.evaluation.bootstrap import average_precision
from trovid.evaluation.track_scores import TRACK_SETTINGS
from trovid.experiments.conditions import CLEAN, GRID, Condition, grid, reported
from trovid.experiments.costs import times_single
from trovid.experiments.davis_sequences import CHOOSING, REPORTING, of_classes
from trovid.experiments.everyday_jobs import (
    EverydayPlace,
    candidates_of,
    detections_of,
    loaded,
    run_methods,
    scene_of,
)
from trovid.experiments.everyday_methods import LOWEST_SCORE, SINGLE, Method, method_model, methods
from trovid.experiments.markdown import written
from trovid.experiments.object_matches import ObjectMatches, match_objects
from trovid.experiments.scoring import to_detections
from trovid.experiments.training_free import within_cost
from trovid.inference.seq_nms import CANDIDATE_SCORE, MOST_CANDIDATES, seq_nms
from trovid.recipes import TrainingFreeRecipe
from trovid.structures import Detections, DetectOptions, SupportSampling
from trovid.zoo.weights import read_card

PLAIN = Method(name="single-frame", model=SINGLE)
TRACKS, SEQ_NMS = "single-frame, averaged along tracks", "single-frame, Seq-NMS"
REACHED = 0.6
"""Of the single-frame detector's clean AP50, what the strength of a deterioration is to leave."""
CLEAN_LOSS = 0.005
"""Of AP50, that the training-free mode may lose on clean frames to be chosen."""
PRECISION = 0.8
SHOWN = 0.3
FREE = TrainingFreeRecipe()
FREE_SETTINGS = (
    replace(FREE, attention="mean", scale=1.0, top_k=1),
    replace(FREE, attention="mean", scale=1.0, top_k=4),
    *(replace(FREE, top_k=k, searched=level) for k in (1, 4) for level in ("own", "p4")),
)
"""Of the training-free mode; one is chosen."""
CHOICE = "everyday-choice.json"


@dataclass(frozen=True)
class Choice:
    """What was fixed before the sequences to be reported were looked at.

    Attributes:
        strengths: Of each deterioration, by single-frame results alone.
        free: The setting of the training-free mode.
        tracks: Of the average along tracks.
        times_single: By training-free setting how many times a single frame a frame costs; nothing
            where it was chosen without.
        cost: What was left out for its cost, in a sentence; empty where it was chosen without.
    """

    strengths: dict[str, float]
    free: TrainingFreeRecipe
    tracks: TrackSettings
    times_single: dict[str, float] = field(default_factory=dict)
    cost: str = ""


class Sequences:
    """Some sequences, with what methods found in them.

    Args:
        place: Where results lie.
        names: The sequences.
    """

    def __init__(self, place: EverydayPlace, names: Sequence[str]) -> None:
        self.place, self.names = place, list(names)
        self.truth = place.dataset()
        missing = [name for name in self.names if name not in self.truth]
        if missing:
            raise TrovidError(
                f"{place.davis}: has no sequence {missing[0]!r}; give the folder of DAVIS 2016"
            )
        self.named = copy(self.truth)
        self.named.class_names = read_card(place.weights(SINGLE)).recipe.model.classes
        self.scenes = {name: scene_of(name) for name in self.names}

    def run(self, wanted: Sequence[Method], conditions: Sequence[Condition]) -> None:
        """Looks at what was not looked at yet."""
        run_methods(self.place, wanted, conditions, self.names)

    def found(
        self, method: Method, condition: Condition
    ) -> tuple[dict[str, list[Detections]], float, float]:
        """See `detections_of`."""
        return detections_of(self.place, method, condition, self.names, self.named)

    def matches(
        self,
        found: Mapping[str, Sequence[Detections]],
        condition: Condition,
        *,
        whole: bool = False,
    ) -> ObjectMatches:
        """What detections found: in spoilt frames, of the clean condition and `whole` in all."""
        frames = {
            name: {
                index
                for index in condition.targets(self.truth.video(name).num_frames)
                if whole or not condition.kind or condition.spoilt(index)
            }
            for name in self.names
        }
        return match_objects(found, self.truth, self.scenes, frames=frames)

    def in_order(self, condition: Condition) -> dict[str, list[Candidates]]:
        """The single-frame detector's boxes of a condition, with clean frames between them.

        Where single frames are spoilt, they stand among clean ones, as a video shows them.
        """
        boxes = candidates_of(self.place, PLAIN, condition, self.names, self.named)
        if not condition.kind or condition.stretches:
            return boxes
        clean = candidates_of(self.place, PLAIN, CLEAN, self.names, self.named)
        return {
            name: sorted(
                [*boxes[name], *(f for f in clean[name] if not condition.spoilt(f.frame_index))],
                key=lambda frame: frame.frame_index,
            )
            for name in self.names
        }

    def averaged(
        self, condition: Condition, settings: TrackSettings
    ) -> dict[str, list[Detections]]:
        """Single-frame detections with scores averaged along tracks."""
        videos = self.in_order(condition)
        return to_detections(
            {name: average_along_tracks(frames, settings) for name, frames in videos.items()}
        )

    def along_sequences(self, condition: Condition) -> dict[str, list[Detections]]:
        """Single-frame detections after Seq-NMS."""
        options = DetectOptions(score=CANDIDATE_SCORE, nms=1.0, max_detections=MOST_CANDIDATES)
        videos = self.in_order(condition)
        return {
            name: seq_nms([frame.select(options) for frame in frames])
            for name, frames in videos.items()
        }


def ap50(matches: ObjectMatches) -> float:
    """AP50 over all sequences in one pool."""
    clips = matches.clip_matches()
    return float(average_precision(clips, np.ones((1, len(clips.clip_names)), dtype=np.int32))[0])


def choose(
    place: EverydayPlace,
    *,
    folder: Path,
    names: Sequence[str] = tuple(of_classes(CHOOSING)),
    settings: Sequence[TrainingFreeRecipe] = FREE_SETTINGS,
) -> Choice:
    """Fixes strengths and settings on the sequences for choosing; what is there is not made again.

    A strength is that of a small grid whose single-frame AP50 is nearest to `REACHED` of the clean
    one. Of the training-free settings that lose at most `CLEAN_LOSS` on clean frames, and whose
    frame costs at most `COST` times a single frame, the one of the highest mean AP50 over the
    deteriorations (see `within_cost`). Writes everyday-choice.json.
    """
    file = folder / CHOICE
    if file.exists():
        return read_choice(file)
    clips = Sequences(place, names)
    clips.run([PLAIN], grid())
    single = {c.key: ap50(clips.matches(clips.found(PLAIN, c)[0], c)) for c in grid()}
    clean = single[CLEAN.key]
    strengths = {
        kind: min(
            values,
            key=lambda value, k=kind: abs(single[Condition(k, value).key] - REACHED * clean),
        )
        for kind, values in GRID.items()
    }
    spoilt = [Condition(kind, value) for kind, value in strengths.items()]
    tried = [Method(name=_words(free), model=SINGLE, temporal=free) for free in settings]
    clips.run(tried, [CLEAN, *spoilt])
    seen = {
        method.name: {
            c.key: ap50(clips.matches(clips.found(method, c)[0], c)) for c in (CLEAN, *spoilt)
        }
        for method in tried
    }
    times = _times(place, tried, clips)
    figures = {PLAIN.name: {"clean": clean}}
    for name, found in seen.items():
        figures[name] = {"clean": found[CLEAN.key], "all": _mean(found, spoilt)}
    free, note = free_setting(tried, figures, times)
    tracks = max(
        TRACK_SETTINGS,
        key=lambda track: np.mean(
            [ap50(clips.matches(clips.averaged(c, track), c)) for c in spoilt]
        ),
    )
    choice = Choice(strengths, free, tracks, times, note)
    document = {**asdict(choice), "single-frame": single, "training-free": seen, "on": clips.names}
    folder.mkdir(parents=True, exist_ok=True)
    written(file, json.dumps(document, indent=1) + "\n")
    return choice


def read_choice(file: Path) -> Choice:
    """What `choose` wrote."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Choice(
            {kind: float(document["strengths"][kind]) for kind in GRID},
            TrainingFreeRecipe(**document["free"]),
            TrackSettings(**document["tracks"]),
            dict(document.get("times_single", {})),
            str(document.get("cost", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TrovidError(f"{file} is no choice of settings: delete it ({error})") from error


def free_setting(
    tried: Sequence[Method], figures: Mapping[str, Mapping[str, float]], times: Mapping[str, float]
) -> tuple[TrainingFreeRecipe, str]:
    """The training-free setting that is chosen, and a sentence on cost.

    Args:
        tried: One setting each.
        figures: By setting AP50 of "clean" frames, and of "all" deteriorations in the mean; the
            clean one of single frames too.
        times: By setting how many times a single frame a frame costs.
    """
    lowest = figures[PLAIN.name]["clean"] - CLEAN_LOSS
    allowed = [m for m in tried if figures[m.name]["clean"] >= lowest] or tried
    best = max(allowed, key=lambda m: figures[m.name]["all"])
    assert best.temporal is not None
    return within_cost(best.temporal, tried, figures, times, clean_loss=CLEAN_LOSS)


def _times(place: EverydayPlace, tried: Sequence[Method], clips: Sequences) -> dict[str, float]:
    """By setting how many times a single frame a frame costs, measured in turns."""
    sequence = loaded(clips.truth, clips.names[0])
    frames = [sequence.seen(CLEAN, index) for index in CLEAN.targets(len(sequence.frames))]
    single = method_model(place.weights(SINGLE), PLAIN)
    alone = single, single.options(score=LOWEST_SCORE)
    times = {}
    for method in tried:
        predictor = method_model(place.weights(method.model), method)
        options = predictor.options(score=LOWEST_SCORE)
        indices = SupportSampling.parse(str(options.support)).indices(len(sequence.frames), 0)
        support = predictor.encode([sequence.seen(CLEAN, index) for index in sorted({*indices})])
        times[method.name] = times_single((predictor, options), support, alone, frames)
    return times


def _mean(figures: Mapping[str, float], conditions: Sequence[Condition]) -> float:
    return float(np.mean([figures[condition.key] for condition in conditions]))


def _words(free: TrainingFreeRecipe) -> str:
    return f"{free.attention} {free.scale:g}, K = {free.top_k}, {free.searched} searched"


PAIRS = (
    ("Temporal RoI Align, trained", "single-frame"),
    ("Temporal RoI Align, trained", "training-free"),
    ("training-free", "single-frame"),
    ("single-frame with boxes taken over", "single-frame"),
    ("Temporal RoI Align, trained, with boxes taken over", "Temporal RoI Align, trained"),
    (
        "Temporal RoI Align, trained, with boxes taken over",
        "single-frame with boxes taken over",
    ),
    ("Temporal RoI Align, trained", "control: the target in place of its support"),
    ("Temporal RoI Align, trained", "control: support of another sequence"),
    ("Temporal RoI Align, trained", "control: same place, no search"),
    ("Temporal RoI Align, trained", TRACKS),
    ("Temporal RoI Align, trained", SEQ_NMS),
)
"""Differences that get an interval."""


def report(
    place: EverydayPlace,
    choice: Choice,
    *,
    resamples: int = 1000,
    names: Sequence[str] = tuple(of_classes(REPORTING)),
) -> dict[str, Any]:
    """The sequences to be reported, looked at once: what the report's JSON holds of them."""
    clips, wanted = Sequences(place, names), methods(choice.free)
    if len(clips.names) == 1:
        wanted = [method for method in wanted if method.support != "other"]
    conditions = reported(choice.strengths)
    clips.run(wanted, conditions)
    rows = [*(method.name for method in wanted), TRACKS, SEQ_NMS]
    figures: dict[str, dict[str, Any]] = {name: {} for name in rows}
    costs: dict[str, dict[str, float]] = {}
    drawn: dict[str, Bootstrap] = {}
    for condition in conditions:
        matches = {}
        for name, found in _everything(clips, wanted, condition, choice, costs).items():
            matches[name] = clips.matches(found, condition)
            figures[name][condition.key] = {
                **_figures(matches[name]),
                **_steadiness(clips.matches(found, condition, whole=True), condition),
            }
        drawn[condition.key] = bootstrap(
            {name: [m.clip_matches()] for name, m in matches.items()}, resamples=resamples
        )
    groups = {
        "clean": [c.key for c in conditions if not c.kind],
        "target frames alone": [c.key for c in conditions if c.kind and not c.stretches],
        "stretches": [c.key for c in conditions if c.stretches],
        **{c.key: [c.key] for c in conditions if c.kind},
    }
    results = {group: _mean_of([drawn[key] for key in keys]) for group, keys in groups.items()}
    return {
        "data": str(clips.truth.info.get("name", "videos")),
        "sequences": clips.names,
        "folds": len({scene.fold for scene in clips.scenes.values()}),
        "choice": asdict(choice),
        "resamples": resamples,
        "groups": list(groups),
        "ap50": {
            name: {group: asdict(result.figure(name)) for group, result in results.items()}
            for name in rows
        },
        "figures": figures,
        "gains": [
            {
                "row": row,
                "over": over,
                **{group: asdict(result.gain(row, over)) for group, result in results.items()},
            }
            for row, over in PAIRS
            if row in rows and over in rows
        ],
        "costs": costs,
        "versions": place.versions,
    }


def _everything(
    clips: Sequences,
    wanted: Sequence[Method],
    condition: Condition,
    choice: Choice,
    costs: dict[str, dict[str, float]],
) -> dict[str, dict[str, list[Detections]]]:
    """By name what was found in a condition; notes what it cost on clean frames."""
    found = {}
    for method in wanted:
        found[method.name], seconds, support = clips.found(method, condition)
        if not condition.kind:
            costs[method.name] = {"frame": seconds, "support_frame": support}
    found[TRACKS] = clips.averaged(condition, choice.tracks)
    found[SEQ_NMS] = clips.along_sequences(condition)
    return found


def _figures(matches: ObjectMatches) -> dict[str, float]:
    return {
        "ap50": ap50(matches),
        "recall_at_precision": matches.recall_at(PRECISION),
        "found": matches.found_at(SHOWN),
        "frames": len(matches.object_frame),
    }


def _steadiness(matches: ObjectMatches, condition: Condition) -> dict[str, Any]:
    """Along the tracks, where neighbouring frames were evaluated."""
    if condition.kind and not condition.stretches:
        return {}
    return {"track": asdict(matches.steadiness(matches.precise_score(PRECISION)))}


def _mean_of(parts: Sequence[Bootstrap]) -> Bootstrap:
    """The mean over conditions, which all draw the same sequences."""
    names = parts[0].seeds
    return Bootstrap(
        {name: np.mean([part.seeds[name] for part in parts], axis=0) for name in names},
        {name: np.mean([part.resampled[name] for part in parts], axis=0) for name in names},
    )
