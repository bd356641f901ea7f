"""Options of commands that run a model over videos, from their words to `DetectOptions`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from trovid.cli.names import DeviceName

if TYPE_CHECKING:
    from trovid.structures import DetectOptions


FLAG = Parameter(negative="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Which of the boxes in a frame are kept.

    Attributes:
        nms: IoU above which the lower of two boxes of a class goes; by default the model's own.
        class_agnostic_nms: Let boxes of different classes suppress each other too.
        max_detections: Detections a frame at most; by default the model's own.
        continue_score: With identities: a detection that is less sure than --score, but from this
            score on, is kept where it goes on an identity that no surer one goes on; by default
            0.2, and 1 for none.
    """

    nms: float | None = None
    class_agnostic_nms: Annotated[bool, FLAG] = False
    max_detections: int | None = None
    continue_score: float | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """Which frames of a video are looked at, and when.

    Attributes:
        start: Time of the first frame: 12.5 seconds, or 1:30.
        end: Time at which to end. Frames before START and after END still serve as support.
        stride: Look at every STRIDE-th frame.
        online: Take frames as they come: only past frames serve as support.
        lookahead: With --online: this many future frames serve too, and the results come as much
            later.
    """

    start: str = "0"
    end: str | None = None
    stride: int = 1
    online: Annotated[bool, FLAG] = False
    lookahead: int = 0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunningOptions:
    """How a model is run.

    Attributes:
        device: Where to run: auto (the GPU where there is one), cpu, cuda, cuda:1, mps.
        precision: Of the backbone's later convolutions: bf16 is faster where the processor knows
            it; fp16 needs a GPU.
        compile: Let torch.compile make the backbone: slow at the first frame, faster then.
        deterministic: Use deterministic algorithms alone, for equal numbers in every run.
    """

    device: DeviceName = "auto"
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: Annotated[bool, FLAG] = False
    deterministic: Annotated[bool, FLAG] = False


SELECTION, FRAMES, RUNNING = SelectionOptions(), FrameOptions(), RunningOptions()
"""The defaults."""


def defaults_of(command: Callable) -> dict[str, Any]:
    """The options of a command with their defaults, those that it shares with others among them."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    defaults: dict[str, Any] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind in named:
            default = parameter.default
            defaults |= vars(default) if is_dataclass(default) else {name: default}
    return defaults


def detect_options(
    *, classes: str | None, start: str, end: str | None, **same: Any
) -> DetectOptions:
    """What is asked for.

    Args:
        classes: Names with commas between them; None for all.
        start: Time of the first frame: seconds, or 1:30.
        end: Time at which to end; None for the video's end.
        **same: Fields of `DetectOptions` that need no reading.

    Raises:
        TrovidError: If a time cannot be read.
        OptionError: If a value is out of range.
    """
    from trovid.structures import DetectOptions
    from trovid.structures.times import seconds

    return DetectOptions(
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
        start=seconds(start),
        end=None if end is None else seconds(end),
        **same,
    )
