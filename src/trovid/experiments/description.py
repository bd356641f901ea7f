"""What an experiment is: rows, what they are held against, and the clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from trovid.recipes import Recipe, TrainingFreeRecipe, load_recipe


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips of SynthVID, fixed before any of them is looked at.

    Attributes:
        split: "val" or "test".
        first: Number of the first clip.
        count: Number of clips.
        frames: Frames of each.
        every: Every how many frames is evaluated.
        strength: Factor on all deteriorations; None for the benchmark's own.
        setting: The benchmark's "classes", "twins" that hide each other, or "unseen" backgrounds
            and sizes.
    """

    split: str = "test"
    first: int
    count: int = 300
    frames: int = 24
    every: int = 3
    strength: float | None = None
    setting: Literal["classes", "twins", "unseen"] = "classes"

    @property
    def key(self) -> str:
        """Names the folder of these clips."""
        parts = [self.split, f"{self.first}+{self.count}"]
        parts += [] if self.frames == 24 else [f"{self.frames}-frames"]
        parts += [] if self.strength is None else [f"strength-{self.strength:g}"]
        parts += [] if self.setting == "classes" else [self.setting]
        return "-".join(parts)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A model with its options at inference.

    Attributes:
        name: What the report calls it.
        recipe: End of the recipe's name: `synthvid-` is put before it, or `paper/` before and
            `-r101` behind it.
        support: Which support frames; None for the recipe's.
        top_k: K at inference; None for the trained one.
        temporal: Training-free Temporal RoI Align in place of what the recipe has.
        seq_nms: Whether boxes are suppressed along sequences.
        published: The paper's figure.
        curve: Name of the curve that it is a point of.
        x: Where on the curve.
        axis: What x is, where it is not what the experiment's others are; has a panel of its own.
        clips: Which clips, where they are not the experiment's.
    """

    name: str
    recipe: str
    support: str | None = None
    top_k: int | None = None
    temporal: TrainingFreeRecipe | None = None
    seq_nms: bool = False
    published: float | None = None
    curve: str = ""
    x: float | None = None
    axis: str | None = None
    clips: Clips | None = None

    def options(self) -> dict[str, Any]:
        """What is not as the recipe has it, as plain values."""
        free = None if self.temporal is None else {**asdict(self.temporal)}
        settings = {"support": self.support, "top_k": self.top_k, "temporal": free}
        return {k: v for k, v in settings.items() if v is not None} | (
            {"seq_nms": True} if self.seq_nms else {}
        )

    @property
    def key(self) -> str:
        """Names the results of these options; rows of one model and the same options share them."""
        options = self.options()
        if not options:
            return "as-trained"
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
        words = [self.support or "", f"k{self.top_k}" if self.top_k else ""]
        words += ["training-free"] if self.temporal else []
        words += ["seq-nms"] if self.seq_nms else []
        return "-".join([*filter(None, words), digest]).replace(":", "-")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Rows that are run and reported together.

    Attributes:
        name: The word of the command.
        title: Of the report.
        clips: Where the rows are compared.
        rows: The rows.
        comparisons: Pairs (row, over) whose difference gets an interval.
        axis: What the curves' x is.
        notes: What a reader has to know of this experiment.
        tried: Whether it is run on fewer clips than were fixed.
    """

    name: str
    title: str
    clips: Clips
    rows: tuple[Row, ...]
    comparisons: tuple[tuple[str, str], ...] = ()
    axis: str = ""
    notes: tuple[str, ...] = ()
    tried: bool = False

    def clips_of(self, row: Row) -> Clips:
        """Where a row is run."""
        return row.clips or self.clips

    def with_clips(self, count: int) -> Experiment:
        """The same on the first so many of its clips; for a try."""
        smaller = replace(self.clips, count=min(count, self.clips.count))
        rows = [
            row
            if row.clips is None
            else replace(row, clips=replace(row.clips, count=min(count, row.clips.count)))
            for row in self.rows
        ]
        return replace(self, clips=smaller, rows=tuple(rows), tried=count < self.clips.count)


@dataclass(frozen=True)
class Family:
    """The recipes that an experiment's rows stand for.

    Attributes:
        before: What is put before a row's recipe.
        after: What is put behind it.
        renamed: Rows' recipes whose full name does not follow from the two.
    """

    before: str
    after: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, row: Row) -> Recipe:
        """The recipe that a row is trained with."""
        return load_recipe(self.renamed.get(row.recipe, f"{self.before}{row.recipe}{self.after}"))


SYNTHVID = Family("synthvid-")
IMAGENET_VID = Family("paper/", "-r101")
