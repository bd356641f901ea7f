"""What trovid's parts hand to each other: validated dataclasses, no torch.nn."""

from trovid.structures.annotations import GroundTruth
from trovid.structures.detect_options import DetectOptions
from trovid.structures.detections import Detections
from trovid.structures.masks import Masks
from trovid.structures.support_sampling import SupportSampling
from trovid.structures.tracks import Tracks
from trovid.structures.training_batch import TrainingBatch
from trovid.structures.video import Video
from trovid.structures.video_detections import VideoDetections

__all__ = [
    "DetectOptions",
    "Detections",
    "GroundTruth",
    "Masks",
    "SupportSampling",
    "Tracks",
    "TrainingBatch",
    "Video",
    "VideoDetections",
]
