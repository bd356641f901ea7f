"""What results say of where they come from: model, weights, options, versions."""

from __future__ import annotations

import platform
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import torch

from trovid.inference.predictor import Predictor
from trovid.storage.hashes import file_digest
from trovid.structures import DetectOptions
from trovid.video.blanking import BlankingReader
from trovid.video.file import FileReader
from trovid.video.images import ImageReader
from trovid.video.live import LiveStream
from trovid.video.reader import VideoReader

UNSTATED_OPTIONS = ("target_among_support", "selection")
"""Options that the command line does not have: results of before do not state them."""
STATED_WHERE_USED = ("masks", "track", "continue_score")
"""Later options: results of before do not state them either."""


def results_head(predictor: Predictor, options: DetectOptions) -> dict[str, Any]:
    """The head of the results: model, versions, options; the same for the same run.

    Args:
        predictor: The model.
        options: Resolved.
    """
    from importlib.metadata import version

    stated = {k: v for k, v in asdict(options).items() if k not in UNSTATED_OPTIONS}
    for name in STATED_WHERE_USED:
        if stated[name] is None or stated[name] is False:
            del stated[name]
    if options.classes is not None:
        stated["classes"] = list(options.classes)
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


def contents_digest(source: VideoReader | LiveStream) -> str | None:
    """16 hexadecimal digits that tell one video from another of the same measures.

    Of a file its size, the first and the last MiB count, of a folder of images the first and the
    last one; None for what is no file.

    Raises:
        TrovidError: If a file cannot be read.
    """
    reader = source.reader if isinstance(source, BlankingReader) else source
    if isinstance(reader, FileReader):
        paths = [reader.path]
    elif isinstance(reader, ImageReader):
        paths = [reader.paths[0], reader.paths[-1]]
    else:
        return None
    return sha256("".join(map(file_digest, paths)).encode()).hexdigest()[:16]


def weights_digest(module: torch.nn.Module) -> str:
    """16 hexadecimal digits that tell one set of weights from another."""
    digest = sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
