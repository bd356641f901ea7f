"""Clips panned over photographs that scikit-image's wheel carries, and a page of them."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from trovid.errors import TrovidError
from trovid.experiments.video_demo import Comparison
from trovid.files import replacing
from trovid.video.opening import VideoWriter

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "motorcycle_left.png")
HEIGHT, WIDTH = 288, 384
FRAMES, RATE = 72, 24
FAR, NEAR = 0.95, 0.7
"""Share of the photograph that the window shows, at the beginning and in the middle."""
BLURRED, DARK = range(18, 30), range(44, 56)
BLUR, LIGHT = 3.5, 0.25


def photographs_folder() -> Path:
    """Where the photographs lie.

    Raises:
        TrovidError: If scikit-image is not installed, or does not carry them.
    """
    found = importlib.util.find_spec("skimage")
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "data"
        if all((folder / name).is_file() for name in PHOTOGRAPHS):
            return folder
    raise TrovidError(
        "the page of everyday things needs the photographs of scikit-image: install it "
        "(pip install scikit-image) and call again"
    )


def write_clips(folder: Path, photographs: Path, frames: int = FRAMES) -> list[Path]:
    """One MP4 a photograph, panned and zoomed; some frames are out of focus, some are dark.

    Args:
        folder: Where they go.
        photographs: Folder of PHOTOGRAPHS.
        frames: Of each clip.

    Raises:
        TrovidError: If one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for name in PHOTOGRAPHS:
        path = folder / f"{Path(name).stem}.mp4"
        with VideoWriter(path, height=HEIGHT, width=WIDTH, frame_rate=RATE) as writer:
            for image in pan(Image.open(photographs / name).convert("RGB"), frames):
                writer.write(image)
        clips.append(path)
    return clips


def pan(photograph: Image.Image, frames: int = FRAMES) -> Iterator[np.ndarray]:
    """The frames of a clip: uint8 [HEIGHT, WIDTH, 3].

    The window goes once from the upper left to the lower right, nearer in the middle.

    Args:
        photograph: RGB, of any size.
        frames: How many.
    """
    ratio = WIDTH / HEIGHT
    widest = min(photograph.width, photograph.height * ratio)
    for index in range(frames):
        turn = index / (frames - 1)
        width = widest * (FAR + (NEAR - FAR) * np.sin(np.pi * turn))
        height = width / ratio
        left = turn * (photograph.width - width)
        top = turn * (photograph.height - height)
        box = (left, top, left + width, top + height)
        picture = photograph.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)
        if index in BLURRED:
            picture = picture.filter(ImageFilter.GaussianBlur(BLUR))
        if index in DARK:
            picture = ImageEnhance.Brightness(picture).enhance(LIGHT)
        yield np.asarray(picture)


def write_page(path: Path, comparisons: Sequence[Comparison], title: str) -> None:
    """An HTML page of videos that lie beside it.

    Args:
        path: The page.
        comparisons: What it shows.
        title: Its heading.
    """
    parts = [
        "<figure><video controls loop muted "
        f"src='{html.escape(comparison.video.name, quote=True)}'>"
        f"</video><figcaption>{html.escape(comparison.video.stem)}: {comparison.frames} frames, "
        f"{comparison.detections[0]} detections in single frames, {comparison.detections[1]} "
        "with the other frames</figcaption></figure>"
        for comparison in comparisons
    ]
    seconds = [f"{part.start / RATE:.2f} to {part.stop / RATE:.2f} s" for part in (BLURRED, DARK)]
    text = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>{html.escape(title)}</title><style>"
        "body{font:16px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:70rem;padding:0 1rem}"
        "video{width:100%}figure{margin:1.5rem 0}</style></head>"
        f"<body><h1>{html.escape(title)}</h1><p>Left: single frames. Right: the same with the "
        "clip's other frames (Temporal RoI Align). Below: the scores over time. The clips are "
        f"panned over photographs; from {seconds[0]} they are out of focus, from {seconds[1]} "
        f"dark.</p>{''.join(parts)}</body></html>\n"
    )
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
