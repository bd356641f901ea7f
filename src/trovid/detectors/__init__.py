"""Video detectors: one folder a family."""

from trovid.detectors.building import build_detector
from trovid.detectors.candidates import Candidates
from trovid.detectors.contract import VideoDetector
from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.detectors.masktrack.detector import MaskTrackRCNN
from trovid.detectors.torchvision.detector import from_torchvision

__all__ = [
    "Candidates",
    "Detector",
    "MaskTrackRCNN",
    "Support",
    "VideoDetector",
    "build_detector",
    "from_torchvision",
]
