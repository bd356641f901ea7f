"""How many frames a detector scores at a time."""

from __future__ import annotations

import pytest

from trovid.inference import Predictor


def note_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of frames of every batch from now on: a list that grows."""
    sizes: list[int] = []
    score_frames = Predictor.score_frames

    def noted(self, frames, banks, **rest):
        sizes.append(len(frames))
        return score_frames(self, frames, banks, **rest)

    monkeypatch.setattr(Predictor, "score_frames", noted)
    return sizes
