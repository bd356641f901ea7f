"""Writes docs/images/comparison.gif, the moving picture of the README, from `make demo`'s video.

python tools/moving_picture.py demo/comparison.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from trovid.video import open_video

TARGET = Path(__file__).parents[1] / "docs" / "images" / "comparison.gif"
FRAMES, WIDTH, MILLISECONDS = 24, 640, 200


def main(video: str) -> None:
    with open_video(video) as reader:
        pictures = [Image.fromarray(frame.image) for frame in reader.walk(range(FRAMES))]
    height = round(pictures[0].height * WIDTH / pictures[0].width)
    small = [
        picture.resize((WIDTH, height)).quantize(48, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    small[0].save(
        TARGET, save_all=True, append_images=small[1:], duration=MILLISECONDS, loop=0, optimize=True
    )
    print(f"{TARGET}: {TARGET.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
