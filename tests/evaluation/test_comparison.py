"""A against B on the same videos, in Python and by `trovid compare`."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest

from trovid.cli.main import main
from trovid.errors import TrovidError
from trovid.evaluation import evaluate
from trovid.evaluation.comparison import compare
from trovid.runs.sinks.json import JsonWriter


def run(*words) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "140")
        with pytest.raises(SystemExit) as stop:
            main(["compare", *map(str, words)])
    return int(stop.value.code or 0), out.getvalue(), err.getvalue()


def test_the_gain_is_paired_and_equals_the_difference(random_case):
    first, second, labels = random_case(2, models=2)
    found = compare(first, second, labels, protocols=("coco", "devkit", "voc"), resamples=100)
    rows = {(row.protocol, row.group): row for row in found.rows}
    assert {"all", "clean", "deteriorated", "motion: fast"} <= {g for p, g in rows if p == "coco"}
    reports = [evaluate(p, labels, protocols=["devkit", "voc"]) for p in (first, second)]
    for name, figures in (
        ("coco", [r.overall.ap50 for r in reports]),
        ("devkit", [r.protocols["devkit"]["all"].mean for r in reports]),
        ("voc", [r.protocols["voc"]["all"].mean for r in reports]),
    ):
        row = rows[name, "all"]
        assert (row.first.value, row.second.value) == pytest.approx(figures)
        assert row.gain.value == pytest.approx(figures[1] - figures[0])
        assert row.gain.low <= row.gain.value <= row.gain.high
    same = compare(first, first, labels, resamples=50).rows[0].gain
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_other_frames_are_named(random_case):
    first, second, labels = random_case(2, models=2)
    with pytest.raises(TrovidError, match="video 'clip_7' is in A, but not in B"):
        compare(first, {k: v for k, v in second.items() if k != "clip_7"}, labels)
    half = {name: frames[::2] for name, frames in second.items()}
    with pytest.raises(TrovidError, match="other frames"):
        compare(first, half, labels)


@pytest.fixture
def files(random_case, tmp_path):
    *predictions, labels = random_case(2, models=2)
    for name, found in zip("ab", predictions, strict=True):
        with JsonWriter(
            tmp_path / f"{name}.json", model=name, class_names=labels.class_names
        ) as writer:
            for video in labels.videos:
                writer.write_video(video, video.name, found[video.name])
    return tmp_path


def test_the_command(files):
    words = [files / "a.json", files / "b.json", "--labels", files / "labels.json"]
    words += ["--protocols", "coco,voc", "--resamples", 50, "--out", files / "out.json"]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert "50 resamples of 8 videos" in out
    document = json.loads((files / "out.json").read_text())
    gain = document["rows"][0]["gain"]
    assert f"{100 * gain['value']:+.1f} [" in out
    assert run(*words, "--json")[1].startswith("{")


def test_what_does_not_fit_is_one_line(files):
    labels = ["--labels", files / "labels.json"]
    for words, message in (
        ([files / "a.json", files / "no.json", *labels], "no.json"),
        ([files / "a.json", files / "b.json", *labels, "--protocols", "vok"], "mean 'voc'"),
        ([files / "a.json", files / "b.json", *labels, "--resamples", 0], "at least 1"),
        ([files / "a.json", files / "b.json"], "labels"),
    ):
        status, out, err = run(*words)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
