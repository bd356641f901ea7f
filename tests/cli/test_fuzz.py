"""Damaged files and senseless arguments through the real command line: no traceback, no hang.

Every run must end with status 0, 1 or 2 and one line for each complaint, and must leave only
whole files. Most runs share this process; a few start one of their own.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.runs import folder, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode
from trovid.cli.main import SUMMARIES, main
from trovid.datasets.synthvid import write_split
from trovid.video.opening import open_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SECONDS = 120
DAMAGED_FILES, ARGUMENT_LISTS, PROCESSES = 350, 200, 20
FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
VIDEOS = {
    "a.mp4": {},
    "b.mkv": {"sound": "aac"},
    "c.ts": {"codec": "mpeg2video"},
    "d.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "e.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "f.mov": {"rotation": 90, "container_options": {"movflags": "+faststart"}},
}
OTHERS = ("model.safetensors", "found.json", "test.json", "recipe.yaml", "frames/2.png")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Path:
    """Whole files of every kind that trovid reads."""
    place = tmp_path_factory.mktemp("seeds")
    for name, kind in VIDEOS.items():
        encode(place / name, num_frames=8, **kind)
    folder(place / "frames", count=4)
    save_tiny_model(place / "model.safetensors")
    labels = write_split(place / "labels", split="test", videos=1, workers=1, num_frames=24)
    shutil.copy(labels, place / "test.json")
    status, said = run_here("recipes", "show", "synthvid-single")
    assert status == 0
    (place / "recipe.yaml").write_text(said.partition("\n===")[0])
    model = str(place / "model.safetensors")
    words = ("detect", str(video(place / "street.mp4")), "--out", str(place / "out"))
    assert run_here(*words, "--model", model, "--device", "cpu", "--no-video")[0] == 0
    shutil.copy(place / "out" / "street.json", place / "found.json")
    return place


def run_here(*words: str) -> tuple[int, str]:
    """Exit status and everything said, in this process; a run that hangs is ended."""

    def ended(number, frame):
        raise AssertionError(f"hangs: trovid {' '.join(words)}")

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(words))
        raise AssertionError("main() must exit")
    except SystemExit as exited:
        status = exited.code
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return status, f"{out.getvalue()}\n===\n{err.getvalue()}"


def check(status: object, said: str, words: list[str]) -> None:
    line = f"trovid {' '.join(words)}\n{said}"
    assert status in (0, 1, 2), line
    assert "Traceback" not in said, line
    complaints = [text for text in said.splitlines() if text.startswith("trovid: ")]
    found = words[0] == "info" and status == 1 and "\n  damage" in said
    assert complaints or found or status == 0, line


def check_files(out: Path) -> None:
    """Nothing hidden is left, and what has a name is whole."""
    frames = {}
    for path in sorted(out.rglob("*")) if out.exists() else ():
        assert not path.name.startswith("."), f"{path} is left behind"
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            if isinstance(document, dict) and "videos" in document:
                (record,) = document["videos"]
                frames[path.stem] = len(record["frames"])
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.open(newline=""))}) == 1
        elif path.suffix == ".png":
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
    for path in out.rglob("*.mp4") if out.exists() else ():
        with open_video(path) as reader:
            assert len(reader) == frames[path.stem]
            assert reader.problems == []


@st.composite
def damages(draw) -> list[tuple]:
    """A few places, as shares of the file, and what happens there."""
    kinds = st.sampled_from(["cut", "zero", "ones", "noise", "insert", "remove", "digit"])
    share = st.floats(0, 1, exclude_max=True)
    sizes = st.sampled_from([1, 2, 4, 16, 100, 1000])
    return draw(st.lists(st.tuples(kinds, share, sizes, st.randoms()), min_size=1, max_size=4))


def damaged(data: bytes, changes: list[tuple]) -> bytes:
    changed = bytearray(data)
    for kind, share, size, chance in changes:
        at = int(share * len(changed))
        if kind == "cut":
            del changed[at:]
        elif kind == "remove":
            del changed[at : at + size]
        elif kind == "insert":
            changed[at:at] = chance.randbytes(size)
        elif kind == "digit":
            changed[at : at + 1] = b"9"
        else:
            size = min(size, len(changed) - at)
            new = {"zero": bytes(size), "ones": b"\xff" * size, "noise": chance.randbytes(size)}
            changed[at : at + size] = new[kind]
    return bytes(changed)


def commands(name: str, place: Path, out: Path, seeds: Path) -> Iterator[list[str]]:
    """What is asked of a damaged file."""
    model, path = str(seeds / "model.safetensors"), str(place / name)
    small = ["--model", model, "--device", "cpu", "--out", str(out), "--score", "0.2"]
    if name in VIDEOS:
        yield ["info", path]
        yield ["detect", path, *small, "--sheet", "--timeline", "--coco"]
        yield ["detect", path, *small, "--online", "--overwrite"]
    elif name == "frames/2.png":
        yield ["info", str(place / "frames")]
        yield ["detect", str(place / "frames"), *small]
    elif name == "model.safetensors":
        yield ["models", "show", path]
        yield ["detect", str(seeds / "street.mp4"), *small, "--model", path, "--end", "0.2"]
    elif name == "found.json":
        yield ["evaluate", path, "--labels", str(seeds / "test.json")]
        shutil.copy(path, out / "street.json")
        yield ["detect", str(seeds / "street.mp4"), *small, "--resume", "--no-video", "--no-csv"]
    elif name == "test.json":
        yield ["evaluate", str(seeds / "found.json"), "--labels", path]
    else:
        yield ["recipes", "show", path]
        yield ["recipes", "diff", path, "synthvid-single"]


@settings(FUZZ, max_examples=DAMAGED_FILES)
@given(name=st.sampled_from([*VIDEOS, *OTHERS]), changes=damages())
def test_damaged_files(seeds, tmp_path_factory, name, changes):
    place = tmp_path_factory.mktemp("damaged")
    try:
        if name.startswith("frames/"):
            shutil.copytree(seeds / "frames", place / "frames")
        (place / name).write_bytes(damaged((seeds / name).read_bytes(), changes))
        out = place / "out"
        out.mkdir()
        for words in commands(name, place, out, seeds):
            check(*run_here(*words), words)
            if name != "found.json":
                check_files(out)
    finally:
        shutil.rmtree(place)


OPTIONS = st.sampled_from(
    [
        *("--score", "--classes", "--support", "--nms", "--max-detections", "--start", "--end"),
        *("--stride", "--online", "--lookahead", "--no-video", "--no-csv", "--coco", "--sheet"),
        *("--timeline", "--side-by-side", "--beside", "--labels", "--overwrite", "--resume"),
        *("--frame-rate", "--device", "--precision", "--json", "--quiet", "--seq-nms", "--frame"),
        *("--time", "--box", "--position", "--every", "--videos", "--recipe", "--help", "--", "-x"),
    ]
)
VALUES = st.sampled_from(
    [
        *("0", "1", "-1", "0.2", "5", "99999999999999999999", "nan", "inf", "-inf", "1e308", ""),
        *("uniform:2", "uniform:", "stride:2x2", "consecutive:1", "uniform:-3", "uniform:x"),
        *("cup", "cup,star", ",", "cpu", "cuda:7", "float32", "bf16", "1:30", "::", "1,2,30,40"),
        *(
            "3,3",
            "FILE",
            "FOLDER",
            "JSON",
            "LABELS",
            "/proc/nothing",
            "\u00e9\u4f60",
            "\udcff",
            " ",
        ),
    ]
)
COMMANDS = st.sampled_from(
    ["detect", "info", "explain", "evaluate", "models", "recipes", "weights"]
)
ACTIONS = {
    "models": ["list", "show"],
    "recipes": ["show", "diff"],
    "weights": ["list", "where", "verify"],
}


@st.composite
def argument_lists(draw) -> tuple[str, list[str]]:
    command = draw(COMMANDS)
    words = [draw(st.sampled_from(ACTIONS[command]))] if command in ACTIONS else []
    rest = draw(st.lists(st.one_of(OPTIONS, VALUES), max_size=7))
    if command in ("detect", "info", "explain") and draw(st.booleans()):
        rest.insert(0, "FILE")
    return command, words + rest


def filled(words: list[str], command: str, seeds: Path, out: Path) -> list[str]:
    """The list with real files, and away from networks, cameras and large models."""
    places = {
        "FILE": str(seeds / "street.mp4"),
        "FOLDER": str(seeds / "frames"),
        "JSON": str(seeds / "found.json"),
        "LABELS": str(seeds / "test.json"),
    }
    chosen = [places.get(word, word) for word in words]
    model = ["--model", str(seeds / "model.safetensors")]
    target = {"detect": out, "explain": out / "why.png"}
    fixed = [*model, "--out", str(target[command])] if command in target else []
    return [command, *fixed, *chosen]


@settings(FUZZ, max_examples=ARGUMENT_LISTS)
@given(drawn=argument_lists())
def test_argument_lists(seeds, tmp_path_factory, drawn):
    command, rest = drawn
    place = tmp_path_factory.mktemp("arguments")
    try:
        words = filled(rest, command, seeds, place / "out")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setenv("TROVID_CACHE", str(place / "cache"))
            patch.setenv("TROVID_QUIET", "")
            check(*run_here(*words), words)
        check_files(place / "out")
    finally:
        shutil.rmtree(place)


@settings(FUZZ, max_examples=PROCESSES)
@given(name=st.sampled_from([*VIDEOS]), changes=damages())
def test_damaged_files_in_a_process_of_their_own(seeds, tmp_path_factory, name, changes):
    """Where a decoder brings the process down, this shows it."""
    place = tmp_path_factory.mktemp("process")
    try:
        (place / name).write_bytes(damaged((seeds / name).read_bytes(), changes))
        words = [*next(commands(name, place, place / "out", seeds))]
        done = subprocess.run(
            [sys.executable, "-m", "trovid.cli.main", *words],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        check(done.returncode, f"{done.stdout}\n{done.stderr}", words)
    finally:
        shutil.rmtree(place)


def test_unknown_commands_name_the_nearest():
    for name in SUMMARIES:
        status, said = run_here(name[:-1] + "x")
        assert status == 2
        assert f"did you mean '{name}'?" in said or name[:-1] + "x" in SUMMARIES
