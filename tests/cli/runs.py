"""Videos made for a test, and `trovid detect` run over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trovid.cli.main import main
from trovid.video.opening import VideoWriter

HEIGHT, WIDTH, FRAMES = 72, 96, 5


def images(count: int = FRAMES, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    scene = np.random.default_rng(0).integers(0, 255, (9, 24, 3), dtype=np.uint8)
    large = np.kron(scene, np.ones((16, 16, 1), np.uint8))
    places = (t % 70 for t in range(count))
    return np.stack([large[t : t + height, 3 * t : 3 * t + width] for t in places])


def video(path: Path, *, count: int = FRAMES, times: list[float] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, height=HEIGHT, width=WIDTH, frame_rate=12) as writer:
        for index, image in enumerate(images(count)):
            writer.write(image, time=times[index] if times else None)
    return path


def folder(path: Path, **size: int) -> Path:
    path.mkdir()
    for index, image in enumerate(images(**size)):
        Image.fromarray(image).save(path / f"{index}.png")
    return path


def run(
    capsys, model: str, *words: str | Path, score: float = 0.2
) -> tuple[int, list[str], list[str]]:
    """Exit status, lines of stdout, complaints on stderr."""
    options = ["--model", model, "--score", str(score), "--device", "cpu"]
    with pytest.raises(SystemExit) as exited:
        main(["detect", *map(str, words), *options])
    captured = capsys.readouterr()
    complaints = [line for line in captured.err.splitlines() if line.startswith("trovid: ")]
    return exited.value.code, captured.out.splitlines(), complaints


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}
