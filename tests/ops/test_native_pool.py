"""The native library's threads, its codes, and what a build of other sources says."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from ctypes import c_int64, c_void_p
from pathlib import Path

import pytest
import torch

from tests.ops.compare import Problem
from tests.ops.test_native import ROOT, build_script
from trovid.ops.temporal_roi_align.backends import resolve_backend
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.cpp import library

SOURCES = Path(library.__file__).parent

needs_library = pytest.mark.skipif(
    native.unavailable() is not None, reason=str(native.unavailable())
)

PRELUDE = """
import multiprocessing, os, signal, sys, threading, time
import torch
from tests.ops.compare import Problem
from trovid.ops.temporal_roi_align.cpp import library

torch.set_num_threads(3)
problem = Problem(frames=(3,), rois=(20,), channels=24)
tensors = {name: tensor.detach() for name, tensor in problem.tensors().items()}

def run():
    return problem.run(tensors, "native")

expected = run()

def check():
    assert torch.equal(run(), expected)

def check_forked():
    child = os.fork()
    if not child:
        try:
            check()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    assert os.waitpid(child, 0)[1] == 0
"""

THREADS = """
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
for _ in range(20):
    check()
assert count() == before, (before, count())
torch.set_num_threads(6)
check()
more = count()
assert more == before + 3, (before, more)
torch.set_num_threads(1)
check()
assert count() == more
torch.set_num_threads(3)
"""

FORKS = """
for _ in range(3):
    check_forked()
    check()
child = os.fork()
if not child:
    check()
    check_forked()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0

processes = [multiprocessing.get_context("fork").Process(target=check) for _ in range(2)]
for process in processes:
    process.start()
for process in processes:
    process.join()
    assert process.exitcode == 0

stop = threading.Event()
def compute():
    while not stop.is_set():
        check()
others = [threading.Thread(target=compute) for _ in range(3)]
for other in others:
    other.start()
for _ in range(5):
    check_forked()
stop.set()
for other in others:
    other.join()
"""

SIGNALS = """
def stop_waiting(*_):
    raise InterruptedError
signal.signal(signal.SIGALRM, stop_waiting)
signal.setitimer(signal.ITIMER_REAL, 0.2)
start = time.monotonic()
try:
    time.sleep(60)
except InterruptedError:
    pass
assert time.monotonic() - start < 50
"""

# Python threads that are in torch's own code when the process ends bring it down by themselves.
END = """
from ctypes import c_int64, c_void_p
matrices, transposed = torch.rand(2, 50, 2000, 64)
pointers = [c_void_p(matrices.data_ptr()), c_void_p(transposed.data_ptr())]
sizes = [c_int64(size) for size in (50, 2000, 64, 3)]
def compute():
    while True:
        library.load().trovid_transpose(pointers[0], *sizes, pointers[1])
for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
check()
sys.exit(3)
"""


def run_python(*parts: str) -> None:
    """Runs the parts one after another; the last one ends the process with the code 3."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", "\n".join([PRELUDE, *parts])],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (3, "")


@needs_library
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_threads_last_follow_torch_and_leave_forks_signals_and_the_end_alone():
    run_python(THREADS, FORKS, SIGNALS, END)


@needs_library
@pytest.mark.slow
def test_spawned_processes(tmp_path):
    script = tmp_path / "script.py"
    start = """
if __name__ == "__main__":
    processes = [multiprocessing.get_context("spawn").Process(target=check) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
"""
    script.write_text(PRELUDE + start)
    path = os.pathsep.join([str(ROOT), *sys.path])
    subprocess.run(
        [sys.executable, str(script)], check=True, env={**os.environ, "PYTHONPATH": path}
    )


