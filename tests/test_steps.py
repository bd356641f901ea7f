"""How many of trovid's files a reader opens between a decoded frame and its Detections."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
import torch

import trovid
from tests.media import encode
from trovid.datasets.synthvid import make_clip

SOURCE = Path(trovid.__file__).parent
DETECTORS = ("detectors/faster_rcnn/detector.py", "detectors/faster_rcnn/support.py")
DECODING = {"video/container.py", "video/file.py", "video/upright.py"}
"""What makes the next frame of a video file."""


class FilesRun:
    """The files of trovid, by their path in the package, whose code runs, in any thread."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def __enter__(self) -> FilesRun:
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame, event, _) -> None:
        if event == "call":
            self._names.add(frame.f_code.co_filename)

    def forget(self) -> None:
        """Leaves out what ran so far."""
        self._names.clear()

    @property
    def files(self) -> set[str]:
        """Those since then."""
        paths = [Path(name) for name in list(self._names)]
        return {path.relative_to(SOURCE).as_posix() for path in paths if SOURCE in path.parents}


@pytest.fixture
def lanes(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def predictor():
    return trovid.load("synthvid-selsa-troi", device="cpu")


@pytest.mark.parametrize("lanes", [1, 2], indirect=True)
def test_from_a_decoded_frame_to_its_detections(predictor, tmp_path, lanes):
    """Frames of a video file whose support frames are encoded, one by one and side by side."""
    frames = make_clip("val", 1).frames
    height, width = frames[0].shape[:2]
    clip = encode(
        tmp_path / "a.mp4", num_frames=20, height=height, width=width, picture=frames.__getitem__
    )
    detections = predictor.detect(clip, support="uniform:2")
    with FilesRun() as run:
        for _ in range(5):
            next(detections)
        run.forget()
        found = [next(detections) for _ in range(3)]
        files = run.files
    detections.close()
    assert [frame.frame_index for frame in found] == [5, 6, 7]
    assert {"inference/predictor.py", "detectors/faster_rcnn/detector.py"} | DECODING <= files
    assert len(files - DECODING) <= 16, " ".join(sorted(files))


def test_the_files_of_the_way_fit_on_a_few_screens():
    for path in ("inference/predictor.py", "inference/session.py", *DETECTORS):
        assert len((SOURCE / path).read_text().splitlines()) <= 400, path


def test_the_detectors_own_share(predictor):
    """From normalised images to detections in their pixels, without the operator."""
    detector, options = predictor.running, predictor.options()
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        support = [detector.encode(images[:2])]
        with FilesRun() as run:
            detector.detect(images[2:], support, options=options)
    files = {path for path in run.files if not path.startswith("ops/")}
    assert "detectors/faster_rcnn/detector.py" in files
    assert len(files) <= 8, sorted(files)
