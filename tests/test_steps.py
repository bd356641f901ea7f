"""How many of trovid's files a reader opens between a decoded frame and its Detections."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import trovid
from trovid.datasets.synthvid import make_clip

SOURCE = Path(trovid.__file__).parent
READER = "video/images.py"
"""What hands the next decoded frame over."""


def files_run(function: Callable[[], object]) -> set[str]:
    """The files of trovid, by their path in the package, whose code runs in a call."""
    names = set()

    def note(frame, event, _):
        if event == "call":
            names.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    paths = [Path(name) for name in names]
    return {path.relative_to(SOURCE).as_posix() for path in paths if SOURCE in path.parents}


@pytest.fixture(scope="module")
def predictor():
    return trovid.load("synthvid-selsa-troi", device="cpu")


def test_from_a_decoded_frame_to_its_detections(predictor):
    """A frame whose support frames are encoded."""
    clip = np.stack(make_clip("val", 1).frames[:6])
    detections = predictor.detect(clip, support="uniform:2")
    for _ in range(3):
        next(detections)
    found = []
    files = files_run(lambda: found.append(next(detections)))
    assert found[0].frame_index == 3
    assert {"inference/predictor.py", "detectors/faster_rcnn/detector.py", READER} <= files
    assert len(files - {READER}) <= 16, sorted(files)


def test_the_detectors_own_share(predictor):
    """From normalised images to detections in their pixels, without the operator."""
    detector, options = predictor.running, predictor.options()
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        support = [detector.encode(images[:2])]
        files = files_run(lambda: detector.detect(images[2:], support, options=options))
    own = {path for path in files if not path.startswith("ops/")}
    assert "detectors/faster_rcnn/detector.py" in own
    assert len(own) <= 8, sorted(own)
