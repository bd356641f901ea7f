"""Files of a detector that other programs run: ONNX or torch.export."""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from trovid import __version__
from trovid.errors import TrovidError
from trovid.export.graphs import (
    Encoder,
    FromBank,
    FromFrames,
    SingleFrame,
    bank_names,
    output_names,
)
from trovid.files import below, make_folder_of, replacing
from trovid.inference.predictor import Predictor
from trovid.structures import DetectOptions, SupportSampling

Format = Literal["onnx", "torch-export"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
EXPORTED = DetectOptions(score=0.05)
MOST_FRAMES, MOST_PROPOSALS = 4096, 2**20
OLDEST_TORCH = (2, 14)
"""The lowest that was seen to trace a number of boxes that depends on the picture; 2.6 does not."""


def export(
    predictor: Predictor,
    folder: Path,
    *,
    format: Format = "onnx",
    frame_size: tuple[int, int],
    support: Literal["bank", "frames"] = "bank",
    support_frames: int | None = None,
    overwrite: bool = False,
    options: DetectOptions = EXPORTED,
) -> list[Path]:
    """Writes a detector as one or two graphs.

    The graph NAME takes a frame, uint8 [h, w, 3] RGB already resized (h and w are in its
    metadata), and gives boxes Tensor[N, 4] in pixels of that frame, scores and labels, N as many
    as there are; with a mask head also `mask_probabilities` Tensor[N, m, m] on the grid of each
    box, with a track head `embeddings` Tensor[N, D]. Where support frames take part it also takes a
    packed bank of any number of them, made by the second graph NAME-encode from one frame at a time
    and concatenated along the first axis; or with `support="frames"` the support frames themselves,
    a fixed number.

    Args:
        predictor: The model.
        folder: Where the files go.
        format: "onnx" or "torch-export".
        frame_size: Height and width of the videos' frames before resizing.
        support: How support frames come in.
        overwrite: Whether files that exist are replaced.
        support_frames: Their number with `support="frames"`; None for the recipe's.
        options: The choice of detections: `score`, `nms`, `class_agnostic_nms`, `classes` and
            `max_detections`.

    Returns:
        The files.

    Raises:
        TrovidError: If the model has a form that cannot be exported, or a package is missing or
            too old, or a file exists.
    """

    def target(suffix: str) -> Path:
        return below(folder, f"{predictor.name}{suffix}{SUFFIXES[format]}")

    _need_torch()
    there = [file for suffix in ("", "-encode") if (file := target(suffix)).exists()]
    if there and not overwrite:
        raise TrovidError(f"{there[0]}: exists; give `overwrite` or another `out`")
    if format == "onnx":
        _need("onnx", "onnxscript")
    options = predictor.options(options, target_among_support=False)
    size = predictor.transform.size(*frame_size)
    detector = predictor.detector.cpu().eval()
    model = (detector, predictor.transform, size, options)
    frame = torch.zeros(*size, 3, dtype=torch.uint8)
    outputs = output_names(detector)
    if not (detector.uses_support and detector.temporal_trained):
        graphs = {"": (SingleFrame(*model), (frame,), ["frame"], outputs)}
    elif detector.export_obstacle:
        raise TrovidError(f"{predictor.name}: {detector.export_obstacle}")
    elif support == "frames":
        count = support_frames or SupportSampling.parse(predictor.recipe.inference.support).count
        frames = frame.expand(count, *frame.shape)
        graphs = {"": (FromFrames(*model), (frame, frames), ["frame", "support"], outputs)}
    else:
        encoder, graph, names = Encoder(*model), FromBank(*model), bank_names(detector)
        with torch.no_grad():
            banks = [encoder(frame)] * 2
            for packed in encoder.encode(frame.unsqueeze(0)).maps.values():
                graph.map_size = packed.size
        bank = [torch.cat(parts) for parts in zip(*banks, strict=True)]
        graphs = {
            "": (graph, (frame, *bank), ["frame", *names], outputs),
            "-encode": (encoder, (frame,), ["frame"], names),
        }
    metadata = {
        "trovid": __version__,
        "model": predictor.name,
        "class_names": json.dumps(predictor.class_names),
        "frame_size": json.dumps(frame_size),
        "resized_size": json.dumps(size),
        "options": json.dumps(
            {
                "score": options.score,
                "nms_iou": options.nms,
                "max_detections": options.max_detections,
                "support": predictor.recipe.inference.support,
            }
        ),
    }
    make_folder_of(target(""))
    files = []
    for suffix, (module, inputs, names, outputs) in graphs.items():
        path = target(suffix)
        _write(path, module.eval(), inputs, names, outputs, format, metadata)
        files.append(path)
    return files


def _write(
    path: Path,
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: list[str],
    outputs: list[str],
    format: Format,
    metadata: dict[str, str],
) -> None:
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            module, inputs, dynamic_shapes=_dynamic(module, names), strict=False
        )
        if format == "torch-export":
            written = io.BytesIO()  # torch's own writer does not say why it fails
            torch.export.save(program, written, extra_files={"trovid.json": json.dumps(metadata)})
            with replacing(path) as partial:
                partial.write_bytes(written.getbuffer())
            return
        translated = torch.onnx.export(
            program, input_names=names, output_names=outputs, dynamo=True, verbose=False
        )
        assert translated is not None
        translated.model.metadata_props.update(metadata)
        with replacing(path) as partial:
            translated.save(partial)


def _dynamic(module: nn.Module, names: list[str]) -> tuple:
    """Which axes vary: support frames and support proposals of a packed bank."""
    frames = torch.export.Dim("frames", min=1, max=MOST_FRAMES)
    proposals = torch.export.Dim("proposals", min=1, max=MOST_PROPOSALS)
    if not isinstance(module, FromBank):
        return tuple({} for _ in names)
    maps = ("rows", "inverse_norms")
    return {}, tuple({0: frames if name in maps else proposals} for name in names[1:])


@contextmanager
def _quiet() -> Generator[None]:
    """Without the exporter's remarks on its own parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _need_torch() -> None:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < OLDEST_TORCH:
        raise TrovidError(
            f"export needs torch {'.'.join(map(str, OLDEST_TORCH))} or newer, but this is "
            f"{torch.__version__}: install a newer one, here or where you export"
        )


def _need(*packages: str) -> None:
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise TrovidError(
                f"export to ONNX needs {package}: install it by pip install 'trovid[export]'"
            ) from error
