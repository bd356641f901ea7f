"""Identities by embeddings, and classes by votes along them."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from trovid.recipes import TrackingRecipe
from trovid.structures import Detections
from trovid.tracking.matching import log_matches, overlaps_of
from trovid.tracking.object_memory import ANY_SCORE, ObjectMemory, SeenObjects


class EmbeddingTracker(ObjectMemory):
    """Finds the known objects of a video again by embedding, overlap and class.

    A match is the logarithm of the probability among all known objects and "new", plus weighted
    cues: the overlap, and the cosine of the scores in all classes, which is 1 for "new".

    Args:
        settings: Weights of the cues, patience, and what is one object.
        learned: Whether inner products of the embeddings are logits, as a track head makes them;
            otherwise their cosines are.
        score: See `ObjectMemory`.
    """

    def __init__(
        self,
        settings: TrackingRecipe | None = None,
        *,
        learned: bool = True,
        score: float = ANY_SCORE,
    ) -> None:
        self.settings = recipe = settings or TrackingRecipe()
        super().__init__(patience=recipe.patience, same=recipe.same, score=score)
        self._learned = learned

    def update(self, detections: Detections) -> Detections:
        """See `Tracker.update`; the embeddings are no longer in what is returned."""
        if detections.embeddings is None:
            raise ValueError("`detections` must have `embeddings` to be tracked by, but has none")
        return replace(super().update(detections), embeddings=None)

    def embeddings_of(self, found: Detections) -> Tensor:
        """See `ObjectMemory.embeddings_of`."""
        assert found.embeddings is not None
        return found.embeddings

    def match_scores(self, found: Detections, votes: Tensor, known: SeenObjects) -> Tensor:
        """See `ObjectMemory.match_scores`."""
        assert found.embeddings is not None
        scores = log_matches(found.embeddings, known.embeddings, learned=self._learned)
        cosines = F.normalize(votes, dim=1) @ F.normalize(known.votes, dim=1).t()
        overlaps = overlaps_of(found.boxes, known.boxes)
        cues = self.settings.iou * overlaps + self.settings.classes * cosines
        return scores + F.pad(cues, (1, 0), value=self.settings.classes)
