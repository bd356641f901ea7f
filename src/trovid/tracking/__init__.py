"""Identities through a video."""

from trovid.tracking.embedding_tracker import EmbeddingTracker
from trovid.tracking.iou_tracker import IoUTracker
from trovid.tracking.published_tracker import PublishedTracker
from trovid.tracking.tracker import Tracker, make_tracker, resume

__all__ = [
    "EmbeddingTracker",
    "IoUTracker",
    "PublishedTracker",
    "Tracker",
    "make_tracker",
    "resume",
]
