"""Run as a program: a command of trovid again and again on a disk with more and more room.

    python full_disk.py FOLDER FIRST LAST STEP WORD...

The disk is a small tmpfs on FOLDER, which only a mount namespace of its own may have: run it by
`unshare --mount`. Sizes are in KiB; 4 of them are taken beforehand. Prints a JSON list
with, for each size, the exit status, the complaints, the files that are left, and which of them
are not whole.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from trovid.cli.main import main
from trovid.storage.tensor_files import read_tensors
from trovid.video.opening import open_video


def attempt(folder: Path, kib: int, words: list[str]) -> dict[str, object]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder)]
    subprocess.run(mount, check=True)
    try:
        filler = folder / "filler"
        filler.write_bytes(bytes(4096))
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                main(words)
            except SystemExit as exited:
                status = exited.code
        lines = [s for s in said.getvalue().splitlines() if s.startswith("trovid: ")]
        unwritten = [line for line in lines if "cannot write" in line]
        complaints = unwritten or (lines if status else [])
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != filler]
        return {
            "kib": kib,
            "status": status,
            "complaints": complaints,
            "traceback": "Traceback" in said.getvalue(),
            "files": [path.relative_to(folder).as_posix() for path in files],
            "torn": [str(path) for path in files if not whole(path)],
        }
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def whole(path: Path) -> bool:
    """Whether a file can be read to its end."""
    try:
        if path.suffix == ".mp4":
            with open_video(path) as reader:
                return len(list(reader)) == reader.video.num_frames and not reader.problems
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            rows = [*csv.reader(path.read_text().splitlines())]
            return all(len(row) == len(rows[0]) for row in rows) and path.read_text()[-1] == "\n"
        elif path.suffix in (".safetensors", ".checkpoint"):
            read_tensors(path)
        else:
            return ".partial" not in path.name
    except Exception:
        return False
    return True


if __name__ == "__main__":
    place, first, last, step, *rest = sys.argv[1:]
    sizes = range(int(first), int(last) + 1, int(step))
    print(json.dumps([attempt(Path(place), kib, rest) for kib in sizes]))
