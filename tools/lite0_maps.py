"""EfficientNet-Lite0's maps of a sequence's frames, for `trovid bench operator --maps`.

One file .npy [C, H, W] a frame: the middle frame first, as the target, then 14 others, evenly over
the sequence. Frames are resized so that the maps have the cells that are asked for, by default the
paper's 38x63. Needs `pip install 'trovid[premise]'`.

    python tools/lite0_maps.py DAVIS/JPEGImages/480p/bear --stride 32 maps/bear-32
    trovid bench operator forward rois --maps maps/bear-32
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from trovid.experiments.lite0 import Lite0, lite0_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequence", type=Path, help="a folder of pictures")
    parser.add_argument("out", type=Path)
    parser.add_argument("--stride", type=int, choices=(8, 16, 32), default=32)
    parser.add_argument("--cells", type=int, nargs=2, default=(38, 63), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=14, help="support frames")
    words = parser.parse_args()
    files = sorted(words.sequence.glob("*.jpg"))
    middle = len(files) // 2
    others = np.linspace(0, len(files) - 1, words.frames + 2).round().astype(int)[1:-1]
    chosen = [middle, *(place + (place == middle) for place in others)]
    network = Lite0(lite0_file())
    words.out.mkdir(parents=True, exist_ok=True)
    height, width = words.cells
    for number, place in enumerate(chosen):
        with Image.open(files[place]) as picture:
            resized = picture.convert("RGB").resize((width * words.stride, height * words.stride))
        maps = network(np.asarray(resized))[words.stride][0, :, :height, :width]
        np.save(words.out / f"{number:02}.npy", maps.numpy())


if __name__ == "__main__":
    main()