@needs_library
def test_no_memory_is_told_and_leaves_the_library_usable():
    loaded, nothing = library.load(), c_void_p(None)
    sizes = map(c_int64, (0, 1, 1, 1, 2))
    code = loaded.trovid_select(nothing, c_int64(2**50), nothing, nothing, *sizes, nothing, nothing)
    assert code == library.NO_MEMORY
    with pytest.raises(MemoryError, match="out of memory in temporal_roi_align: use fewer boxes"):
        native._done(code)
    sizes = map(c_int64, (0, 1, 1, 1, 2))
    code = loaded.trovid_select(nothing, c_int64(2**62), nothing, nothing, *sizes, nothing, nothing)
    assert code == library.NO_MEMORY
    Problem(frames=(2,)).check("native")


@needs_library
def test_every_other_failure_keeps_its_own_words():
    assert native._done(library.OK)
    assert not native._done(library.OUT_OF_RANGE)
    with pytest.raises(RuntimeError, match="the native library failed in temporal_roi_align: "):
        native._done(library.FAILED)
    assert library.load().trovid_use_isa(b"mmx") == library.NO_ISA


def test_both_sides_share_one_struct():
    header = (SOURCES / "trovid.h").read_text()
    struct = re.search(r"typedef struct {(.*?)} trovid_problem;", header, re.DOTALL).group(1)
    declared = re.findall(r"^ +(const \w+\*|\w+) (\w+);", struct, re.MULTILINE)
    kinds = {"int64_t": c_int64, "float": ctypes.c_float}
    expected = [(name, kinds.get(kind, c_void_p)) for kind, name in declared]
    assert list(library.CProblem._fields_) == expected
    assert int(re.search(r"define TROVID_VERSION (\d+)", header).group(1)) == library.VERSION
    codes = re.findall(r"^  TROVID_(\w+) = (\d+),", header, re.MULTILINE)
    assert codes == [(name, str(getattr(library, name))) for name, _ in codes]


NAMES = "const char* trovid_isa(void) { return 0; } const char* trovid_error(void) { return 0; }"
TELLS = "long trovid_version(void) {{ return {}; }} long trovid_problem_size(void) {{ return {}; }}"
SIZE = ctypes.sizeof(library.CProblem)
STALE = {
    "older": NAMES,
    "another version": NAMES + TELLS.format(library.VERSION - 1, SIZE),
    "another size": NAMES + TELLS.format(library.VERSION, SIZE - 8),
}


@pytest.mark.parametrize("kind", STALE)
def test_a_build_of_other_sources_says_so(kind, tmp_path, monkeypatch, caplog):
    compiler = build_script().compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    (tmp_path / "old.cpp").write_text(f'extern "C" {{ {STALE[kind]} }}')
    built = [*compiler, "-shared", "-fPIC", "old.cpp", "-o", "libtrovid.so"]
    subprocess.run(built, cwd=tmp_path, check=True)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    try:
        reason = native.unavailable()
        assert reason is not None
        assert resolve_backend("auto", torch.empty(0)) == "direct"
        assert all(reason in said for said in caplog.messages)
        assert "\n" not in reason
        assert "install trovid again (in a checkout: python hatch_build.py)" in reason
        with pytest.raises(RuntimeError, match="'native' is not available: libtrovid"):
            Problem().run(Problem().tensors(), "native")
    finally:
        library.load.cache_clear()


@pytest.mark.parametrize("sanitizer", ["none", "thread", "address"])
def test_parts_in_cpp(sanitizer, tmp_path):
    """`native_parts.cpp`: the pool under load, and arrays whose memory runs out at every place."""
    compiler = build_script().compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    flags = ["-std=c++17", "-O1", "-g", "-pthread", "-Wall", "-Wextra"]
    if sanitizer != "none":
        flags.append(f"-fsanitize={sanitizer}")
    sources = [Path(__file__).with_name("native_parts.cpp"), SOURCES / "pool.cpp"]
    program = tmp_path / "parts"
    command = [*compiler, *flags, f"-I{SOURCES}", *map(str, sources), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode and sanitizer != "none":
        pytest.skip(f"the compiler has no {sanitizer} sanitizer")
    assert built.returncode == 0, built.stderr
    assert "warning" not in built.stderr, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    if sanitizer == "thread" and "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]
