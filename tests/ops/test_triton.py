"""The triton backend: interpreted on the CPU, compiled for GPUs that are not here, run on one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.ops.compare import NO_CUDA, Problem, assert_close
from tests.programs import run_program
from trovid.ops import temporal_roi_align
from trovid.ops.temporal_roi_align.triton import backend as triton

HERE = Path(__file__)


@pytest.mark.parametrize("which", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", ["interpreted_triton.py", "interpreted_triton_prefixes.py"])
def test_interpreted_kernels_equal_the_equations(file, which):
    pytest.importorskip("triton", reason="no triton here")
    words = ["-q", "-x", "-p", "no:cacheprovider", "-m", which, str(HERE.with_name(file))]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_it_says_what_it_lacks(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    call = torch.rand(1, 4, 5, 5), torch.rand(1, 2, 4, 5, 5), [torch.tensor([[0.0, 0, 9, 9]])], 2
    with pytest.raises(RuntimeError, match="'triton' is not available: torch sees no"):
        temporal_roi_align(*call, backend="triton")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if triton.unavailable() is None:
        with pytest.raises(ValueError, match="needs tensors on a CUDA device, but got cpu"):
            temporal_roi_align(*call, backend="triton")
    monkeypatch.setattr(triton, "find_spec", lambda name: None)
    assert "not installed" in str(triton.unavailable())


def test_importing_trovid_leaves_triton_alone():
    code = (
        "import sys, trovid.ops; print('trovid.ops.temporal_roi_align.triton.sets' in sys.modules)"
    )
    done = run_program(code)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


FLOATS = {"rows", "shares", "absorbed", "parts", "weights", "result", "grad_logits", "grad_output"}
FLOATS |= {"products", "inverse_norms", "bounds", "least", "units"}
HEADS = {"HEADS": 4, "POSITIONS": 32, "CHANNELS": 64}
KERNELS = [
    ("top_k", "_rank", {"J": 16, "SLOTS": 4, "POSITIONS": 16, "CELLS": 128}),
    ("top_k", "_rank", {"J": 1, "SLOTS": 1, "POSITIONS": 16, "CELLS": 128}),
    ("top_k", "_rank", {"J": 1, "SLOTS": 32, "POSITIONS": 16, "CELLS": 128}),
    ("survivors", "_collect", {"POSITIONS": 16, "CELLS": 128}),
    ("survivors", "_best", {"CHANNELS": 32, "K": 3, "SLOTS": 4, "POSITIONS": 8, "LISTED": 8}),
    ("survivors", "_best", {"CHANNELS": 32, "K": 16, "SLOTS": 16, "POSITIONS": 1, "LISTED": 128}),
    ("products", "_products", {"ROWS": 128, "COLUMNS": 128, "DEPTH": 32}),
    ("sets", "_neighbour_products", {**HEADS, "K": 4, "HEADS_OF_GROUP": 1, "OFFSETS": 9}),
    ("sets", "_neighbour_products", {**HEADS, "K": 1, "HEADS_OF_GROUP": 4, "OFFSETS": 1}),
    ("sets", "_mix", {**HEADS, "K": 4, "HEADS_OF_GROUP": 1, "OFFSETS": 1}),
    ("sets", "_mix", {**HEADS, "K": 1, "HEADS_OF_GROUP": 4, "OFFSETS": 9}),
    ("sets", "_spread", {**HEADS, "HEADS_OF_GROUP": 4}),
]
TYPES = {
    **dict.fromkeys(FLOATS, "*fp32"),
    **dict.fromkeys(("left", "right"), "*bf16"),
    **dict.fromkeys(("taps", "counts", "survivors", "candidates"), "*i32"),
    **dict.fromkeys(("keys", "indices"), "*i64"),
}


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(("module", "name", "constants"), KERNELS)
def test_kernels_compile_for_gpus(module, name, constants, capability, tmp_path, monkeypatch):
    """To machine code, by the assembler in Triton's wheel."""
    pytest.importorskip("triton", reason="no triton here")
    from importlib import import_module

    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("kernels are interpreted here")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(import_module(f"trovid.ops.temporal_roi_align.triton.{module}"), name)
    names = kernel.arg_names
    signature = {n: "constexpr" if n in constants else TYPES.get(n, "i32") for n in names}
    source = ASTSource(
        kernel,
        signature,
        constants,
    )
    compiled = compile(source, target=GPUTarget("cuda", capability, 32))
    assert compiled.asm["cubin"]
    assert compiled.metadata.shared <= 96 * 1024


@NO_CUDA
@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(3,), rois=(70,), channels=64),
        Problem(frames=(3,), rois=(70,), channels=64, embedding="dense"),
        Problem(frames=(2, 0, 5), rois=(40, 3, 9), channels=60, heads=3, relu=False, top_k=7),
        Problem(frames=(2,), rois=(33,), heads=0, top_k=1),
        Problem(frames=(4,), rois=(70,), channels=64, dtype=torch.bfloat16),
        Problem(frames=(4,), rois=(70,), channels=64, dtype=torch.float16),
        Problem(frames=(2,), rois=(40,), channels=128, size=(64, 65), rank=9),
    ],
    ids=str,
)
def test_on_a_gpu(problem):
    tensors = problem.tensors()
    there = {name: t.detach().cuda().requires_grad_(t.requires_grad) for name, t in tensors.items()}
    mask = ~problem.ties(tensors).unsqueeze(1)
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3}.get(problem.dtype, 1e-2)
    expected, actual = problem.run(tensors, "reference"), problem.run(there, "triton")
    assert_close(actual.cpu() * mask, expected * mask, tolerance)
    with torch.no_grad():
        assert_close(problem.run(there, "triton").cpu() * mask, expected * mask, tolerance)
    names = [name for name, leaf in tensors.items() if leaf.requires_grad]
    wanted = torch.autograd.grad((expected * mask).sum(), [tensors[name] for name in names])
    got = torch.autograd.grad((actual * mask.cuda()).sum(), [there[name] for name in names])
    for name, a, b in zip(names, got, wanted, strict=True):
        assert_close(a.cpu(), b, 2 * tolerance, name)
