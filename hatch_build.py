"""Builds trovid's native library while the package is installed, where there is a C++ compiler.

Without one the installation succeeds: the operator then runs on torch calls alone. Run as a script
(`python hatch_build.py`), this builds the library in place.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
SOURCES = ROOT / "src" / "trovid" / "ops" / "temporal_roi_align" / "cpp"
FOLDER = ROOT / "src" / "trovid" / "ops" / "_native"

FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-pthread"]
FLAGS += ["-ffp-contract=fast"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "cd"))]
if sys.platform != "darwin":
    AVX512.append("-mprefer-vector-width=512")
# What a compiler may be too old for: flags, and the name by which it asks for the feature.
NEWER = {
    "avx2_vnni": ([*AVX2, "-mavxvnni"], "avxvnni"),
    "avx512_vnni": ([*AVX512, "-mavx512vnni"], "avx512vnni"),
    "avx512_bf16": ([*AVX512, "-mavx512bf16"], "avx512bf16"),
}


def compiler() -> list[str] | None:
    """The C++ compiler's command: $CXX, else the first one found."""
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    found = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    return [found] if found else None


def instruction_sets(command: list[str]) -> dict[str, list[str]]:
    """Name and flags of each build of the kernels for this kind of machine.

    Args:
        command: The compiler's; what an old one does not know is left out.
    """
    sets: dict[str, list[str]] = {"portable": []}
    if platform.machine().lower() in ("x86_64", "amd64"):
        sets |= {"avx2": AVX2, "avx512": AVX512}
        for name, (flags, feature) in NEWER.items():
            trial = [*command, *flags, "-x", "c++", "-c", "-o", os.devnull, "-"]
            asked = f'int main() {{ return __builtin_cpu_supports("{feature}"); }}'
            if subprocess.run(trial, input=asked, capture_output=True, text=True).returncode == 0:
                sets[name] = flags
    return sets


def build(extra: list[str] | None = None, folder: Path = FOLDER) -> str | None:
    """Builds the library into a folder; returns why it could not, in one line, or None.

    Args:
        extra: More flags for the compiler, such as a sanitizer's.
        folder: Where the library goes.
    """
    command = compiler()
    if command is None:
        return "no C++ compiler was found (set CXX, or install g++ or clang)"
    if os.name != "posix":
        return "only Linux and macOS are supported"
    flags = [*FLAGS, *(extra or [])]
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    try:
        sets = instruction_sets(command)
    except OSError as error:
        return f"{command[0]} cannot be run: {error}"
    with tempfile.TemporaryDirectory() as scratch:
        known = [f"-DTROVID_HAS_{name}" for name in sets]
        units = {
            **{name: [*isa, f"-DTROVID_ISA={name}", "kernels.cpp"] for name, isa in sets.items()},
            "entry": [*known, "entry.cpp"],
            "pool": ["pool.cpp"],
        }
        objects = [str(Path(scratch) / f"{name}.o") for name in units]
        library = Path(scratch) / f"libtrovid{suffix}"
        commands = [
            [*flags, *options, "-c", str(SOURCES / source), "-o", object_file]
            for (*options, source), object_file in zip(units.values(), objects, strict=True)
        ]
        commands.append([*flags, "-shared", *objects, "-o", str(library)])
        for arguments in commands:
            done = subprocess.run([*command, *arguments], capture_output=True, text=True)
            if done.returncode:
                first = next((line for line in done.stderr.splitlines() if "error" in line), "")
                return f"{command[0]} failed: {first or done.stderr[-200:]}"
        folder.mkdir(exist_ok=True)
        final = folder / library.name
        partial = folder / f".{library.name}.{os.getpid()}"
        shutil.copy(library, partial)
        os.replace(partial, final)
    return None


def platform_tag() -> str:
    """The wheel's tag: any Python 3, this platform."""
    name = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"py3-none-{name}"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:
    BuildHookInterface = object


class NativeLibraryHook(BuildHookInterface):
    """hatchling's hook: the library goes into the wheel, or a warning says what is lost."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Builds the library before the wheel is put together."""
        reason = build()
        if reason:
            self.app.display_warning(f"trovid is installed without its native backend: {reason}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = platform_tag()
        build_data["artifacts"].append("src/trovid/ops/_native/libtrovid.*")


if __name__ == "__main__":
    sys.exit(build())
