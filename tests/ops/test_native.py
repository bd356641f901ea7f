"""What only the native library has: instruction sets, its build, threads, the way out of range."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.ops.compare import Problem, assert_close
from tests.programs import run_program
from trovid.ops.temporal_roi_align.cpp import backend as native

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(native.unavailable() is not None, reason=str(native.unavailable()))

CHECK = """
import sys
import torch
from tests.ops.compare import Problem
from trovid.ops.temporal_roi_align.cpp import backend as native
reason = native.unavailable()
if reason:
    sys.exit(reason)
assert native.isa() == sys.argv[1]
for options in (
    dict(frames=(3, 0, 1), rois=(9, 2, 4)),
    dict(frames=(9,), rois=(30,), channels=35, heads=5, grid=(3, 5)),
    dict(frames=(2,), channels=20, embedding="dense", heads=2, bias=False),
    dict(frames=(2,), channels=50, heads=0, top_k=9),
    dict(frames=(2,), rois=(1,), size=(4, 40), channels=16, relu=False),
    dict(frames=(3, 1), rois=(30, 25), channels=35, heads=5, dtype=torch.bfloat16),
):
    Problem(**options).check("native")
"""


def run_checks(isa: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TROVID_NATIVE_ISA": isa}
    return run_program(CHECK, [isa], environment=environment, folder=ROOT)


def build_script():
    specification = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "isa", ["avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "portable"]
)
def test_every_instruction_set(isa):
    done = run_checks(isa)
    if "which this processor or build does not have" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_an_unknown_instruction_set_is_named():
    done = run_checks("mmx")
    assert "TROVID_NATIVE_ISA asks for 'mmx'" in done.stderr


@pytest.mark.slow
def test_no_address_or_undefined_behaviour_error(tmp_path):
    """The same checks under gcc's or clang's sanitizers; skipped where their runtime is absent."""
    script = build_script()
    compiler = script.compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    runtime, standard = (
        subprocess.run(
            [*compiler, f"-print-file-name={name}"], capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    )
    if not os.path.isabs(runtime):
        pytest.skip("the compiler has no address sanitizer")
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    reason = script.build(flags, tmp_path / "_native")
    assert reason is None, reason
    probe = (
        "from pathlib import Path; from trovid.ops.temporal_roi_align.cpp import library; "
        f"library.FOLDER = Path({str(tmp_path / '_native')!r})\n"
    )
    for isa in ("avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "portable"):
        done = subprocess.run(
            [sys.executable, "-c", probe + CHECK, isa],
            cwd=ROOT,
            env={
                **os.environ,
                "TROVID_NATIVE_ISA": isa,
                # other libraries' exceptions are known to the sanitizer only with the second
                "LD_PRELOAD": f"{runtime} {standard}",
                "ASAN_OPTIONS": "detect_leaks=0",
            },
            capture_output=True,
            text=True,
        )
        if "which this processor or build does not have" in done.stderr:
            continue
        assert done.returncode == 0, done.stderr[-3000:]


def test_any_number_of_threads_gives_the_same_bits():
    problem = Problem(frames=(5,), rois=(23,), channels=40)
    tensors = problem.tensors()
    leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            output = problem.run(tensors, "native")
            runs.append([output, *torch.autograd.grad(output.square().sum(), leaves)])
    finally:
        torch.set_num_threads(before)
    for others in runs[1:]:
        for a, b in zip(runs[0], others, strict=True):
            assert torch.equal(a, b)


def test_calls_from_several_python_threads():
    problems = [Problem(frames=(3,), rois=(n,), channels=24) for n in range(3, 11)]
    inputs = [problem.tensors(seed) for seed, problem in enumerate(problems)]

    def run(index: int) -> torch.Tensor:
        with torch.no_grad():
            return problems[index].run(inputs[index], "native")

    expected = [run(index) for index in range(len(problems))]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for a, b in zip(pool.map(run, range(len(problems))), expected, strict=True):
                assert torch.equal(a, b)


@pytest.mark.parametrize("where", ["features", "support0", "weight", "bias"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_values_out_of_range_are_left_to_direct(where, value):
    problem = Problem(frames=(2,))
    tensors = problem.tensors()
    with torch.no_grad():
        finite = [problem.run(tensors, name) for name in ("native", "direct")]
        assert not torch.equal(*finite)  # they round otherwise
        tensors[where].view(-1)[3] = value
        actual, expected = (problem.run(tensors, name) for name in ("native", "direct"))
    assert torch.equal(actual.isnan(), expected.isnan())
    assert torch.equal(actual.nan_to_num(), expected.nan_to_num())


def test_cells_that_cancel_are_compared_by_the_position_itself():
    """Neighbouring cells of opposite sign: the position is far shorter than what it combines."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 24, 16, 8, generator=generator)
    features = torch.stack([rows, -rows + 1e-3 * torch.randn(rows.shape, generator=generator)], 4)
    problem = Problem(frames=(2,), rois=(20,), channels=24, heads=0, size=(16, 16))
    tensors = problem.tensors()
    tensors["features"] = features.flatten(3)
    with torch.no_grad():
        boxes = torch.tensor([[12.0, 4.0, 116.0, 116.0]])
        tensors["boxes0"] = boxes + 8 * torch.arange(20).view(-1, 1) / 20
        actual, expected = (problem.run(tensors, name) for name in ("native", "reference"))
    tied = problem.ties(tensors).unsqueeze(1)
    assert tied.float().mean() < 0.05
    assert_close(actual * ~tied, expected * ~tied, 1e-5)


def test_transpose():
    matrices = torch.arange(2 * 67 * 33, dtype=torch.float32).view(2, 67, 33)
    assert torch.equal(native.transpose(matrices), matrices.transpose(1, 2))


def test_the_compiler_is_optional(monkeypatch, tmp_path):
    script = build_script()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in script.build(folder=tmp_path / "out")
    monkeypatch.setenv("CXX", "/nowhere/c++")
    assert "cannot be run" in script.build(folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_backends_are_isolated_from_their_inputs():
    problem = Problem(frames=(2,))
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    copies = {name: leaf.clone() for name, leaf in tensors.items()}
    problem.run(tensors, "native")
    assert all(torch.equal(tensors[name], copies[name]) for name in tensors)
    assert native.accepts(tensors["features"])


@pytest.mark.parametrize("size", [3e-13, 1e-20])
def test_positions_without_direction_choose_the_first_cells(size):
    """Also those whose cells are longer than nothing, but not longer than 1e-12."""
    problem = Problem(frames=(2,), rois=(100,), channels=24, size=(10, 10))
    tensors = {name: leaf.detach() for name, leaf in problem.tensors().items()}
    tensors["features"] = tensors["features"] * size
    found = problem.run(tensors, "native")
    assert_close(found, problem.run(tensors, "reference"), 1e-5)
