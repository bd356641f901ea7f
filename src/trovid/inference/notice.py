"""What a model's user has to know before a video is run."""

from __future__ import annotations

import logging
from typing import Any

from trovid.zoo.weights import ModelCard

KNOWS_SYNTHVID_ALONE = (
    "%s knows the %d pictograms of SynthVID and nothing else: what it finds in other videos means "
    "nothing; take another `model` (`trovid models` lists those for real videos), or train one on "
    "your own labels (`trovid train`)"
)
log = logging.getLogger("trovid")


class Notice:
    """Says once, through the log, that a model knows SynthVID alone, if a video is another one.

    Args:
        name: Of the model.
        num_classes: How many it knows.
        card: Where its weights come from, if known.
    """

    def __init__(self, name: str, num_classes: int, card: ModelCard | None) -> None:
        data = {} if card is None else card.facts.get("data", {})
        self._wanted = isinstance(data, dict) and data.get("name") == "SynthVID"
        self._words = name, num_classes

    def say(self, source: Any) -> None:
        """Looks at a video, as `Predictor.detect` takes it."""
        if not self._wanted:
            return
        from trovid.datasets.synthvid.recognition import is_clip

        if not is_clip(getattr(source, "source", source)):
            self._wanted = False
            log.warning(KNOWS_SYNTHVID_ALONE, *self._words)
