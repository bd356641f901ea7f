"""Video detectors: one folder a family."""

from trovid.detectors.building import build_detector
from trovid.detectors.candidates import ScoredBoxes, select_detections
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import SupportBank
from trovid.detectors.torchvision.detector import from_torchvision

__all__ = [
    "Detector",
    "ScoredBoxes",
    "SupportBank",
    "build_detector",
    "from_torchvision",
    "select_detections",
]
