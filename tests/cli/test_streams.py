"""stdout and stderr that are closed or full, names and locales of any kind, signals: one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.runs import video
from tests.cli.tiny_model import save_tiny_model
from tests.programs import COMMAND, run_program
from trovid.cli.signals import StopWish, ended_in_order
from trovid.cli.streams import usable_streams
from trovid.evaluation.tables import Table
from trovid.progress import bar

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
TROVID = [sys.executable, "-m", "trovid"]
SHELL = ["sh", "-c"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    save_tiny_model(folder / "model.safetensors")
    video(folder / "street.mp4")
    return folder


def shell(command: str, folder: Path) -> tuple[int, str, str]:
    """A command line in which `trovid` stands for the program."""
    line = command.replace("trovid", " ".join(TROVID), 1)
    done = subprocess.run([*SHELL, line], cwd=folder, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">&-", "it is closed"), (">/dev/full", "No space left on device")],
)
def test_a_stdout_that_cannot_be_written_is_one_line(tmp_path, redirection, reason):
    status, _, err = shell(f"trovid completion bash {redirection}", tmp_path)
    assert (status, err) == (
        2,
        f"trovid: stdout cannot be written: {reason}; what was done is kept\n",
    )


def test_without_a_stderr_nothing_is_said_elsewhere(tmp_path):
    assert shell("trovid info absent.mp4 2>&-", tmp_path) == (2, "", "")
    assert shell("trovid nonsense 2>/dev/full", tmp_path) == (2, "", "")
    assert shell("trovid --version >&- 2>&- <&-", tmp_path)[0] == 2


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    """FFmpeg's own complaints, which go to number 2, would be written into it."""
    lines = ("from trovid.cli.streams import usable_streams", "with usable_streams():")
    (tmp_path / "program.py").write_text("\n".join([*lines, "    print(open('x', 'w').fileno())"]))
    line = f"{sys.executable} program.py 2>&- <&-"
    done = subprocess.run([*SHELL, line], cwd=tmp_path, capture_output=True, text=True)
    assert int(done.stdout) > 2


def test_what_a_terminal_would_obey_is_escaped(capsys):
    with usable_streams():
        print("a\x1b[31mb\x07")
        print("a\x1b]0;title\x07", file=sys.stderr)
    said = capsys.readouterr()
    assert (said.out, said.err) == (r"a\x1b[31mb\x07" + "\n", r"a\x1b]0;title\x07" + "\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def on_a_terminal() -> Generator[Terminal]:
    stream = Terminal()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
        usable_streams(),
    ):
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        yield stream


def test_on_a_terminal_only_tables_have_colours():
    with on_a_terminal() as terminal:
        print("a\x1b[31mb\x1b[1A")
        Console().print("[red]own", Table("", ("a",), [("c\x1b[31md[/x]",)]).rich())
    said = terminal.getvalue()
    assert r"a\x1b[31mb\x1b[1A" in said
    assert "\x1b[31mown" in said
    assert r"c\x1b[31md[/x]" in said


def test_a_bar_shows_names_as_they_are(monkeypatch):
    monkeypatch.setenv("TROVID_QUIET", "")
    with on_a_terminal() as terminal, bar("a[/x]\x1b[31m", unit="videos") as tick:
        tick(1, 2, "b[/y]\x1b[31m")
    assert r"a[/x]\x1b[31m" in terminal.getvalue()
    assert r"b[/y]\x1b[31m" in terminal.getvalue()


@pytest.mark.slow
def test_what_was_done_is_kept_without_a_stdout(place):
    words = "detect street.mp4 --model model.safetensors --device cpu --out kept --score 0.2"
    status, _, err = shell(f"trovid {words} >&- <&-", place)
    assert status == 2
    assert "trovid: stdout cannot be written: it is closed; what was done is kept" in err
    document = json.loads((place / "kept" / "street.json").read_text())
    assert document["videos"][0]["complete"]
    assert {p.name for p in (place / "kept").iterdir()} == {
        f"street.{s}" for s in ("csv", "json", "mp4")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", [b"caf\xe9.mp4", "caf\u00e9.mp4".encode(), b"a\nb\x1b[31m.mp4"])
def test_names_of_any_bytes_in_a_locale_without_utf_8(place, name):
    target = os.fsencode(place) + b"/" + name
    Path(os.fsdecode(target)).write_bytes((place / "street.mp4").read_bytes())
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [b"--model", b"model.safetensors", b"--device", b"cpu", b"--out", b"named", b"--sheet"]
    done = subprocess.run(
        [*TROVID, b"detect", name, *words],
        cwd=place,
        env={**os.environ, **plain},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    stem = name.removesuffix(b".mp4")
    written = {os.fsencode(p.name) for p in (place / "named").iterdir()}
    assert {stem + s for s in (b".mp4", b".json", b".csv", b".png")} <= written


def test_a_wrong_backend_is_one_line(place):
    words = ["detect", "street.mp4", "--model", "model.safetensors", "--device", "cpu"]
    variables = {**os.environ, "TROVID_BACKEND": "nonsense"}
    done = run_program(COMMAND, words, environment=variables, folder=place)
    assert (done.returncode, done.stdout) == (2, "")
    wanted = "trovid: the environment variable TROVID_BACKEND must be one of 'auto', "
    assert done.stderr.startswith(wanted)
    assert (done.stderr.count("\n"), (place / "trovid-detect").exists()) == (1, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_first(number, capsys):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the back ignores it
    wish = StopWish()
    with wish.noting() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert wish.number == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert "stopping, the results so far are being completed" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_ends_in_order(number):
    with pytest.raises(SystemExit) as exited, ended_in_order():
        os.kill(os.getpid(), number)
    assert exited.value.code == 128 + number


def test_a_signal_that_is_ignored_at_the_start_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopWish().noting() as stop, ended_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_leaves_whole_files(place, ignored):
    long, out = video(place / "long.mp4", count=400), place / f"hung-up-{ignored}"
    words = ["detect", str(long), "--model", str(place / "model.safetensors"), "--out", str(out)]
    begin = ["nohup", *TROVID] if ignored else TROVID
    process = subprocess.Popen(
        [*begin, *words, "--device", "cpu", "--score", "0.2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 240
        while not any(out.glob(".*.partial.csv")) or not next(out.glob(".*.csv")).stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(timeout=240) == (0 if ignored else 1)
    finally:
        process.kill()
    assert {p.name for p in out.iterdir()} == {f"long.{s}" for s in ("csv", "json", "mp4")}
    (record,) = json.loads((out / "long.json").read_text())["videos"]
    assert record["complete"] == ignored
    assert len(record["frames"]) == 400 if ignored else 0 < len(record["frames"]) < 400
