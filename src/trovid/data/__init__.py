"""Videos, labels, support frames and clips."""

from trovid.data.coco_vid import VideoLabels
from trovid.data.sampling import SupportSampling
from trovid.data.transforms import FrameTransform
from trovid.data.video_io import Frame, VideoReader, VideoWriter, open_video

__all__ = [
    "Frame",
    "FrameTransform",
    "SupportSampling",
    "VideoLabels",
    "VideoReader",
    "VideoWriter",
    "open_video",
]
