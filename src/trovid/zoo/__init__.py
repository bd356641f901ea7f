"""What can be had by name: models, their cards, weights, downloads."""

from trovid.zoo.weights import ModelCard, embedded_models, load_weights, save_weights

__all__ = ["ModelCard", "embedded_models", "load_weights", "save_weights"]
