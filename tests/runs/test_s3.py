"""Shards, merging and VideoDetector on a real S3 server, through the driver s3fs."""

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time

import pytest

from tests.cli.command import trovid_command
from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from tests.external import need_package
from tests.programs import COMMAND, Program, start_program
from tests.runs.s3_server import free_port, nobody_known, s3_server, variables
from trovid.errors import TrovidError
from trovid.runs import VideoDetector
from trovid.runs.places import Place

ROOT = "s3://bucket/videos"
FRAMES = {"a.mp4": 2, "b.mp4": 2, "d.mp4": 2, "deep/c.mp4": 60}
DAMAGED = "damaged.mp4"
"""Together with b.mp4 and deep/c.mp4, after the first and before the second, in shard 1/2."""


@pytest.fixture(scope="module", autouse=True)
def packages():
    for name in ("pyarrow", "s3fs", "moto", "flask_cors"):
        need_package(name)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> list[str]:
    file = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return ["--model", str(file), "--score", "0.2", "--device", "cpu"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("local") / "videos"
    for name, count in FRAMES.items():
        video(root / name, count=count)
    (root / DAMAGED).write_bytes((root / "a.mp4").read_bytes()[:300])
    return root


@pytest.fixture(scope="module")
def port(tmp_path_factory, videos):
    with (
        s3_server(tmp_path_factory.mktemp("server")) as port,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in variables(port).items():
            patch.setenv(name, value)
        store = other_process()
        store.mkdir("bucket")
        store.put(str(videos), "bucket/videos", recursive=True)
        store.touch("bucket/videos/deep/")  # as S3's web page makes folders
        store.pipe_file("bucket/videos/.hidden.mp4", b"no video")
        yield port


@pytest.fixture(autouse=True)
def environment(port, monkeypatch):
    """Drivers remember where they were connected to: here each test connects anew."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    for name, value in variables(port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def other_process():
    """A connection that shares no memory of what was listed."""
    import s3fs

    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


def ended(process: Program) -> tuple[int, str, list[str]]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, [line for line in err.splitlines() if line[:8] == "trovid: "]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_two_machines_one_killed_and_what_is_missing_is_done(videos, tmp_path, capsys, model):
    out, store = "s3://bucket/out", other_process()
    shard = ["detect", ROOT, "--out", out, *model, "--shard"]
    killed = start_program(COMMAND, [*shard, "1/2"])
    try:
        last = time.monotonic() + 120
        while not store.exists("bucket/out/b.mp4.done"):
            assert time.monotonic() < last
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
    finally:
        killed.kill()
    assert ended(killed)[0] == -signal.SIGKILL
    left = {name for name in store.find("bucket/out") if "/deep/" in name}
    assert left == set()  # neither a result nor a part of one
    first = store.info("bucket/out/b.mp4.parquet")

    both = [start_program(COMMAND, [*shard, part, "--json"]) for part in ("1/2", "0/2")]
    (status, said, complaints), (status0, said0, complaints0) = map(ended, both)
    assert (status, status0, complaints0) == (1, 0, [])
    assert complaints == [
        f"trovid: {ROOT}/{DAMAGED}: holds no video (only data); name another file"
    ]
    states = {record["path"]: record["state"] for record in json.loads(said)["videos"]}
    assert states == {"b.mp4": "done before", DAMAGED: "failed", "deep/c.mp4": "done"}
    states = {record["path"]: record["state"] for record in json.loads(said0)["videos"]}
    assert states == {"a.mp4": "done", "d.mp4": "done"}
    again = store.info("bucket/out/b.mp4.parquet")
    assert (again["LastModified"], again["ETag"]) == (first["LastModified"], first["ETag"])

    whole = tmp_path / "all.parquet"
    status, _, complaints = trovid_command(capsys, "merge", out, "--out", whole)
    assert status == 2
    assert complaints[0].startswith(f"trovid: {ROOT}/{DAMAGED}: ")
    assert not whole.exists()

    mended = shutil.copytree(videos, tmp_path / "videos")
    shutil.copy(mended / "d.mp4", mended / DAMAGED)
    store.put_file(str(mended / DAMAGED), f"bucket/videos/{DAMAGED}")
    try:
        status, said, complaints = trovid_command(capsys, *shard, "1/2")
        assert (status, complaints) == (0, [])
        assert "shard 1/2: 3 videos (1 done, 2 done before)" in said
    finally:
        store.put_file(str(videos / DAMAGED), f"bucket/videos/{DAMAGED}")
    assert trovid_command(capsys, "merge", out, "--out", whole)[::2] == (0, [])

    local = ["detect", mended, "--shard", "0/1", "--out", tmp_path / "out", *model]
    assert trovid_command(capsys, *local)[::2] == (0, [])
    alone = tmp_path / "alone.parquet"
    assert trovid_command(capsys, "merge", tmp_path / "out", "--out", alone)[::2] == (0, [])
    assert alone.read_bytes() == whole.read_bytes()


def test_what_another_process_wrote_meanwhile_is_seen():
    place, store = Place("s3://bucket/told"), other_process()
    place.write("first.done", "1")
    assert place.names(".done") == ["first.done"]
    assert not place.exists("deep/second.done")
    store.pipe_file("bucket/told/deep/second.done", b"2")
    assert place.exists("deep/second.done")
    assert place.read("deep/second.done") == "2"
    assert place.names(".done") == ["deep/second.done", "first.done"]
    store.rm_file("bucket/told/first.done")
    assert not place.exists("first.done")
    assert place.read("first.done") is None
    place.remove("deep/second.done")
    place.remove("deep/second.done")
    assert store.find("bucket/told") == []


def test_video_detector(videos, model):
    detector = VideoDetector(model[1], device="cpu", score=0.2)
    columns = detector({"path": [f"{ROOT}/a.mp4", f"{ROOT}/{DAMAGED}", f"{ROOT}/absent.mp4"]})
    local = detector({"path": [str(videos / "a.mp4")]})
    count = len(local["path"])
    assert {*columns["path"].to_pylist()[:count]} == {f"{ROOT}/a.mp4"}
    for name in columns.keys() - {"path"}:
        assert columns[name][:count].to_pylist() == local[name].to_pylist(), name
    damaged, absent = columns["error"].to_pylist()[count:]
    assert damaged.startswith(f"{ROOT}/{DAMAGED}: holds no video")
    assert absent.startswith(f"{ROOT}/absent.mp4: cannot be fetched (")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["detect", "s3://absent/videos", "--shard", "0/2", "--out", "OUT"],
            "s3://absent/videos: cannot be listed (The specified bucket does not exist); "
            "check the address",
        ),
        (
            ["detect", ROOT, "--shard", "0/2", "--out", "s3://absent/out/"],
            "s3://absent/out/_shards/0-of-2.json: cannot be written (The specified bucket does "
            "not exist)",
        ),
        (
            ["detect", "s3://bucket/video", "--shard", "0/2", "--out", "OUT"],
            "s3://bucket/video: no video is below it; check the name",
        ),
        (
            ["detect", f"{ROOT}/a.mp4", "--shard", "0/2", "--out", "OUT"],
            f"{ROOT}/a.mp4: no video is below it; check the name",
        ),
        (
            ["merge", "s3://absent/out", "--out", "all.json"],
            "s3://absent/out: cannot be listed (The specified bucket does not exist); "
            "check the address",
        ),
        (
            ["merge", "s3://bucket/nothing", "--out", "all.json"],
            "s3://bucket/nothing: no results are below it; check the address",
        ),
    ],
)
def test_wrong_addresses(tmp_path, capsys, model, words, message):
    words = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    status, _, complaints = trovid_command(capsys, *words, *(model if "detect" in words else []))
    assert (status, complaints) == (2, [f"trovid: {message}"])
    assert [*other_process().ls("")] == ["bucket"]  # none was made of a wrong name


def test_credentials_that_are_not_known(port, tmp_path, capsys, model):
    out = f"s3://bucket/{tmp_path.name}"
    with nobody_known(port):
        status, _, complaints = trovid_command(
            capsys, "detect", ROOT, "--shard", "0/2", "--out", out, *model
        )
        assert status == 2
        (complaint,) = complaints
        assert complaint.startswith(f"trovid: {ROOT}: cannot be listed (The AWS Access Key Id you")
        assert complaint.endswith("check the credentials and what they allow")
        with pytest.raises(TrovidError, match=r"cannot be written \(.*check the credentials"):
            Place(out).write("a", "")


def test_a_server_that_is_gone(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    status, _, complaints = trovid_command(
        capsys, "merge", "s3://bucket/out", "--out", tmp_path / "all.json"
    )
    assert status == 2
    assert len(complaints) == 1
    assert "s3://bucket/out: cannot be listed (Could not connect" in complaints[0]
    place = Place("s3://bucket/out")
    for ask in (place.read, place.exists, place.remove, lambda name: place.write(name, "")):
        with pytest.raises(TrovidError, match=r"s3://bucket/out/a: cannot be .*Could not connect"):
            ask("a")


def test_the_silence_of_a_server_is_said(monkeypatch, caplog):
    """It takes the connection, answers nothing for a second, and is gone then."""
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")

    def keep_quiet() -> None:
        with silent, silent.accept()[0]:
            time.sleep(1)

    waiting = threading.Thread(target=keep_quiet)
    waiting.start()
    with pytest.raises(TrovidError, match=r"s3://bucket/out: cannot be listed \("):
        Place("s3://bucket/out", patience=0.2).names()
    waiting.join()
    (said,) = (record.getMessage() for record in caplog.records if record.name == "trovid")
    assert said == "s3://bucket/out: not listed after 0.2 s, still trying"


def test_a_driver_that_is_not_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    status, _, complaints = trovid_command(
        capsys, "merge", "gs://bucket/out", "--out", tmp_path / "all.json"
    )
    assert status == 2
    (complaint,) = complaints
    assert complaint.startswith("trovid: gs://bucket/out: install fsspec's driver")
    assert "install gcsfs" in complaint
