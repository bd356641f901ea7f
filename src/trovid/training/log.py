"""The log of a training: a line of JSON every few steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trovid.files import replacing, unwritable
from trovid.training.loop import STEPS_UNREAD, Progress
from trovid.training.trackers import NOWHERE, Tracker


class TrainingLog:
    """Adds lines {"step", "learning_rate", "seconds", "loss", and each loss by name} to a file.

    Validations on the way have lines of their own {"step", "val_ap50", ...}.

    Losses are means over the steps since the line before, and are read from the device for a line
    alone. A training that goes on from a checkpoint writes its lines in place of those that were
    written behind it.

    Args:
        path: The file.
        every: Steps from line to line; the last step has one too.
        tracker: Gets the same figures.

    Attributes:
        losses: The losses of the last line by name.
    """

    def __init__(
        self, path: Path, *, every: int = STEPS_UNREAD, tracker: Tracker = NOWHERE
    ) -> None:
        self.path = path
        self.every = every
        self.tracker = tracker
        self.losses: dict[str, float] = {}
        self._begun = False
        self._values: list[Tensor] = []

    def add(self, progress: Progress) -> None:
        """Takes the next step.

        Raises:
            TrovidError: If the file cannot be written.
        """
        if not self._begun:
            self._forget_from(progress.step)
            self._begun = True
        self._values.append(progress.loss_values)
        if progress.step % self.every and progress.step != progress.steps:
            return
        means = torch.stack(self._values).mean(0).tolist()
        self._values.clear()
        self.losses = dict(zip(progress.loss_names, means, strict=True))
        line = {
            "step": progress.step,
            "learning_rate": progress.learning_rate,
            "seconds": round(progress.seconds, 3),
            "loss": sum(means),
            **self.losses,
        }
        self._append(line)

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """A line of its own: a validation after so many steps.

        Raises:
            TrovidError: If the file cannot be written.
        """
        self._append({"step": step, **figures})

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.tracker.add(line["step"], {k: v for k, v in line.items() if k != "step"})

    def _forget_from(self, step: int) -> None:
        """Leaves the lines of earlier steps alone, without one that was cut off."""
        kept = []
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            whole = [line for line in text.splitlines(keepends=True) if line.endswith("}\n")]
            kept = [line for line in whole if json.loads(line)["step"] < step]
        with replacing(self.path) as partial:
            partial.write_text("".join(kept), encoding="utf-8")
