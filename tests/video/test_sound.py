"""Sound goes along with the pictures: copied, or encoded anew, from where the pictures start."""

from __future__ import annotations

import numpy as np
import pytest

from tests.media import SOUND_RATE, encode, heard
from trovid.video.opening import VideoWriter, open_video
from trovid.video.sound import Sound


def rewritten(source, path, *, first: int = 0, last: int | None = None):
    with (
        open_video(source) as reader,
        VideoWriter(path, height=64, width=96, frame_rate=25, sound=Sound(source)) as writer,
    ):
        for frame in list(reader)[first:last]:
            writer.write(frame.image, time=frame.time)
    return path


@pytest.mark.parametrize(
    ("name", "encoder", "kept"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.mkv", "libmp3lame", "mp3"),
        ("a.mkv", "pcm_s16le", "aac"),
        ("a.mkv", "flac", "flac"),
    ],
)
def test_sound_is_kept(tmp_path, name, encoder, kept):
    source = encode(tmp_path / name, num_frames=50, sound=encoder)
    path = rewritten(source, tmp_path / "b.mp4")
    (_, before, _), (codec, after, _) = heard(source), heard(path)
    assert codec == kept
    assert len(after) / SOUND_RATE == pytest.approx(2.0, abs=0.1)
    for share in (0.3, 0.7):
        loud = [np.abs(x[int(share * 2 * SOUND_RATE) :][:4800]).max() for x in (before, after)]
        assert loud[0] == pytest.approx(loud[1], abs=0.05)


def test_sound_of_a_part_starts_with_its_pictures(tmp_path):
    source = encode(tmp_path / "a.mp4", num_frames=50, sound="aac")
    path = rewritten(source, tmp_path / "b.mp4", first=25, last=45)
    _, samples, _ = heard(path)
    assert len(samples) / SOUND_RATE == pytest.approx(0.8, abs=0.1)
    assert np.abs(samples[4800:9600]).max() > 0.5


@pytest.mark.parametrize("encoder", ["aac", "mp2"])
def test_sound_ends_where_the_clock_starts_again_and_that_is_said(tmp_path, encoder):
    """Be it copied or encoded anew."""
    source = encode(tmp_path / "a.ts", num_frames=25, sound=encoder)
    source.write_bytes(2 * source.read_bytes())
    with open_video(source) as reader:
        sound = Sound(source, clock_end=reader.clock_end)
        path = tmp_path / "b.mp4"
        with VideoWriter(path, height=64, width=96, frame_rate=25, sound=sound) as writer:
            for frame in reader:
                writer.write(frame.image, time=frame.time)
    assert len(open_video(path)) == 50
    assert len(heard(path)[1]) / SOUND_RATE == pytest.approx(1.0, abs=0.1)
    assert "left out from" in sound.problem


def test_without_sound_there_is_none(tmp_path):
    source = encode(tmp_path / "a.mp4")
    assert not Sound(source).present
    assert open_video(rewritten(source, tmp_path / "b.mp4")).video.num_frames == 12
