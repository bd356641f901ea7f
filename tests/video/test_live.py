"""Streams: a video served on 127.0.0.1 while it is read, whole, broken off and stopped."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.runs import run
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode, number
from trovid.errors import TrovidError
from trovid.runs.predictions import read_predictions
from trovid.video.live import LiveStream


@contextmanager
def served(path: Path, *, hang: bool = False, broken: bool = False):
    """The address of a server that sends the file as a stream without length."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            if not broken:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            data = path.read_bytes()
            chunk = f"{len(data):x}\r\n".encode() + data + b"\r\n"
            self.wfile.write(data if broken else chunk)
            self.wfile.flush()
            if hang:
                over.wait(60)
            if not broken:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/door.ts"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_frames_of_a_stream(tmp_path):
    with served(encode(tmp_path / "a.ts", num_frames=20)) as address:
        stream = LiveStream(address)
        frames = list(stream)
    assert (stream.video.name, stream.video.height, stream.video.width) == ("door", 64, 96)
    assert [number(frame.image) for frame in frames] == list(range(20))
    assert [frame.index for frame in frames] == list(range(20))
    steps = [b.time - a.time for a, b in pairwise(frames)]
    assert steps == pytest.approx([1 / 25] * 19, abs=1e-4)


def test_pictures_keep_their_size_where_a_stream_changes_its_own(tmp_path):
    path = encode(tmp_path / "a.ts")
    path.write_bytes(
        path.read_bytes() + encode(tmp_path / "b.ts", height=128, width=192).read_bytes()
    )
    with served(path) as address:
        shapes = [frame.image.shape for frame in LiveStream(address)]
    assert len(shapes) > 12
    assert {*shapes} == {(64, 96, 3)}


def test_times_go_on_where_the_clock_of_a_stream_starts_again(tmp_path):
    path = encode(tmp_path / "a.ts", num_frames=20)
    path.write_bytes(2 * path.read_bytes())
    with served(path) as address:
        stream = LiveStream(address)
        frames = list(stream)
    steps = [b.time - a.time for a, b in pairwise(frames)]
    assert steps == pytest.approx([1 / 25] * 39, abs=1e-4)
    assert stream.problems == [
        f"{address}: its clock starts again at frame 20; the times of the frames go on"
    ]


def test_a_turned_stream_is_upright(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov"}
    turned = encode(tmp_path / "a.mp4", rotation=90, container_options=options)
    with served(turned) as address:
        stream = LiveStream(address)
        frames = list(stream)
    assert (stream.video.height, stream.video.width) == (96, 64)
    assert [number(np.rot90(frame.image, -1)) for frame in frames] == list(range(12))


def test_a_stream_that_breaks_off_keeps_its_frames_and_is_said(tmp_path):
    with served(encode(tmp_path / "a.ts", num_frames=20), broken=True) as address:
        stream = LiveStream(address)
        frames = list(stream)
    assert [number(frame.image) for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 18
    assert "broke off after frame" in stream.problems[0]


def test_waiting_for_a_silent_stream_can_be_stopped(tmp_path):
    stop = threading.Event()
    began = time.monotonic()
    with served(encode(tmp_path / "a.ts", num_frames=20), hang=True) as address:
        threading.Timer(0.5, stop.set).start()
        with pytest.raises(TrovidError, match="stopped before the first frame"):
            LiveStream(address, stop=stop.is_set)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.ts", "webcam:97"])
def test_no_stream_is_said(address):
    with pytest.raises(TrovidError, match="cannot be opened"):
        LiveStream(address)


def test_detect_on_a_stream(tmp_path, capsys):
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    out = tmp_path / "out"
    with served(encode(tmp_path / "a.ts", num_frames=20)) as address:
        status, _, complaints = run(capsys, model, address, "--out", out)
        assert status == 2
        assert "give --online" in complaints[0]
        status, _, complaints = run(capsys, model, address, "--online", "--timeline")
        assert status == 2
        assert "--timeline is drawn into the video, of a source that ends" in complaints[0]
        words = [address, "--out", out, "--online", "--lookahead", "2", "--end", "0.5"]
        status, lines, complaints = run(capsys, model, *words)
    assert (status, complaints) == (0, [])
    assert "latency" in lines[0] or "latency" in lines[1]
    (frames,) = read_predictions(out / "door.json")[1].values()
    assert [d.frame_index for d in frames] == list(range(13))
    assert (out / "door.mp4").exists()
