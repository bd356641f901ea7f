import os
import signal
import subprocess
import sys

import cyclopts
import pytest

from tests.programs import COMMAND, run_program
from trovid.cli import main as cli
from trovid.cli.messages import complain
from trovid.errors import TrovidError
from trovid.progress import bar


def run(capsys, *words):
    with pytest.raises(SystemExit) as exited:
        cli.main(words)
    captured = capsys.readouterr()
    return exited.value.code, captured.out, captured.err


@pytest.fixture
def app_that(monkeypatch):
    """Replaces the subcommands by one called `train` that does what the test wants."""

    def install(action):
        app = cyclopts.App(name="trovid", suppress_keyboard_interrupt=False)
        app.command(action, name="train")
        monkeypatch.setattr(cli, "build_app", lambda chosen: app)

    monkeypatch.delenv("TROVID_DEBUG", raising=False)
    return install


@pytest.mark.parametrize("name", cli.SUMMARIES)
def test_help_of_a_command_has_examples(capsys, name):
    status, out, err = run(capsys, name, "--help")
    assert (status, err) == (0, "")
    examples = out.partition("Examples:\n")[2]
    assert f"\n    trovid {name}" in f"\n{examples}"
    assert cli.SUMMARIES[name] not in examples
    assert "Args:" not in out
    assert out.count("Usage:") == 1


def test_help_lists_the_commands(capsys):
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    assert all(name in out for name in cli.SUMMARIES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["detct"], "trovid: no command 'detct'; did you mean 'detect'?\n"),
        (["xyz"], "trovid: no command 'xyz'; there are: detect, "),
        (["synthvid"], "--out requires"),
        (["synthvid", "x", "--vidoes", "3"], "--vid"),
        (["synthvid", "x", "--videos", "many"], "many"),
        (["info", "x.mp4", "--frame-rate"], "--frame-rate requires an argument"),
        (["explain", "x.mp4", "y.mp4"], "trovid: not expected: y.mp4 (`trovid explain --help`"),
        (["evaluate", "missing.json", "--labels", "none.json"], ".json"),
    ],
)
def test_wrong_arguments_give_one_line_and_status_2(capsys, words, message):
    status, out, err = run(capsys, *words)
    assert status == 2
    assert message in err
    assert err.startswith("trovid: ")
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize(
    ("command", "word", "hint"),
    [
        ("detect", "embeding", "; did you mean 'embedding'?"),
        ("segment", "nope", "; there are: iou, embedding"),
        ("blur", "street.mp4", "; there are: iou, embedding"),
    ],
)
def test_a_word_after_track_is_a_value_or_a_video(tmp_path, capsys, command, word, hint):
    video, out = tmp_path / "a.mp4", tmp_path / "out"
    video.touch()
    status, _, err = run(capsys, command, str(video), "--out", str(out), "--track", word)
    message = f"trovid: --track {word}: neither a value of --track nor a file{hint}\n"
    assert (status, err) == (2, message)
    assert not out.exists()


def test_track_alone_is_iou_for_boxes_and_leaves_masks_their_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    for after in ([], ["--csv"], ["a.mp4"], ["webcam:1"], ["*.mp4"], ["rtsp://host/a"]):
        words = ["detect", "--track", *after]
        assert [*cli._completed("detect", words)] == ["detect", "--track", "iou", *after]
        for command in ("segment", "blur"):
            assert [*cli._completed(command, [command, "--track", *after])] == [command, *after]
    for words in (["segment", "--track", "iou"], ["detect", "--", "--track"], ["info", "--track"]):
        assert [*cli._completed(words[0], words)] == words


def test_error_is_one_line(capsys, app_that):
    def fail():
        raise TrovidError("a.mp4: broken;\nmend it")

    app_that(fail)
    assert run(capsys, "train") == (2, "", "trovid: a.mp4: broken; mend it\n")


@pytest.mark.parametrize("words", [("--debug", "train"), ("train", "--debug")])
def test_debug_shows_where(monkeypatch, app_that, words):
    def fail():
        raise TrovidError("broken")

    app_that(fail)
    monkeypatch.setenv("TROVID_DEBUG", "")
    with pytest.raises(TrovidError, match="broken"):
        cli.main(words)


def test_debug_by_environment(monkeypatch, app_that):
    def fail():
        raise TrovidError("broken")

    app_that(fail)
    monkeypatch.setenv("TROVID_DEBUG", "1")
    with pytest.raises(TrovidError, match="broken"):
        cli.main(["train"])


