"""What commands do not import, since it would take longer than their work."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torchvision.transforms.v2 import functional as T

from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from trovid.cli.quick_start import WANTED, WANTING, quicken_imports
from trovid.video.transforms import FrameTransform

COMMANDS = """
import sys
from trovid.cli.main import main

def run(*words):
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 0, words

import gc
clip, model, out = sys.argv[1:]
run("info", clip)
assert not {"torch", "matplotlib", "scipy"} & {*sys.modules}
from trovid.cli.running import counted_ahead
with counted_ahead([clip], allow_playlist=False, support="uniform:14") as begun:
    assert begun[clip].counted(60) and begun[clip].video.num_frames == 2
    assert [frame.index for frame in begun[clip].read([1, 0])] == [1, 0]
assert "torch" not in sys.modules
run("detect", clip, "--model", model, "--out", out, "--device", "cpu")
slow = {"torch._dynamo", "scipy", "httpx", "matplotlib"} & {*sys.modules}
assert not slow, slow
assert gc.isenabled() and gc.get_freeze_count() > 100_000

from torchvision.ops import roi_align
known = sys.modules["torchvision.ops.roi_align"]
assert known.is_compile_supported("cpu") in (True, False)
from torch._dynamo.utils import is_compile_supported
assert known.is_compile_supported("cpu") == is_compile_supported("cpu")
"""


def test_info_goes_without_torch_and_detect_without_its_compiler(tmp_path):
    clip = video(tmp_path / "a.mp4", count=2)
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    words = [sys.executable, "-c", COMMANDS, clip, model, tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.mp4").exists()


def test_where_torchvision_is_there_already_nothing_is_done():
    assert {WANTING, WANTED} & {*sys.modules}
    before = list(sys.meta_path)
    quicken_imports()
    assert sys.meta_path == before


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(48, 64), (90, 120)])
def test_frames_are_resized_as_torchvision_does_it(size, antialias):
    frame = torch.randint(0, 256, (72, 96, 3), dtype=torch.uint8)
    expected = T.resize(frame.permute(2, 0, 1), list(size), antialias=antialias)
    transform = FrameTransform(*size, antialias=antialias)
    resized = torch.from_numpy(transform.resize(frame.numpy())).permute(2, 0, 1)
    # Older torchvision takes whole numbers with AVX2 alone, and rounds floats with AVX-512.
    rounded = torch.__version__ < "2.10" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    assert (resized.int() - expected.int()).abs().max() <= (1 if rounded else 0)
