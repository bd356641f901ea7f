"""Running models over videos."""

from trovid.inference.loading import load
from trovid.inference.predictor import Predictor
from trovid.inference.seq_nms import seq_nms
from trovid.inference.session import VideoSession

__all__ = ["Predictor", "VideoSession", "load", "seq_nms"]
