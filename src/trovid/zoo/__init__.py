"""What can be had by name: models, their cards, weights, downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trovid.zoo.weights import ModelCard, embedded_models, load_weights, save_weights

__all__ = ["ModelCard", "embedded_models", "load_weights", "save_weights"]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use: the default model's name is known without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'trovid.zoo' has no attribute {name!r}")
    from trovid.zoo import weights

    return getattr(weights, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
