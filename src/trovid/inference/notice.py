"""What a model's user has to know before a video is run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from trovid.zoo.weights import ModelCard

KNOWS_SYNTHVID_ALONE = (
    "%s knows the %d pictograms of SynthVID and nothing else: what it finds in other videos means "
    "nothing; take another `model` (`trovid models` lists those for real videos), or train one on "
    "your own labels (`trovid train`)"
)
log = logging.getLogger("trovid")


MORE_CLASSES = (
    "other classes: `model` coco-* (80 everyday ones) or selsa-troi-*-vid (30 of ImageNet VID), "
    "downloaded once, or your own (`trovid train`); `trovid models` lists all"
)
NAMED_CLASSES = 30
"""Of a model that knows more the first so many are named."""


def classes_line(name: str, class_names: Sequence[str]) -> str:
    """Which classes a model knows, and how to get others, in a line of the command line.

    Example:
        >>> classes_line("pets", ["cat", "dog"])[:39]
        'pets knows cat and dog; other classes: '
    """
    shown = list(class_names[:NAMED_CLASSES])
    rest = len(class_names) - len(shown)
    last = f"{rest} more" if rest else shown.pop()
    known = f"{', '.join(shown)} and {last}" if shown else last
    return f"{name} knows {known}; {MORE_CLASSES}"


class Notice:
    """Says once, through the log, that a model knows SynthVID alone, if a video is another one.

    Args:
        name: Of the model.
        num_classes: How many it knows.
        card: Where its weights come from, if known.

    Attributes:
        synthvid_alone: Whether it knows SynthVID alone.
    """

    def __init__(self, name: str, num_classes: int, card: ModelCard | None) -> None:
        data = {} if card is None else card.provenance.get("data", {})
        self.synthvid_alone = isinstance(data, dict) and data.get("name") == "SynthVID"
        self._wanted = self.synthvid_alone
        self._words = name, num_classes

    def say(self, source: Any) -> None:
        """Looks at a video, as `Predictor.detect` takes it."""
        if not self._wanted:
            return
        from trovid.datasets.synthvid.recognition import is_clip

        if not is_clip(getattr(source, "source", source)):
            self._wanted = False
            log.warning(KNOWS_SYNTHVID_ALONE, *self._words)
