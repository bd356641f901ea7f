"""How many of trovid's files a reader opens between a normalised frame and its Detections."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

import pytest
import torch

import trovid

SOURCE = str(Path(trovid.__file__).parent)
OPERATOR = str(Path(SOURCE, "ops"))


def files_run(function) -> set[str]:
    """The files of trovid, by their path in the package, whose functions run in a call."""
    files = set()

    def note(frame, event, _):
        if event == "call":
            code: CodeType = frame.f_code
            if code.co_filename.startswith(SOURCE):
                files.add(code.co_filename[len(SOURCE) + 1 :])

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return files


@pytest.mark.parametrize("name", ["synthvid-selsa-troi"])
def test_from_normalised_images_to_detections_in_few_files(name):
    predictor = trovid.load(name, device="cpu")
    detector, options = predictor.running, predictor.options(support="uniform:2")
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, 160, 160, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        support = [detector.encode(images[:2])]
        detect = lambda: detector.detect(images[2:], support, options=options)  # noqa: E731
        detect()
        files = files_run(detect)
    own = {path for path in files if not path.startswith("ops/")}
    assert "detectors/faster_rcnn/detector.py" in own
    assert len(own - {"structures/checks.py"}) <= 8, sorted(own)
