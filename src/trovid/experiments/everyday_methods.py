"""The methods that the everyday experiment compares, and one of them over one sequence."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trovid.detectors.candidates import Candidates
from trovid.evaluation.dataset_runner import each_with_itself
from trovid.experiments.conditions import Condition
from trovid.experiments.same_place import SamePlace
from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.recipes import TrainingFreeRecipe
from trovid.structures import SupportSampling
from trovid.video.images import ArrayReader
from trovid.video.reader import Frame

SINGLE, TEMPORAL = "everyday-single", "everyday-selsa-troi"
CARRIED = 3
"""Boxes a support frame that are taken over."""
LOWEST_SCORE = 0.01


@dataclass(frozen=True, kw_only=True)
class Method:
    """A model and how it is run.

    Attributes:
        name: What the report calls it.
        model: Its recipe.
        temporal: Training-free Temporal RoI Align in place of what the recipe has.
        carried: Boxes of each support frame that are looked at in the target frame too.
        support: What serves as support frames: those of the video, the target itself, those of
            another sequence, or those of the video without a search, at the target's own boxes.
    """

    name: str
    model: str
    temporal: TrainingFreeRecipe | None = None
    carried: int = 0
    support: Literal["video", "target", "other", "same place"] = "video"

    @property
    def key(self) -> str:
        """Names the results."""
        free = None if self.temporal is None else asdict(self.temporal)
        said = json.dumps([free, self.carried, self.support], sort_keys=True)
        return f"{self.model}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def methods(free: TrainingFreeRecipe) -> list[Method]:
    """All that are reported, with the controls of the trained temporal model."""
    plain = Method(name="single-frame", model=SINGLE)
    temporal = Method(name="Temporal RoI Align, trained", model=TEMPORAL)
    carried = "with boxes taken over"
    return [
        plain,
        replace(plain, name=f"single-frame {carried}", carried=CARRIED),
        replace(plain, name="training-free", temporal=free),
        replace(plain, name=f"training-free {carried}", temporal=free, carried=CARRIED),
        temporal,
        replace(temporal, name=f"{temporal.name}, {carried}", carried=CARRIED),
        replace(temporal, name="control: the target in place of its support", support="target"),
        replace(temporal, name="control: support of another sequence", support="other"),
        replace(temporal, name="control: same place, no search", support="same place"),
    ]


def method_model(weights: Path, method: Method) -> Predictor:
    """The model of a method on the CPU."""
    predictor = load(weights, device="cpu", temporal=method.temporal)
    for detector in (predictor.detector, predictor.running):
        detector.support_proposals = method.carried
    if method.support == "same place":
        pooler: Any = predictor.running.roi_features
        pooler.extractor = SamePlace(pooler.extractor)
    return predictor


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedSequence:
    """A sequence as it lies on the disk.

    Attributes:
        name: Its name.
        frames: uint8 [T, H, W, 3].
        boxes: By frame the object's box, where it is there.
    """

    name: str
    frames: NDArray[np.uint8]
    boxes: Mapping[int, Sequence[float]]

    def seen(self, condition: Condition, index: int) -> Frame:
        """A frame in a condition."""
        box = self.boxes.get(index)
        return Frame(index, 0.0, condition.frame(self.frames[index], self.name, index, box))

    def targets(self, condition: Condition) -> list[NDArray[np.uint8]]:
        """All frames, those that are evaluated as they are seen in a condition."""
        frames = list(self.frames)
        for index in condition.targets(len(frames)):
            frames[index] = self.seen(condition, index).image
        return frames


@dataclass(frozen=True, eq=False)
class Looked:
    """What a method found in a sequence.

    Attributes:
        frames: Candidates of each evaluated frame.
        seconds: Processor time of each evaluated frame, on one thread.
        support_seconds: Processor time of a support frame.
    """

    frames: list[Candidates]
    seconds: float
    support_seconds: float


def look(
    predictor: Predictor,
    method: Method,
    sequence: LoadedSequence,
    condition: Condition,
    other: LoadedSequence | None,
    supports: dict[str, tuple[Any, float]],
) -> Looked:
    """Runs a method over the evaluated frames of a sequence in a condition.

    Args:
        predictor: Of the method.
        method: How.
        sequence: The sequence.
        condition: In which.
        other: Another sequence, for the control.
        supports: What was encoded of the sequence for the method, by condition; is added to.
    """
    options = predictor.options(selection="candidates", score=LOWEST_SCORE)
    sampling = SupportSampling.parse(str(options.support))
    wants = predictor.running.uses_support and sampling.count > 0
    support, encoded = None, 0.0
    if wants and method.support != "target":
        source = other if method.support == "other" else sequence
        assert source is not None
        seen = condition if condition.stretches else Condition()
        if seen.key not in supports:
            frames = [source.seen(seen, i) for i in sampling.indices(len(source.frames))]
            began = time.process_time()
            supports[seen.key] = predictor.encode(frames), time.process_time() - began
        support, encoded = supports[seen.key]
    targets = condition.targets(len(sequence.frames))
    video = ArrayReader(sequence.targets(condition))
    began = time.process_time()
    if wants and method.support == "target":
        found = list(each_with_itself(predictor, video, targets, options))
    else:
        given: dict[str, Any] = {"support" if method.support == "other" else "encoded": support}
        found = [
            detections
            for _, detections in predictor.run(video, frames=targets, options=options, **given)
        ]
    spent = time.process_time() - began
    return Looked(found, spent / max(1, len(found)), encoded / max(1, sampling.count))
