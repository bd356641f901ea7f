"""The long computing of the everyday experiment, sequence by sequence; resumable."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.davis import read_davis
from trovid.detectors.candidates import Candidates
from trovid.errors import TrovidError
from trovid.experiments.conditions import Condition
from trovid.experiments.davis_sequences import BACKGROUND, CLASSES, CROWDED, FOLDS
from trovid.experiments.everyday_methods import (
    SINGLE,
    TEMPORAL,
    LoadedSequence,
    Method,
    look,
    method_model,
)
from trovid.experiments.object_matches import Scene
from trovid.experiments.pool import process_pool
from trovid.experiments.scoring import (
    load_detections,
    load_scores,
    save_detections,
    save_scores,
    to_detections,
)
from trovid.experiments.vid_clip import CLASSES as CLIPS
from trovid.experiments.vid_clip import read_clip
from trovid.progress import bar
from trovid.storage.hashes import sha256_of
from trovid.structures import Detections
from trovid.training.run import weights_file


@dataclass(frozen=True, kw_only=True)
class EverydayPlace:
    """Where the experiment's files lie and how it is computed.

    Attributes:
        out: Folder of weights and results.
        davis: Folder of DAVIS 2016; with `clip` of the official truth of ImageNet VID.
        seed: Of the trainings.
        workers: Processes at a time; 0: this one.
        clip: Pictures of a validation video of ImageNet VID, in place of DAVIS.
    """

    out: Path
    davis: Path
    seed: int = 0
    workers: int = 2
    clip: Path | None = None

    def dataset(self) -> Dataset:
        """The labelled sequences."""
        return read_davis(self.davis) if self.clip is None else read_clip(self.clip, self.davis)

    def weights(self, model: str) -> Path:
        """The weights of a model.

        Raises:
            TrovidError: If they are not there.
        """
        file = weights_file(self.out, model, self.seed)
        if not file.exists():
            raise TrovidError(
                f"{file} is not there: train it first (`trovid train {model} --data DATA --out "
                f"{self.out}`), or give the folder of the pictures with `stills`"
            )
        return file

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of each model the beginning of its weights' hash, which names its results."""
        return {name: sha256_of(self.weights(name))[:10] for name in (SINGLE, TEMPORAL)}

    def file(self, method: Method, condition: Condition, sequence: str) -> Path:
        """What a method found in a sequence."""
        folder = self.out / "everyday" / f"{method.key}-{self.versions[method.model]}"
        return folder / condition.key / f"{sequence}.npz"


def keeps_candidates(method: Method) -> bool:
    """Whether all boxes with all scores are kept, as averaging along tracks needs them."""
    return method.model == SINGLE and method.temporal is None and not method.carried


def scene_of(sequence: str) -> Scene:
    """What is right in a sequence of DAVIS."""
    return Scene(
        classes=_classes(sequence),
        ignored=BACKGROUND if sequence in CROWDED else (),
        fold=FOLDS.get(sequence, sequence),
    )


def run_methods(
    place: EverydayPlace,
    methods: Sequence[Method],
    conditions: Sequence[Condition],
    sequences: Sequence[str],
) -> None:
    """Looks at all that was not looked at yet; each file appears whole or not at all."""
    versions = place.versions
    jobs = []
    for number, name in enumerate(sequences):
        other = _other(sequences, number)
        for model in versions:
            wanted = [method for method in methods if method.model == model]
            missing = [
                (method, condition)
                for method in wanted
                for condition in conditions
                if not place.file(method, condition, name).exists()
            ]
            if missing:
                jobs.append((place, name, other, missing))
    if not jobs:
        return
    total, done = sum(len(job[3]) for job in jobs), 0
    if not place.workers:
        for job in jobs:
            run_sequence(*job)
        return
    with process_pool(place.workers) as pool, bar("everyday", unit="runs") as tick:
        futures = {pool.submit(run_sequence, *job): len(job[3]) for job in jobs}
        for future in as_completed(futures):
            future.result()
            done += futures[future]
            tick(done, total)


def _other(sequences: Sequence[str], number: int) -> str:
    """The next sequence that shows something else."""
    classes = _classes(sequences[number])
    turned = [*sequences[number + 1 :], *sequences[: number + 1]]
    return next((name for name in turned if not set(classes) & set(_classes(name))), turned[0])


def _classes(sequence: str) -> tuple[str, ...]:
    return CLASSES.get(sequence) or CLIPS[sequence]


def run_sequence(
    place: EverydayPlace,
    name: str,
    other: str,
    missing: Sequence[tuple[Method, Condition]],
) -> None:
    """All that is missing of a model on a sequence."""
    dataset = place.dataset()
    sequence = loaded(dataset, name)
    foreign = None
    for method in dict.fromkeys(method for method, _ in missing):
        predictor = method_model(place.weights(method.model), method)
        if method.support == "other" and foreign is None:
            foreign = loaded(dataset, other)
        supports: dict[str, tuple[Any, float]] = {}
        for condition in [condition for one, condition in missing if one == method]:
            result = look(predictor, method, sequence, condition, foreign, supports)
            file = place.file(method, condition, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            head = {"seconds": result.seconds, "support_seconds": result.support_seconds}
            if keeps_candidates(method):
                save_scores(file, {name: result.frames}, head)
            else:
                save_detections(file, to_detections({name: result.frames}), head)


def loaded(dataset: Dataset, name: str) -> LoadedSequence:
    """A sequence with all its frames."""
    with dataset.open(name) as reader:
        frames = np.stack([frame.image for frame in reader])
    boxes = {
        truth.frame_index: truth.boxes[0].tolist()
        for truth in dataset.ground_truth(name)
        if len(truth)
    }
    return LoadedSequence(name=name, frames=frames, boxes=boxes)


def candidates_of(
    place: EverydayPlace,
    method: Method,
    condition: Condition,
    names: Sequence[str],
    dataset: Dataset,
) -> dict[str, list[Candidates]]:
    """All boxes that were kept of a method (`keeps_candidates`)."""
    found: dict[str, list[Candidates]] = {}
    for name in names:
        found |= load_scores(place.file(method, condition, name), dataset)[0]
    return found


def detections_of(
    place: EverydayPlace,
    method: Method,
    condition: Condition,
    names: Sequence[str],
    dataset: Dataset,
) -> tuple[dict[str, list[Detections]], float, float]:
    """What a method found, and its seconds a frame and a support frame."""
    found: dict[str, list[Detections]] = {}
    times = []
    for name in names:
        file = place.file(method, condition, name)
        if keeps_candidates(method):
            videos, head = load_scores(file, dataset)
            found |= to_detections(videos)
        else:
            videos, head = load_detections(file, dataset)
            found |= videos
        times.append((head["seconds"], head["support_seconds"]))
    seconds, support = np.mean(times, axis=0).tolist()
    return found, seconds, support
