"""Running models over videos."""

from trovid.inference.predictor import Predictor, load
from trovid.inference.seq_nms import seq_nms

__all__ = ["Predictor", "load", "seq_nms"]
