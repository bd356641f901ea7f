"""Running models over videos."""

from trovid.inference.predictor import Predictor, load

__all__ = ["Predictor", "load"]
