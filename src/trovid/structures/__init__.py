"""What trovid's parts hand to each other: validated dataclasses, no torch.nn."""

from trovid.structures.annotations import GroundTruth
from trovid.structures.detections import Detections
from trovid.structures.video import Video

__all__ = ["Detections", "GroundTruth", "Video"]
