"""Upright: decoded frames as pictures of one size, the right way up."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

KINDS = 64
"""More than FFmpeg has kinds of side data; PyAV fails on those that it does not know (EXIF)."""


class Upright:
    """Makes the pictures of one video, whose frames may change their size on the way.

    Args:
        first: The video's first frame, whose size and turn all pictures get.
        pixel_aspect: Width of a coded pixel by its height; None where the video states none.

    Attributes:
        mirrored: Whether the pictures are mirrored, top to bottom, before they are turned.
        pixel_aspect: Width of a picture's pixel by its height; None for square ones.
    """

    def __init__(self, first: VideoFrame, pixel_aspect: Fraction | None) -> None:
        self._coded_size = (first.height, first.width)
        self._quarter_turns = round(first.rotation / 90) % 4
        self.mirrored = _mirrors(first)
        self.pixel_aspect = pixel_aspect if pixel_aspect and pixel_aspect != 1 else None
        if self.pixel_aspect and self._quarter_turns % 2:
            self.pixel_aspect = 1 / self.pixel_aspect

    @property
    def rotation(self) -> int:
        """Degrees by which the pictures are turned counter-clockwise: 0, 90, 180 or 270."""
        return 90 * self._quarter_turns

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture."""
        height, width = self._coded_size
        return (width, height) if self._quarter_turns % 2 else (height, width)

    def picture(
        self, frame: VideoFrame, reformatter: VideoReformatter, *, over_black: bool = False
    ) -> np.ndarray:
        """The frame as uint8 [height, width, 3], RGB.

        Args:
            frame: A frame of the video.
            reformatter: One that is kept: to make it takes ten times as long as to use it.
            over_black: Whether what is transparent becomes black; by default transparency is passed
                over, and what it hides is seen.

        Raises:
            FFmpegError: If its pixels cannot be converted.
            ValueError: The same.
        """
        height, width = self._coded_size
        transparent = over_black and _may_be_transparent(frame)
        form = "rgba" if transparent else "rgb24"
        image = reformatter.reformat(frame, format=form, height=height, width=width).to_ndarray()
        if transparent:
            opaque = image[..., 3:].astype(np.uint16)
            image = ((image[..., :3] * opaque + 127) // 255).astype(np.uint8)
        if self.mirrored:
            image = image[::-1]
        return np.ascontiguousarray(np.rot90(image, self._quarter_turns))


def _may_be_transparent(frame: VideoFrame) -> bool:
    form = frame.format
    return form.has_palette or any(component.is_alpha for component in form.components)


def _mirrors(frame: VideoFrame) -> bool:
    """Whether the display matrix mirrors: `VideoFrame.rotation` tells the turn alone.

    It is that of a mirroring top to bottom, followed by the turn.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        matrix = _with_known_side_data(frame).side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    return a * d < b * c


def _with_known_side_data(frame: VideoFrame) -> VideoFrame:
    unknown = {*range(KINDS)} - {kind.value for kind in Type}
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    strips = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in sorted(unknown)]
    graph.link_nodes(source, *strips, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
