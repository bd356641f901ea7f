"""TensorBoard, Weights & Biases and Trackio, for those who ask for them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trovid.errors import TrovidError, nearest

TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Name and the package to install."""


@dataclass(frozen=True)
class Tracker:
    """Where figures go beside the log.

    Attributes:
        add: Takes the figures of a step: its number, and values by name.
        close: Ends it.
    """

    add: Callable[[int, Mapping[str, float]], None]
    close: Callable[[], None]


NOWHERE = Tracker(lambda step, values: None, lambda: None)


def open_tracker(name: str | None, folder: Path, *, run: str, recipe: Mapping[str, Any]) -> Tracker:
    """Opens a tracker.

    Args:
        name: A key of `TRACKERS`; None for none.
        folder: Where TensorBoard and Weights & Biases write.
        run: Name of the training.
        recipe: Its values by dotted key.

    Raises:
        TrovidError: If there is no such tracker, or it is not installed.
    """
    if name is None:
        return NOWHERE
    if name not in TRACKERS:
        raise TrovidError(f"no `tracker` {name!r}{nearest(name, TRACKERS)}")
    try:
        if name == "tensorboard":
            module: Any = importlib.import_module("torch.utils.tensorboard")
        else:
            module = importlib.import_module(name)
    except ImportError as error:
        cure = f"pip install {TRACKERS[name]}"
        raise TrovidError(f"`tracker` {name} is not installed: {cure}") from error
    if name == "tensorboard":
        writer = module.SummaryWriter(str(folder / "tensorboard" / run))
        return Tracker(lambda step, values: _scalars(writer, step, values), writer.close)
    place = {"dir": str(folder)} if name == "wandb" else {}
    module.init(project="trovid", name=run, config=dict(recipe), **place)
    log = module.log
    return Tracker(lambda step, values: log(dict(values), step=step), module.finish)


def _scalars(writer: Any, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        writer.add_scalar(name, value, step)
