"""A file is read as a file: whatever it is called, and not for others that it names."""

from __future__ import annotations

import pytest

from tests.cli.command import trovid_command
from tests.media import encode
from trovid.errors import TrovidError
from trovid.video.opening import VideoWriter, open_video


@pytest.mark.parametrize(
    "name",
    ["12:30.mp4", "a:b.mp4", "http:x.mp4", "concat:a.mp4", "pipe:0.mp4", "subfile,,start,0,:a.mp4"],
)
def test_a_name_is_no_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "plain.mp4", num_frames=3).rename(name)
    reader = open_video(name)
    images = [frame.image for frame in reader]
    assert len(images) == 3
    with VideoWriter(f"new-{name}", height=64, width=96, frame_rate=25) as writer:
        writer.write(images[0])
    assert len(open_video(f"new-{name}")) == 1


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "a.mp4": "\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "a.txt": "ffconcat version 1.0\nfile {}\n",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_refused_unless_it_is_asked_for(tmp_path, capsys, name):
    encode(tmp_path / "other.ts", num_frames=3, codec="mpeg2video")
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format("other.ts"))
    with pytest.raises(TrovidError, match=r"which names other files .* or give `allow_playlist`"):
        open_video(path)
    status, _, (complaint,) = trovid_command(capsys, "info", path)
    assert status == 2
    assert complaint.endswith("name the video itself, or give --allow-playlist")


def test_a_playlist_that_is_asked_for_is_read(tmp_path):
    encode(tmp_path / "other.ts", num_frames=3, codec="mpeg2video")
    path = tmp_path / "a.m3u8"
    path.write_text(PLAYLISTS["a.m3u8"].format("other.ts"))
    assert len(open_video(path, allow_playlist=True)) == 3


def test_what_only_ffmpeg_takes_for_a_playlist_is_refused_too(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("\n" * 70 + PLAYLISTS["a.m3u8"].format("other.ts"))
    with pytest.raises(TrovidError):
        open_video(path)


def test_a_playlist_without_an_end_is_not_waited_for(tmp_path):
    encode(tmp_path / "other.ts", num_frames=3, codec="mpeg2video")
    text = PLAYLISTS["a.m3u8"].format("other.ts").removesuffix("#EXT-X-ENDLIST\n")
    (tmp_path / "a.m3u8").write_text(text)
    path = tmp_path / "all.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\na.m3u8\n")
    with pytest.raises(TrovidError, match="names no end"):
        open_video(path, allow_playlist=True)
