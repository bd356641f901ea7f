"""Video files made by the real encoders, without trovid's own writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from trovid.video.opening import Frame, VideoReader

RATE = 25
SOUND_RATE = 48_000
MARK = 8
STEADY = {"qp": "20"}
"""With which x264 gives the same in every process, as by itself it does not always."""


def numbered(index: int, height: int = 64, width: int = 96) -> np.ndarray:
    """An image from which `number` tells the index even after lossy compression."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(60, 200, (height // 8 + 9, width // 8 + 9, 3)), np.ones((8, 8, 1)))
    image = scene[index % 8 :, (2 * index) % 8 :][:height, :width].astype(np.uint8)
    for bit in range(8):
        image[:MARK, MARK * bit : MARK * (bit + 1)] = 255 if index >> bit & 1 else 0
    return image


def number(image: np.ndarray) -> int:
    """The index that `numbered` drew."""
    return sum(1 << bit for bit in range(8) if image[2:6, 8 * bit + 2 : 8 * bit + 6].mean() > 127)


def encode(
    path: Path,
    *,
    num_frames: int = 12,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    height: int = 64,
    width: int = 96,
    ticks: Sequence[int] | None = None,
    start: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    interlaced: bool = False,
    gop: int = 12,
    sound: str | None = None,
    more_streams: bool = False,
    picture: Callable[[int], np.ndarray] | None = None,
) -> Path:
    """Writes a video whose frames tell their index.

    Args:
        path: The file.
        num_frames: Frames.
        codec: Encoder; a test is skipped where this PyAV has none.
        pix_fmt: Pixel format.
        height: Height of a frame.
        width: Width of a frame.
        ticks: Time of each frame in 1/12800 s; by default 25 frames a second.
        start: Ticks before the first frame.
        options: Of the encoder.
        container_options: Of the container.
        rotation: Degrees in the display matrix.
        mirrored: Whether the display matrix mirrors left and right after it.
        pixel_aspect: Width of a pixel by its height; None for what the encoder says itself.
        interlaced: Whether frames are coded as two fields.
        gop: Frames from one that can be decoded alone to the next.
        sound: Audio encoder of a tone that goes with the pictures.
        more_streams: Whether a second video and a second sound follow.
        picture: Image of each frame in place of `numbered`.
    """
    for name in filter(None, (codec, sound)):
        if name not in av.codecs_available:
            pytest.skip(f"this PyAV has no encoder {name}")
    coarse = path.suffix == ".avi" or codec == "mpeg2video"
    unit = Fraction(1, RATE) if coarse else Fraction(1, 12800)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        streams = []
        for _ in range(2 if more_streams else 1):
            stream = container.add_stream(codec, rate=RATE)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            stream.options = options or {}
            stream.gop_size = gop
            stream.codec_context.time_base = unit
            if interlaced:
                stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
            if pixel_aspect:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
            if rotation or mirrored:
                stream.set_display_rotation(rotation, hflip=mirrored)
            streams.append(stream)
        tracks = [
            container.add_stream(sound, rate=SOUND_RATE, layout="stereo")
            for _ in range((2 if more_streams else 1) if sound else 0)
        ]
        for index in range(num_frames):
            image = numbered(index, height, width) if picture is None else picture(index)
            for stream in streams:
                layout = "rgba" if image.shape[2] == 4 else "rgb24"
                frame = av.VideoFrame.from_ndarray(image, format=layout).reformat(format=pix_fmt)
                at = ticks[index] if ticks else round(Fraction(index, RATE) / unit)
                frame.pts, frame.time_base = at + start, unit
                container.mux(stream.encode(frame))
        for track in tracks:
            for frame in tone(num_frames / RATE, track.codec_context.format.name):
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def tone(seconds: float, sample_format: str) -> list[av.AudioFrame]:
    """A tone that grows louder, in frames of 1024 samples."""
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    wave = (np.sin(2 * np.pi * 440 * times) * (0.1 + 0.8 * times / seconds)).astype(np.float32)
    resampler = av.AudioResampler(format=sample_format, layout="stereo", rate=SOUND_RATE)
    frames = []
    for first in range(0, len(wave), 1024):
        piece = np.stack([wave[first : first + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SOUND_RATE, first
        frame.time_base = Fraction(1, SOUND_RATE)
        frames += resampler.resample(frame)
    return frames


def heard(path: Path) -> tuple[str, np.ndarray, float]:
    """Codec, samples (left channel) and start in seconds of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
        pieces, start = [], None
        for frame in container.decode(stream):
            start = frame.time if start is None else start
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        return stream.codec_context.codec.canonical_name, np.concatenate(pieces), start or 0.0


def stated_times(path: Path) -> list[float]:
    """The times of the first video stream's frames as PyAV gives them."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def assert_exact(reader: VideoReader, count: int) -> list[Frame]:
    """The frames, which must be those of `numbered` for 0..count - 1, each once and in order."""
    frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    assert reader.video.num_frames == len(reader) == count
    return frames
