"""Builds trovid's wheel for this platform, with the native library inside, into dist/.

On Linux the wheel is tagged for the oldest system whose libraries it needs (auditwheel); on macOS
`MACOSX_DEPLOYMENT_TARGET` decides. One wheel serves every Python version, since the library is not
linked to Python.

    python tools/build_wheels.py
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)], check=True
        )
        (wheel,) = Path(folder).glob("*.whl")
        if wheel.name.endswith("-none-any.whl"):
            print("the wheel holds no native library: install a C++ compiler", file=sys.stderr)
            return 1
        DIST.mkdir(exist_ok=True)
        if sys.platform == "linux" and importlib.util.find_spec("auditwheel"):
            command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(DIST)]
            subprocess.run([*command, str(wheel)], check=True)
        else:
            if sys.platform == "linux":
                print("auditwheel is not installed: the wheel fits this system only")
            shutil.copy(wheel, DIST)
    print("\n".join(str(path) for path in sorted(DIST.glob("*.whl"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
