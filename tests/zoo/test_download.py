"""Downloads from a real server that breaks off, lies, stalls and redirects."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
import sys
import time

import pytest

from tests.zoo.file_server import Answer, serve
from trovid.errors import TrovidError
from trovid.zoo.download import download

BODY = random.Random(0).randbytes(300_000)
HASH = hashlib.sha256(BODY).hexdigest()[:8]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("TROVID_OFFLINE", "TROVID_MIRROR", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with serve() as running:
        yield running


def get(server, path, answers, **options):
    server.answers["/file.pth"] = answers
    options = {"sha256": HASH, "pause": 0.01, "patience": 5.0, **options}
    return download(f"{server.address}/file.pth", path / "file.pth", **options)


def left(path):
    return sorted(file.name for file in path.iterdir() if file.suffix != ".lock")


def test_arrives_whole_with_progress_and_is_not_fetched_again(server, tmp_path):
    seen = []
    file = get(server, tmp_path, [Answer(BODY)], progress=lambda *state: seen.append(state))
    assert file.read_bytes() == BODY
    assert left(tmp_path) == ["file.pth"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    get(server, tmp_path, [Answer(BODY)])
    assert len(server.asked) == 1


def test_a_broken_transfer_is_resumed_where_it_was(server, tmp_path):
    answers = [Answer(BODY, cut=100_000), Answer(BODY, cut=50_000), Answer(BODY)]
    file = get(server, tmp_path, answers)
    assert file.read_bytes() == BODY
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    broken = [Answer(BODY, cut=70_000), Answer(b"", status=503)]
    with pytest.raises(TrovidError, match=r"goes on at 70000 bytes"):
        get(server, tmp_path, broken, attempts=2)
    assert left(tmp_path) == [".file.pth.partial"]
    assert get(server, tmp_path, [Answer(BODY)]).read_bytes() == BODY
    assert server.asked[-1][1] == "bytes=70000-"


def test_a_server_without_ranges_starts_again(server, tmp_path):
    answers = [Answer(BODY, cut=100_000), Answer(BODY, ranges=False)]
    assert get(server, tmp_path, answers).read_bytes() == BODY


def test_what_was_there_belongs_to_another_file(server, tmp_path):
    (tmp_path / ".file.pth.partial").write_bytes(b"x" * 1000)
    assert get(server, tmp_path, [Answer(BODY)]).read_bytes() == BODY
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-", None]


def test_what_was_there_is_longer_than_the_file(server, tmp_path):
    (tmp_path / ".file.pth.partial").write_bytes(b"x" * (len(BODY) + 5))
    assert get(server, tmp_path, [Answer(BODY)]).read_bytes() == BODY


def test_wrong_content_is_thrown_away_and_named(server, tmp_path):
    wrong = b"<html>please log in</html>"
    with pytest.raises(TrovidError, match=f"SHA-256 .*26 bytes.* must begin with {HASH}"):
        get(server, tmp_path, [Answer(wrong)])
    assert left(tmp_path) == []
    assert len(server.asked) == 1


def test_truncated_without_a_length(server, tmp_path):
    short = Answer(BODY, cut=1000, length=False)
    with pytest.raises(TrovidError, match=r"SHA-256 .*1000 bytes"):
        get(server, tmp_path, [short])
    whole = get(server, tmp_path, [short, Answer(BODY)], size=len(BODY))
    assert whole.read_bytes() == BODY


def test_a_server_that_stalls_is_left_and_asked_again(server, tmp_path):
    began = time.monotonic()
    file = get(server, tmp_path, [Answer(BODY, delay=20.0), Answer(BODY)], patience=0.3)
    assert file.read_bytes() == BODY
    assert server.asked[1][1] == f"bytes={len(BODY) // 2}-"
    assert time.monotonic() - began < 10


def test_a_slow_server_is_waited_for(server, tmp_path):
    assert get(server, tmp_path, [Answer(BODY, delay=0.5)], patience=3.0).read_bytes() == BODY
    assert len(server.asked) == 1


def test_busy_servers_are_asked_again_and_may_say_when(server, tmp_path):
    busy = Answer(b"", status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    assert get(server, tmp_path, [Answer(b"", status=500), busy, Answer(BODY)]).exists()
    assert time.monotonic() - began >= 1


def test_no_such_file_is_asked_for_once(server, tmp_path):
    with pytest.raises(TrovidError, match=r"answers 404 .* place it as .*TROVID_MIRROR"):
        download(f"{server.address}/other.pth", tmp_path / "other.pth", sha256=HASH)
    assert len(server.asked) == 1
    assert left(tmp_path) == []


def test_redirects_are_followed_but_not_for_ever(server, tmp_path):
    server.answers["/real.pth"] = [Answer(BODY)]
    move = Answer(b"", status=302, headers={"Location": "/real.pth"})
    assert get(server, tmp_path, [move]).read_bytes() == BODY
    circle = Answer(b"", status=302, headers={"Location": "/file.pth"})
    with pytest.raises(TrovidError, match="cannot be downloaded"):
        get(server, tmp_path / "again", [circle])


def test_no_connection_says_where_to_place_the_file(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/file.pth"
        with pytest.raises(TrovidError) as error:
            download(address, tmp_path / "file.pth", sha256=HASH, attempts=2, pause=0.01)
    assert address in str(error.value)
    assert f"place it as {tmp_path / 'file.pth'}" in str(error.value)


def test_offline_asks_nobody_but_takes_what_is_there(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TROVID_OFFLINE", "1")
    with pytest.raises(TrovidError, match=r"TROVID_OFFLINE forbids .* place it as"):
        get(server, tmp_path, [Answer(BODY)])
    (tmp_path / "file.pth").write_bytes(BODY)
    assert get(server, tmp_path, [Answer(BODY)]).exists()
    assert server.asked == []


def test_a_file_placed_by_hand_is_checked(server, tmp_path):
    (tmp_path / "file.pth").write_bytes(BODY[:-1])
    with pytest.raises(TrovidError, match=f"must begin with {HASH}: .*delete it"):
        get(server, tmp_path, [Answer(BODY)])


@pytest.mark.parametrize("address", ["file.pth", "ftp://127.0.0.1/file.pth"])
def test_other_addresses_are_refused_at_once(tmp_path, address):
    with pytest.raises(TrovidError, match="cannot be downloaded"):
        download(address, tmp_path / "file.pth", sha256=HASH)


def test_a_proxy_of_the_environment_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.address)
    address = "http://weights.example/file.pth"
    server.answers[address] = [Answer(BODY)]
    assert download(address, tmp_path / "file.pth", sha256=HASH).read_bytes() == BODY
    monkeypatch.setenv("HTTP_PROXY", "nonsense://host")
    with pytest.raises(TrovidError, match="proxy"):
        download(address, tmp_path / "new.pth", sha256=HASH)


def test_two_processes_download_once(server, tmp_path):
    server.answers["/file.pth"] = [Answer(BODY, delay=2.0)]
    code = (
        "import sys; from pathlib import Path; from trovid.zoo.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    )
    words = [f"{server.address}/file.pth", str(tmp_path / "file.pth"), HASH]
    both = [
        subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert (tmp_path / "file.pth").read_bytes() == BODY
    assert len(server.asked) == 1
    assert left(tmp_path) == ["file.pth"]


def test_a_killed_process_leaves_no_torn_file(server, tmp_path):
    server.answers["/file.pth"] = [Answer(BODY, delay=60.0), Answer(BODY)]
    code = (
        "import sys; from pathlib import Path; from trovid.zoo.download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    )
    words = [f"{server.address}/file.pth", str(tmp_path / "file.pth"), HASH]
    process = subprocess.Popen([sys.executable, "-c", code, *words])
    partial = tmp_path / ".file.pth.partial"
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "file.pth").exists()
    assert get(server, tmp_path, server.answers["/file.pth"]).read_bytes() == BODY


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrovidError, match="cannot write"):
        download("http://127.0.0.1:9/x", tmp_path / "file" / "x", sha256=HASH)
