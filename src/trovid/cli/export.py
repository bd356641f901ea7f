"""`trovid export`: a model as a file that other programs run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import trovid
from trovid.cli.messages import print_record
from trovid.cli.names import ModelName
from trovid.errors import TrovidError


def export(
    model: ModelName,
    /,
    *,
    format: Literal["onnx", "torch-export"] = "onnx",
    out: Path = Path("trovid-export"),
    frame_size: str = "720x1280",
    support: Literal["bank", "frames"] = "bank",
    support_frames: int | None = None,
    score: float = 0.05,
    nms: float | None = None,
    max_detections: int | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a model as a file that other programs run: ONNX or torch.export.

    OUT/MODEL.onnx finds the objects of a frame with the help of a packed bank of any number of
    support frames; OUT/MODEL-encode.onnx makes the bank's part of one support frame. What goes in
    and out, and a program of ten lines that uses them, is in docs/export.md.

    Examples:
        trovid export synthvid-selsa-troi --frame-size 256x256
        trovid export synthvid-selsa-troi --support frames --support-frames 6
        trovid export mine.safetensors --format torch-export

    Args:
        model: Name of a model (`trovid models`), or a weights file.
        format: Kind of file.
        out: Folder for the files; made where absent.
        frame_size: Height and width of the videos' frames in pixels, before resizing.
        support: Whether support frames come in as a packed bank or as frames.
        support_frames: Number of support frames that come in as frames; by default the model's.
        score: Lowest score that is kept.
        nms: IoU above which the lower of two boxes of a class goes; by default the model's own.
        max_detections: Detections at most; by default the model's own.
        overwrite: Replace files that exist.
        json: Print the files as JSON.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", frame_size)
    if not match or "0" in match.groups():
        raise TrovidError(f"--frame-size must be HEIGHTxWIDTH, but is {frame_size!r}")

    from trovid.export.export import export as write
    from trovid.structures import DetectOptions

    predictor = trovid.load(model, device="cpu")
    files = write(
        predictor,
        out,
        format=format,
        frame_size=(int(match[1]), int(match[2])),
        support=support,
        support_frames=support_frames,
        overwrite=overwrite,
        options=DetectOptions(score=score, nms=nms, max_detections=max_detections),
    )
    if json:
        print_record({"files": [str(file) for file in files]})
        return
    for file in files:
        print(file)
