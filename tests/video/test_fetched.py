"""Videos at http addresses, served on 127.0.0.1."""

from __future__ import annotations

import gzip

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.cli.command import trovid_command
from tests.cli.runs import names, run
from tests.cli.tiny_model import save_tiny_model
from tests.media import assert_exact, encode, numbered
from tests.zoo.file_server import Answer, serve
from trovid.cli.main import main
from trovid.errors import TrovidError
from trovid.runs.predictions import read_predictions
from trovid.video import open_video
from trovid.video.fetched import _receive, fetched


def test_a_file_is_fetched_and_read_as_a_file(tmp_path):
    data = encode(tmp_path / "a.mp4", num_frames=14).read_bytes()
    with serve() as server:
        server.answers["/films/dog.mp4"] = [Answer(data)]
        address = f"{server.address}/films/dog.mp4"
        reader = open_video(address)
        assert len(server.asked) == 1
    assert_exact(reader, 14)  # the server is gone
    assert (reader.video.name, reader.source, reader.problems) == ("dog", address, [])
    folder = reader.path.parent
    assert folder.exists()
    del reader
    assert not folder.exists()


def test_an_image_is_read_as_an_image_file(tmp_path):
    first, *rest = (Image.fromarray(numbered(index)) for index in (5, 6, 7))
    first.save(tmp_path / "a.webp", lossless=True, save_all=True, append_images=rest)
    with serve() as server:
        server.answers["/dog.webp?size=1"] = [Answer((tmp_path / "a.webp").read_bytes())]
        server.answers["/no.png"] = [Answer(b"no image")]
        reader = open_video(f"{server.address.replace('://', '://me:secret@')}/dog.webp?size=1")
        with pytest.raises(TrovidError, match=f"^{server.address}/no.png: not a readable image"):
            open_video(f"{server.address}/no.png")
    shown = f"{server.address}/dog.webp?size=1"
    assert (reader.video.name, reader.source, len(reader)) == ("dog", shown, 1)
    assert [text[: len(shown) + 20] for text in reader.problems] == [f"{shown}: holds 3 pictures, "]
    np.testing.assert_array_equal(reader.read([0])[0].image, numbered(5))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"gone", status=404), "the server answers 404 Not Found"),
        (Answer(b"\0" * 100, length=False), "no stated end .* give `online`"),
        (Answer(b"\xef\xbb\xbf\n#EXTM3U\nsegment.ts\n"), "is a playlist: name .* give `online`"),
        (Answer(b"\0" * 100, cut=50), "cannot be fetched"),
        (
            Answer(gzip.compress(b"\0" * 10**6), headers={"Content-Encoding": "gzip"}),
            r"comes packed \(gzip\)",
        ),
        (Answer(b"no video at all" * 9), "dog.mp4: not a video"),
    ],
    ids=["not there", "endless", "playlist", "cut", "packed", "no video"],
)
def test_what_cannot_be_had_is_said_with_its_address(answer, said, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serve() as server:
        server.answers["/dog.mp4"] = [answer]
        with pytest.raises(TrovidError, match=said) as raised:
            open_video(f"{server.address}/dog.mp4")
    assert str(raised.value).startswith(f"{server.address}/dog.mp4: ")
    assert not list(tmp_path.iterdir())


def test_a_command_that_takes_no_streams_does_not_advise_it(tmp_path, capsys):
    with serve() as server:
        address = f"{server.address}/dog.mp4"
        server.answers["/dog.mp4"] = [Answer(b"\0" * 100, length=False)]
        words = ["--classes", "star", "--out", tmp_path / "out"]
        told = [
            *trovid_command(capsys, "blur", "webcam", address, *words)[2],
            *trovid_command(capsys, "info", address)[2],
        ]
    endless = f"trovid: {address}: has no stated end to look ahead to: fetch it yourself"
    assert told == [
        "trovid: webcam: a stream has no end to look ahead to: record it and name the file",
        *[f"{endless} and name the file"] * 2,
    ]


@pytest.mark.parametrize("hops", [["http://b/"], ["http://b/", "https://c/"]])
def test_an_encrypted_address_leads_through_no_other(tmp_path, hops):
    *through, last = [httpx.Response(302, request=httpx.Request("GET", hop)) for hop in hops]
    last.history, last.status_code = through, 200
    last.headers["Content-Length"] = "0"
    with pytest.raises(TrovidError, match="leads to http://b/, which is not encrypted"):
        _receive("https://a/a.mp4", last, tmp_path / "a.mp4", lambda: False, show_progress=False)


def test_fetching_can_be_stopped_and_what_is_no_address_is_said(tmp_path):
    with serve() as server:
        server.answers["/dog.mp4"] = [Answer(b"\0" * 1000)]
        with pytest.raises(TrovidError, match="stopped while it was fetched"):
            fetched(f"{server.address}/dog.mp4", stop=lambda: True)
    with pytest.raises(TrovidError, match="cannot be fetched"):
        open_video("http://127.0.0.1:9/a.mp4")
    with pytest.raises(TrovidError, match="give `online`"):
        open_video("rtsp://127.0.0.1:9/a")


def test_detect_and_info_take_the_address(tmp_path, capsys):
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    data = encode(tmp_path / "a.mp4", num_frames=6, sound="aac").read_bytes()
    with serve() as server:
        server.answers["/dog.mp4"] = [Answer(data)]
        address = f"{server.address}/dog.mp4"
        status, _, complaints = run(capsys, model, address, "--out", tmp_path / "out")
        assert (status, complaints) == (0, [])
        with pytest.raises(SystemExit) as exited:
            main(["info", address])
    assert exited.value.code == 0
    page = capsys.readouterr().out
    assert page.startswith(address)
    assert "6 decode" in page
    assert names(tmp_path / "out") == {"dog.mp4", "dog.json", "dog.csv"}
    (found,) = read_predictions(tmp_path / "out" / "dog.json")[1].values()
    assert len(found) == 6


def test_who_asks_is_neither_said_nor_written(tmp_path, capsys):
    model = str(save_tiny_model(tmp_path / "tiny.safetensors"))
    data, out = encode(tmp_path / "a.mp4", num_frames=3).read_bytes(), tmp_path / "out"
    with serve() as server:
        server.answers["/dog.mp4"] = [Answer(data)]
        address = f"{server.address.replace('://', '://me:secret@')}/dog.mp4"
        assert run(capsys, model, address, "--out", out, "--coco", "--sheet", "--json")[0] == 0
        said = [capsys.readouterr()]
        for words in (
            ["detect", address, f"{address}-not-there", "--out", str(out), "--model", model],
            ["info", address, f"{address}-not-there", "--json"],
            ["explain", address, "--out", str(out / "x.png"), "--model", model, "--json"],
            ["explain", address.replace("http", "rtsp"), "--model", model],
            ["detect", address.replace("http", "s3"), "--model", model],
            ["info", address.replace("http", "rtsp"), "--json"],
        ):
            with pytest.raises(SystemExit):
                main(words)
            said.append(capsys.readouterr())
    texts = [text for captured in said for text in captured]
    texts += [path.read_bytes().decode("latin-1") for path in out.iterdir()]
    assert len(names(out)) == 7
    assert f'"file_name": "{server.address}/dog.mp4"' in (out / "dog.json").read_text()
    assert not [text for text in texts if "secret" in text]
