"""Training from a recipe."""

from trovid.training.loop import Progress, train

__all__ = ["Progress", "train"]