def test_interrupted(capsys, app_that):
    def interrupt():
        raise KeyboardInterrupt

    app_that(interrupt)
    assert run(capsys, "train") == (130, "", "trovid: interrupted\n")


@pytest.mark.parametrize("when", ["imports", "at the end"])
def test_interrupted_while_python_comes_or_goes(tmp_path, when):
    """A module that the command imports has Ctrl-C come, at once or when Python has ended."""
    come = "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)"
    late = f"import atexit, sys; atexit.register(lambda: exec({come!r})); sys.path.pop(0)\n"
    late += "del sys.modules['cyclopts']; import cyclopts"
    (tmp_path / "cyclopts.py").write_text(come if when == "imports" else late)
    done = subprocess.run(
        [sys.executable, "-m", "trovid", "--version"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # pytest may ignore it
    )
    if when == "imports":
        assert (done.returncode, done.stderr) == (130, "trovid: interrupted\n")
    else:
        assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (2, 2)])
def test_status_is_the_commands(capsys, app_that, returned, status):
    app_that(lambda: returned)
    assert run(capsys, "train")[0] == status


def test_an_error_of_the_system_and_short_memory_are_one_line(capsys, app_that):
    def unwritable():
        raise PermissionError(13, "Permission denied", "/results")

    app_that(unwritable)
    status, _, err = run(capsys, "train")
    assert (status, err.count("\n")) == (2, 1)
    assert "/results: Permission denied; choose another" in err

    def short():
        raise MemoryError

    app_that(short)
    status, _, err = run(capsys, "train")
    assert (status, err.count("\n")) == (2, 1)
    assert "out of memory" in err


@pytest.mark.parametrize("words", [("--quiet", "train"), ("train", "--quiet")])
def test_quiet_says_only_what_went_wrong(capsys, monkeypatch, app_that, words):
    def say():
        with bar("training", unit="steps", seconds_between_lines=0) as tick:
            tick(1, 2)
        print("done")
        complain("a loss")

    app_that(say)
    monkeypatch.setenv("TROVID_QUIET", "")
    assert run(capsys, *words) == (0, "", "trovid: a loss\n")


def test_words_behind_two_dashes_are_no_wishes(capsys, app_that):
    app_that(lambda *names: print(names))
    assert run(capsys, "train", "--", "--quiet") == (0, "('--quiet',)\n", "")


def test_a_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "trovid", "completion", "bash"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_name_that_is_no_text_is_printed_nevertheless():
    done = run_program(COMMAND, ["detect", os.fsdecode(b"/absent/\xff.mp4")])
    assert done.returncode == 2
    assert done.stderr.startswith("trovid: /absent/\\udcff.mp4: no such file")


def test_a_bug_is_not_hidden(app_that):
    def bug():
        raise ZeroDivisionError

    app_that(bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train"])


def test_debug_shows_where_a_loss_comes_from(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("TROVID_DEBUG", raising=False)
    words = ("detect", str(tmp_path / "absent.mp4"), "--out", str(tmp_path / "out"))
    status, _, err = run(capsys, *words)
    assert (status, err.count("\n")) == (2, 1)
    status, _, err = run(capsys, *words, "--debug")
    assert status == 2
    assert err.startswith("trovid: ")
    assert "Traceback" in err
    assert 'raise TrovidError(f"{path}: no such file' in err


@pytest.mark.parametrize(
    "words",
    [
        ("detect", "s3://bucket/a.mp4", "--out", "here"),
        ("detect", "a.mp4", "--out=gs://bucket/out"),
        ("merge", "s3://bucket/out", "--out", "s3://bucket/all.parquet"),
        (
            "evaluate",
            "--model",
            "m",
            "--data",
            "d",
            "--shard",
            "0/2",
            "--out",
            "s3://bucket/r.json",
        ),
        ("train", "--data", "s3://bucket/data"),
    ],
    ids=lambda words: words[0],
)
def test_an_address_where_a_file_is_wanted_is_one_line(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert "`trovid " + words[0] + "` takes files and folders of this machine" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_its_driver_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    status, _, err = run(capsys, "merge", "gs://bucket/out", "--out", "all.parquet")
    assert status == 2
    assert err.startswith("trovid: gs://bucket/out: install fsspec's driver")
    assert "gcsfs" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["detect"], True),
        (["bench", "detect"], True),
        (["bench", "operator"], False),
        (["explain"], False),
    ],
)
def test_long_commands_keep_the_memory_that_they_free(monkeypatch, capsys, words, kept):
    called = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: called.append(True))
    assert run(capsys, *words, "--help")[0] == 0
    assert called == [True] * kept
