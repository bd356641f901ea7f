"""VideoWriter: pictures into an H.264 file that appears under its name only when complete."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from trovid.errors import TrovidError
from trovid.files import partial_name, publish, unwritable
from trovid.video.protocols import ffmpeg_name
from trovid.video.sound import Sound

FEWEST_TICKS_A_SECOND = 90_000
BT709 = 1
"""Number of BT.709's primaries and of its transfer characteristics in ITU-T H.273."""


class VideoWriter:
    """Writes frames one by one: H.264 in yuv420p, BT.709, playable while it loads.

    It writes into a hidden file beside `path`, which `close` renames; leaving a `with` block by an
    error removes it. H.264 in yuv420p needs even sizes, so an odd height or width is padded by
    repeating the last row or column.

    Args:
        path: The file to write; its suffix chooses the container (.mp4, .mkv, ...).
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        frame_rate: Frames per second; nominal where `write` gets times.
        crf: Constant rate factor of x264: 0 is lossless (few players show it), 18 is hard to tell
            from the original, 51 is worst.
        threads: Encoder threads, 0 for as many as it likes. The bytes depend on the number; with
            1 the same images give the same bytes.
        sound: Goes into the file from the first frame's time on, as long as there are pictures.
            Frames need their times in the sound's source.
        metadata: The container's texts; the file has none but the encoder's name by default.
        pixel_aspect: Width of a pixel by its height, for players; None for square pixels.

    Raises:
        ValueError: If a size, rate or crf is out of range.
        TrovidError: If the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> folder = tempfile.TemporaryDirectory()
        >>> with VideoWriter(f"{folder.name}/a.mp4", height=32, width=48, frame_rate=25) as writer:
        ...     for grey in (0, 128, 255):
        ...         writer.write(np.full((32, 48, 3), grey, np.uint8))
        >>> os.listdir(folder.name)
        ['a.mp4']
    """

    def __init__(
        self,
        path: str | Path,
        *,
        height: int,
        width: int,
        frame_rate: float,
        crf: float = 18,
        threads: int = 0,
        sound: Sound | None = None,
        metadata: Mapping[str, str] | None = None,
        pixel_aspect: Fraction | None = None,
    ) -> None:
        if min(height, width) < 1:
            raise ValueError(f"`height` and `width` must be at least 1, but got {height}x{width}")
        if not frame_rate > 0:
            raise ValueError(f"`frame_rate` must be positive, but got {frame_rate}")
        if not 0 <= crf <= 51:
            raise ValueError(f"`crf` must lie in 0..51, but got {crf}")
        self.path = Path(path)
        self._partial = partial_name(self.path)
        self._size = (height, width)
        self._reformatter = VideoReformatter()
        self._padding = ((0, height % 2), (0, width % 2), (0, 0))
        rate = Fraction(frame_rate).limit_denominator(1001)
        self._ticks_a_second = rate.numerator * math.ceil(FEWEST_TICKS_A_SECOND / rate.numerator)
        self._ticks_a_frame = float(self._ticks_a_second / rate)
        self._start: float | None = None
        self._num_frames = 0
        self._last_ticks = -1
        self._sound = sound if sound is not None and sound.present else None
        try:
            self._partial.touch()
            self._container = av.open(
                ffmpeg_name(self._partial), "w", options=self._container_options(metadata)
            )
            self._container.metadata.update(metadata or {})
            self._stream = self._add_stream(rate, crf, threads)
            if pixel_aspect is not None:
                self._stream.codec_context.sample_aspect_ratio = pixel_aspect
        except (FFmpegError, OSError, ValueError) as error:
            self._partial.unlink(missing_ok=True)
            raise unwritable(self.path, error) from error

    def _container_options(self, metadata: Mapping[str, str] | None) -> dict[str, str]:
        """Of itself MP4 takes a few texts alone."""
        if self.path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
            return {}
        return {"movflags": "+faststart" + "+use_metadata_tags" * bool(metadata)}

    def _add_stream(self, rate: Fraction, crf: float, threads: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=rate)
        stream.height, stream.width = (size + size % 2 for size in self._size)
        stream.pix_fmt = "yuv420p"
        # x264's macroblock tree gave other bytes in up to one of ten runs (its AVX-512 code).
        stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
        context = stream.codec_context
        context.thread_count = threads
        context.time_base = Fraction(1, self._ticks_a_second)
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        context.color_primaries = context.color_trc = BT709
        return stream

    def write(self, image: np.ndarray, *, time: float | None = None) -> None:
        """Appends a frame.

        Args:
            image: uint8 [height, width, 3], RGB.
            time: Presentation time in seconds, for variable frame rate (the first frame's time
                becomes 0); by default 1 / frame_rate after the frame before.

        Raises:
            ValueError: If the image has another shape or type, or the time does not increase.
            TrovidError: If the disk is full or the like.
        """
        if image.shape != (*self._size, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"`image` must be uint8 {[*self._size, 3]}, "
                f"but got {image.dtype} {list(image.shape)}"
            )
        ticks = self._ticks(time)
        if self._sound is not None and not self._num_frames:
            self._attach_sound(self._sound)
        if any(map(any, self._padding)):
            image = np.pad(image, self._padding, mode="edge")
        picture = self._reformatter.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        picture.pts = ticks
        picture.time_base = Fraction(1, self._ticks_a_second)
        picture.duration = round(self._ticks_a_frame)
        try:
            self._container.mux(self._stream.encode(picture))
            self._mux_sound(ticks)
        except FFmpegError as error:
            raise unwritable(self.path, error) from error
        self._num_frames += 1
        self._last_ticks = ticks

    def _attach_sound(self, sound: Sound) -> None:
        try:
            sound.attach(self._container, self._start or 0.0)
        except (FFmpegError, ValueError) as error:
            self._leave_out_sound(error)

    def _mux_sound(self, ticks: float) -> None:
        if self._sound is None:
            return
        try:
            for packet in self._sound.until(ticks / self._ticks_a_second):
                self._container.mux(packet)
        except (InvalidDataError, ValueError) as error:
            self._leave_out_sound(error)

    def _leave_out_sound(self, error: Exception) -> None:
        if self._sound is not None:
            self._sound.problem = f"its sound is damaged and left out from there on ({error})"
            self._sound = None

    def _ticks(self, time: float | None) -> int:
        if time is None:
            return round(self._num_frames * self._ticks_a_frame)
        if self._start is None:
            self._start = time
        ticks = round((time - self._start) * self._ticks_a_second)
        if ticks <= self._last_ticks:
            raise ValueError(
                f"`time` must increase, but got {time} after "
                f"{self._start + self._last_ticks / self._ticks_a_second}"
            )
        return ticks

    def close(self) -> None:
        """Completes the file and gives it its name.

        Raises:
            TrovidError: If no frame was written, or the file cannot be completed.
        """
        self.finish()
        self.publish()

    def finish(self) -> None:
        """Completes the file under its hidden name; where that fails, nothing is left."""
        if not self._num_frames:
            self.discard()
            raise TrovidError(f"{self.path}: not written, because there was no frame")
        try:
            self._container.mux(self._stream.encode(None))
            self._mux_sound(self._last_ticks + self._ticks_a_frame)
            self._container.close()
        except (FFmpegError, OSError) as error:
            self.discard()
            raise unwritable(self.path, error) from error

    def publish(self) -> None:
        """Gives the completed file its name."""
        publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written, unless it was published."""
        with suppress(FFmpegError, OSError):
            self._container.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()
