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
from trovid.video.opening import as_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequence", type=Path, help="a folder of pictures, or a video")
    parser.add_argument("out", type=Path)
    parser.add_argument("--stride", type=int, choices=(8, 16, 32), default=32)
    parser.add_argument("--cells", type=int, nargs=2, default=(38, 63), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=14, help="support frames")
    words = parser.parse_args()
    frames = [frame.image for frame in as_frames(str(words.sequence), frame_rate=24.0)]
    middle = len(frames) // 2
    others = np.delete(np.arange(len(frames)), middle)
    places = np.linspace(0, len(others) - 1, words.frames).round().astype(int)
    network = Lite0(lite0_file())
    words.out.mkdir(parents=True, exist_ok=True)
    height, width = words.cells
    for number, place in enumerate([middle, *others[places]]):
        picture = Image.fromarray(frames[place])
        resized = picture.resize((width * words.stride, height * words.stride))
        maps = network(np.array(resized))[words.stride][0, :, :height, :width]
        np.save(words.out / f"{number:02}.npy", maps.numpy())


if __name__ == "__main__":
    main()
