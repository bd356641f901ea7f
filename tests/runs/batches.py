"""How many frames a detector scores at a time."""

from __future__ import annotations

import pytest

from trovid.inference import Predictor


def note_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of frames of every batch from now on: a list that grows."""
    sizes: list[int] = []
    detect_frames = Predictor.detect_frames

    def noted(self, frames, supports, options):
        sizes.append(len(frames))
        return detect_frames(self, frames, supports, options)

    monkeypatch.setattr(Predictor, "detect_frames", noted)
    return sizes
