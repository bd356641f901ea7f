"""How objects are covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from trovid.errors import OptionError

By = Literal["box", "ellipse", "mask"]
Fill = Literal["blur", "pixelate", "solid"]
MOST_FRAMES = 10**6


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What is covered, how far, and with what.

    Attributes:
        by: "box", "ellipse" (within the box: corners stay visible) or "mask" (of a model that has
            masks; filled frames have none, there the box is covered).
        fill: "blur" and "pixelate" leave at most 8 x 8 mean colours of an object, "solid" nothing.
        fill_gaps: Frames that are covered between two sightings of an object, before its first
            and after its last.
        margin: Share of a box's width and height that is covered beyond it on each side.
        keep_sound: Whether the sound goes along.
        keep_metadata: Whether the container's texts (title, place, device, time) do.

    Raises:
        OptionError: If a value is out of range.
    """

    by: By = "box"
    fill: Fill = "blur"
    fill_gaps: int = 15
    margin: float = 0.1
    keep_sound: bool = False
    keep_metadata: bool = False

    def __post_init__(self) -> None:
        for name, kinds in (("by", By), ("fill", Fill)):
            known = get_args(kinds)
            if getattr(self, name) not in known:
                raise OptionError(
                    f"`{name}` must be one of {', '.join(known)}, but is {getattr(self, name)!r}"
                )
        if not 0 <= self.fill_gaps <= MOST_FRAMES:
            raise OptionError(f"`fill_gaps` must lie in 0..{MOST_FRAMES}, but is {self.fill_gaps}")
        if not 0 <= self.margin <= 10:
            raise OptionError(f"`margin` must lie in 0..10, but is {self.margin}")
