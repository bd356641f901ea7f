"""What results say of where they come from: model, weights, options, versions."""

from __future__ import annotations

import platform
from hashlib import sha256
from typing import Any

import torch

from trovid.inference.predictor import Predictor
from trovid.structures import DetectOptions

STATED_OPTIONS = (
    "score",
    "classes",
    "support",
    "nms",
    "class_agnostic_nms",
    "max_detections",
    "seq_nms",
    "start",
    "end",
    "stride",
    "online",
    "lookahead",
)
"""The options that a head states, in its order."""


def results_head(predictor: Predictor, options: DetectOptions) -> dict[str, Any]:
    """The head of the results: model, versions, options; the same for the same run.

    Args:
        predictor: The model.
        options: Resolved.
    """
    from importlib.metadata import version

    stated = {name: getattr(options, name) for name in STATED_OPTIONS}
    stated["classes"] = None if options.classes is None else list(options.classes)
    return {
        "model": predictor.name,
        "weights": weights_digest(predictor.detector),
        "class_names": list(predictor.class_names),
        "options": {**stated, "precision": predictor.precision},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "av")},
        },
    }


def weights_digest(module: torch.nn.Module) -> str:
    """16 hexadecimal digits that tell one set of weights from another."""
    digest = sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
