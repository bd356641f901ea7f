"""Several data sets that are learned from as one, by their weights."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence

from trovid.datasets.contract import Dataset
from trovid.errors import TrovidError
from trovid.structures import Video
from trovid.training.balance import repeat_factors


class Mixture:
    """Draws from several data sets by their weights.

    Args:
        dataset: The mixture.
        names: The videos that are used.

    Raises:
        TrovidError: If none of a data set's is among them.
    """

    def __init__(self, dataset: Dataset, names: Sequence[str]) -> None:
        self.dataset = dataset
        source = dict(zip((v.name for v in dataset.videos), dataset.sources, strict=True))
        self._names = [[n for n in names if source[n] == k] for k in range(len(dataset.weights))]
        self._ends = [
            list(itertools.accumulate(len(dataset.labelled_frames(n)) for n in dataset_names))
            for dataset_names in self._names
        ]
        self._balanced = [
            list(itertools.accumulate(repeat_factors(dataset, dataset_names)))
            for dataset_names in self._names
        ]
        for number, dataset_names in enumerate(self._names):
            if not dataset_names:
                raise TrovidError(
                    f"data set {number + 1} of the mixture (weight {dataset.weights[number]:g}) "
                    "has no labelled video to train on: label some, keep some out of validation, "
                    "raise training.videos, or leave it out"
                )

    def draw(self, draw: str, rng: random.Random) -> tuple[Video, int]:
        """A video and one of its labelled frames; see `TrainingRecipe.draw`."""
        (number,) = rng.choices(range(len(self._names)), self.dataset.weights)
        names, ends = self._names[number], self._ends[number]
        if draw != "frames":
            balanced = self._balanced[number]
            place = rng.randrange(len(names)) if draw == "clips" else by_weight(balanced, rng)
            name = names[place]
            labelled = self.dataset.labelled_frames(name)
            return self.dataset.video(name), int(labelled[rng.randrange(len(labelled))])
        place = rng.randrange(ends[-1])
        name = names[bisect.bisect_right(ends, place)]
        labelled = self.dataset.labelled_frames(name)
        return self.dataset.video(name), int(labelled[rng.randrange(len(labelled))])


def by_weight(sums: Sequence[float], rng: random.Random) -> int:
    """A place at random, by running sums of the places' weights."""
    return bisect.bisect_right(sums, rng.random() * sums[-1])
