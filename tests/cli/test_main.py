import cyclopts
import pytest

from trovid.cli import main as cli
from trovid.errors import TrovidError


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
        (["xyz"], "trovid: no command 'xyz'; there are detect, demo, "),
        (["synthvid"], "--out requires"),
        (["synthvid", "x", "--vidoes", "3"], "--vid"),
        (["synthvid", "x", "--videos", "many"], "many"),
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


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (2, 2)])
def test_status_is_the_commands(capsys, app_that, returned, status):
    app_that(lambda: returned)
    assert run(capsys, "train")[0] == status


def test_a_bug_is_not_hidden(app_that):
    def bug():
        raise ZeroDivisionError

    app_that(bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train"])
