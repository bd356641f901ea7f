"""AP50 on validation clips."""

from __future__ import annotations

import pytest
import torch

from tests.training.tiny import tiny_recipe
from trovid.structures import Detections
from trovid.training.start import initial_detector
from trovid.training.validation import validation


@pytest.mark.parametrize(("videos", "every", "frames"), [(1, 4, [0, 4, 8]), (2, 6, [0, 6, 0, 6])])
def test_some_frames_of_the_first_clips_are_measured(dataset, videos, every, frames):
    """A detector that knows the answer has 1; one that knows it in every second frame less."""
    recipe = tiny_recipe("synthvid-single")
    for missed, wanted in ((set(), 1.0), ({0}, 1 - frames.count(0) / len(frames))):
        detector = initial_detector(recipe, seed=0, start=None)
        seen = iter(frames)

        def detect(images, support=None, *, options, image_sizes=None, seen=seen, missed=missed):
            found = []
            for _ in images:
                frame = next(seen)
                box = torch.tensor([[20.0 + frame, 20, 44 + frame, 44]])
                kept = 0 if frame in missed else 1
                found.append(
                    Detections(
                        boxes=box[:kept],
                        scores=torch.ones(kept),
                        labels=torch.zeros(kept, dtype=torch.long),
                        class_names=("square",),
                        image_size=(64, 96),
                    )
                )
            return found

        detector.detect = detect
        told = []
        figure = validation(
            detector,
            recipe,
            dataset,
            videos=videos,
            every=every,
            device="cpu",
            progress=lambda *words, told=told: told.append(words),
        )
        assert figure.ap50 == pytest.approx(wanted, abs=0.01)
        assert figure.figures["val_clips"] == videos
        assert told[-1][:2] == (videos, videos)
        assert next(seen, None) is None
