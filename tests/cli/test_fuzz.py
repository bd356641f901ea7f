"""Hostile files, names, arguments, signals and streams through the real command line.

No traceback, no hang, nothing lost, nothing outside the output folder: `trial` holds each case to
that. Most share this process; what is about signals and streams starts one of its own.

The seed is printed; TROVID_FUZZ_SEED repeats a run, TROVID_FUZZ_CASES sets how many cases each
command and kind of file gets.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.cli.hostile import (
    Change,
    change_json,
    change_pickle,
    change_tensors,
    change_yaml,
    damage,
    playlist,
)
from tests.cli.runs import folder, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode
from tests.training.tiny import tiny_folder, tiny_recipe
from tests.zoo.published_files import save_published, small_recipe
from trovid.cli.main import SUMMARIES, main
from trovid.datasets.synthvid import write_split
from trovid.recipes import recipe_values
from trovid.storage.tensor_files import read_tensors
from trovid.training.run import train_recipe
from trovid.video.opening import open_video
from trovid.zoo.weights import load_weights, save_weights

SEED = int(os.environ.get("TROVID_FUZZ_SEED") or time.time_ns() % 10**6)
CASES = int(os.environ.get("TROVID_FUZZ_CASES") or 40)
FAST_CASES, FAST_SEED = 3, 19
SECONDS = 60
MEMORY = 6 * 2**30
"""What a case may ask for beyond what the process has; the bombs ask for more."""
VIDEOS = {
    "a.mp4": {},
    "b.mkv": {"sound": "aac"},
    "c.ts": {"codec": "mpeg2video"},
    "d.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "e.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "f.mov": {"rotation": 90, "container_options": {"movflags": "+faststart"}},
}
FACTS = {
    "seed": 0,
    "minutes": 1.0,
    "machine": "a machine",
    "commit": "0",
    "data": {"name": "SynthVID"},
    "val_ap50": 0.5,
    "test_ap50": {"all": 0.5},
    "test_clips": 3,
    "licence": "Apache-2.0",
    "published": {"metric": "AP50", "value": 50.0, "data": "x"},
}
PARQUET = importlib.util.find_spec("pyarrow") is not None
Words = list[str]


def run_here(*words: str) -> tuple[object, str]:
    """Exit status and everything said, in this process; a run that hangs is ended."""

    def ended(number, frame):
        raise AssertionError(f"hangs: trovid {' '.join(words)}")

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, ended)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
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
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return status, f"{out.getvalue()}\n===\n{err.getvalue()}"


def check(status: object, said: str, words: Words) -> None:
    line = f"seed {SEED}: trovid {' '.join(words)}\n{said[:3000]}"
    assert status in (0, 1, 2), line
    assert "Traceback" not in said, line
    assert "out of memory" not in said, line
    assert "\x1b" not in said, line
    complaints = [text for text in said.splitlines() if text.startswith("trovid: ")]
    found = words[0] == "info" and status == 1 and "\n  damage" in said
    found |= words[:2] == ["data", "check"] and status == 1 and "errors, " in said
    assert complaints or found or status == 0, line
    assert all(len(text) < 3000 for text in complaints), line


def check_files(out: Path, kept: Mapping[Path, bytes] | None = None) -> None:
    """Nothing hidden is left, and what has a name is whole, unless it was here before."""
    frames = {}
    for path in sorted(out.rglob("*")) if out.exists() else ():
        assert ".partial" not in path.name, f"{path} is left behind"
        if path.is_file() and path.read_bytes() == (kept or {}).get(path):
            continue
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            if isinstance(document, dict) and {"head", "videos"} <= document.keys():
                frames[path.stem] = sum(len(record["frames"]) for record in document["videos"])
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.open(newline=""))}) == 1
        elif path.suffix == ".png":
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
        elif path.suffix == ".safetensors":
            read_tensors(path)
    for path in out.rglob("*.mp4") if out.exists() else ():
        with open_video(path) as reader:
            assert len(reader) == frames[path.stem]
            assert reader.problems == []


def listing(place: Path, without: Path) -> dict[str, tuple[int, int]]:
    """Every file that is not in the output folder, with size and time."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file() and without not in path.parents
    }


def trial(words: Words, sandbox: Path, case: Path, *, refused: bool | None = None) -> None:
    """One run of the command line in a folder of its own, and what must hold after it.

    Args:
        words: After `trovid`.
        sandbox: A folder around, in which nothing may change.
        case: The working folder, with the output folder `out`.
        refused: Whether the run must not (True) or must (False) end as if all was well.
    """
    out = case / "out"
    kept = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} if out.exists() else {}
    before = listing(sandbox, out)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(case)
        patch.setenv("TROVID_CACHE", str(case / "out" / "cache"))
        patch.setenv("TROVID_OFFLINE", "1")
        patch.setenv("TROVID_QUIET", "")
        status, said = run_here(*words)
    check(status, said, words)
    line = f"seed {SEED}: trovid {' '.join(words)}\n{said[:3000]}"
    assert refused is None or refused == (status != 0), f"status {status}: {line}"
    assert listing(sandbox, out) == before, line
    assert not (case / "executed").exists(), line
    for path, contents in kept.items():
        ended = status == 0 and path.with_suffix(".safetensors").exists()  # a training's checkpoint
        assert path.exists() or ended, f"{path} is lost: {line}"
        if status == 2 and path.suffix != ".jsonl":
            assert path.read_bytes() == contents, f"{path} has changed: {line}"
    check_files(out, kept)


@pytest.fixture(scope="session")
def seeds(tmp_path_factory) -> Path:
    """Whole files of every kind that trovid reads."""
    print(f"seed of the fuzz: {SEED}")
    place = tmp_path_factory.mktemp("seeds")
    for name, kind in VIDEOS.items():
        encode(place / name, num_frames=8, **kind)
    video(place / "street.mp4")
    folder(place / "frames", count=4)
    detector, card = load_weights(save_tiny_model(place / "model.safetensors"))
    save_weights(place / "model.safetensors", detector, card.recipe, facts=FACTS)
    labels = write_split(place / "clips", split="test", videos=1, workers=1, num_frames=24, size=64)
    document = json.loads(labels.read_text())
    document["videos"] = [
        {**record, "file_name": f"clips/{record['file_name']}"} for record in document["videos"]
    ]
    (place / "labels.json").write_text(json.dumps(document))
    recipe = tiny_recipe(steps=1, batch=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe_values(recipe)))
    small = small_recipe("selsa")
    (place / "small.yaml").write_text(json.dumps(recipe_values(small)))
    save_published(place / "published.pth", small)
    network = torch.load(place / "published.pth", weights_only=True)["state_dict"]
    beginning = "detector.backbone."
    network = {k.removeprefix(beginning): v for k, v in network.items() if k.startswith(beginning)}
    torch.save(network, place / "backbone.pth")
    tiny_folder(place / "data")
    text = (place / "data" / "train.json").read_text().replace(f"{place / 'data'}/", "")
    for split in ("train", "val"):
        (place / "data" / f"{split}.json").write_text(text)
    start = train_recipe(
        recipe, data=place / "data", out=place / "trained", seed=0, validate=0, device="cpu"
    )
    shutil.copy(start, place / "start.safetensors")
    longer = tiny_recipe(steps=2, batch=1)
    (place / "longer.yaml").write_text(json.dumps(recipe_values(longer)))
    _save_checkpoint(place, longer)
    words = ("detect", str(place / "street.mp4"), "--out", str(place / "found"))
    model = ("--model", str(place / "model.safetensors"), "--device", "cpu", "--no-video")
    assert run_here(*words, *model)[0] == 0
    shutil.copy(place / "found" / "street.json", place / "found.json")
    of_clip = next((place / "clips").rglob("*.mp4"))
    words = ["detect", str(of_clip), "--out", str(place / "found"), "--score", "0.01"]
    if PARQUET:
        words.append("--parquet")
    assert run_here(*words, *model)[0] == 0
    shutil.copy(place / "found" / f"{of_clip.stem}.json", place / "predictions.json")
    if PARQUET:
        shutil.copy(place / "found" / f"{of_clip.stem}.parquet", place / "predictions.parquet")
    return place


def _save_checkpoint(place: Path, recipe) -> None:
    """OUT/tiny-seed0.checkpoint after the first of two steps."""
    from trovid.training.loop import Stopped

    @contextlib.contextmanager
    def stopping():
        yield lambda: True

    with pytest.raises(Stopped):
        train_recipe(
            recipe,
            data=place / "data",
            out=place / "stopped",
            seed=0,
            validate=0,
            device="cpu",
            stopping=stopping,
        )


MODEL = ["--model", "model.safetensors", "--device", "cpu"]
DETECT = [*MODEL, "--out", "out", "--score", "0.2"]
CONVERT = ["weights", "convert", "published.pth", "--out", "out/x.safetensors", "--recipe"]
TRAIN = ["--data", "data", "--out", "out", "--validate", "0", "--workers", "0", "--device", "cpu"]
EVALUATE = ["--every", "12", "--batch", "1", *MODEL, "--out", "out/figures.json"]

HOSTILE: dict[str, tuple[str, Change, list[Words]]] = {
    "recipes show, recipe": ("recipe.yaml", change_yaml, [["recipes", "show", "recipe.yaml"]]),
    "recipes diff, recipe": (
        "recipe.yaml",
        change_yaml,
        [["recipes", "diff", "recipe.yaml", "synthvid-single"]],
    ),
    "train, recipe": ("recipe.yaml", change_yaml, [["train", "recipe.yaml", *TRAIN]]),
    "convert, recipe": ("small.yaml", change_yaml, [[*CONVERT, "small.yaml"]]),
    "convert, published": ("published.pth", change_pickle, [[*CONVERT, "small.yaml"]]),
    "train, backbone": (
        "backbone.pth",
        change_pickle,
        [["train", "small.yaml", *TRAIN, "--backbone", "backbone.pth"]],
    ),
    "train, start": (
        "start.safetensors",
        change_tensors,
        [["train", "recipe.yaml", *TRAIN, "--start", "start.safetensors"]],
    ),
    "train, checkpoint": (
        "out/tiny-seed0.checkpoint",
        change_tensors,
        [["train", "longer.yaml", *TRAIN]],
    ),
    "train, labels": ("data/train.json", change_json, [["train", "recipe.yaml", *TRAIN]]),
    "train, video": ("data/one.mp4", damage, [["train", "recipe.yaml", *TRAIN]]),
    "models show, weights": (
        "model.safetensors",
        change_tensors,
        [["models", "show", "model.safetensors"]],
    ),
    "detect, weights": (
        "model.safetensors",
        change_tensors,
        [["detect", "street.mp4", *DETECT, "--end", "0.2"]],
    ),
    "explain, weights": (
        "model.safetensors",
        change_tensors,
        [["explain", "street.mp4", *MODEL, "--out", "out/why.png"]],
    ),
    "evaluate, weights": (
        "model.safetensors",
        change_tensors,
        [["evaluate", "--data", "labels.json", *EVALUATE]],
    ),
    "evaluate, data": (
        "labels.json",
        change_json,
        [["evaluate", "--data", "labels.json", *EVALUATE]],
    ),
    "evaluate, labels": (
        "labels.json",
        change_json,
        [["evaluate", "predictions.json", "--labels", "labels.json", "--out", "out/f.json"]],
    ),
    "evaluate, predictions": (
        "predictions.json",
        change_json,
        [["evaluate", "predictions.json", "--labels", "labels.json", "--out", "out/f.json"]],
    ),
    "evaluate, parquet": (
        "predictions.parquet",
        damage,
        [
            ["evaluate", "predictions.parquet", "--labels", "labels.json", "--out", "out/f.json"],
            ["merge", ".", "--out", "out/all.json"],
        ],
    ),
    "data check, labels": (
        "labels.json",
        change_json,
        [["data", "check", "labels.json", "--out", "out/f.json"]],
    ),
    "data check, video": ("data/one.mp4", damage, [["data", "check", "data"]]),
    "data convert, labels": (
        "labels.json",
        change_json,
        [
            ["data", "convert", "labels.json", "out/yolo", "--to", "yolo"],
            ["data", "convert", "labels.json", "out/cvat", "--to", "cvat"],
            ["data", "convert", "labels.json", "out/own.json", "--to", "own"],
        ],
    ),
    "data convert, predictions": (
        "predictions.json",
        change_json,
        [["data", "convert", "predictions.json", "out/tasks.json", "--to", "label-studio"]],
    ),
    "data split, labels": (
        "data/train.json",
        change_json,
        [["data", "split", "data/train.json", "--out", "out"]],
    ),
    "data view, labels": (
        "labels.json",
        change_json,
        [["data", "view", "labels.json", "--out", "out/labels.png"]],
    ),
    "data stats, labels": ("labels.json", change_json, [["data", "stats", "labels.json"]]),
    "segment, weights": (
        "model.safetensors",
        change_tensors,
        [["segment", "street.mp4", *DETECT, "--end", "0.2"]],
    ),
    "compare, predictions": (
        "predictions.json",
        change_json,
        [["compare", "predictions.json", "predictions.json", "--labels", "labels.json"]],
    ),
    "detect, labels": (
        "labels.json",
        change_json,
        [["detect", "street.mp4", *DETECT, "--labels", "labels.json", "--end", "0.2"]],
    ),
    "detect, predictions": (
        "found.json",
        change_json,
        [["detect", "street.mp4", *DETECT, "--beside", "found.json", "--end", "0.2"]],
    ),
    "detect, resumed": (
        "out/street.json",
        change_json,
        [["detect", "street.mp4", *MODEL, "--out", "out", "--resume", "--no-video", "--no-csv"]],
    ),
    "info, images": ("frames/2.png", damage, [["info", "frames"]]),
    "detect, images": ("frames/2.png", damage, [["detect", "frames", *DETECT]]),
    "info, playlist": ("LIST", playlist, [["info", "LIST"]]),
    "info, allowed playlist": ("LIST", playlist, [["info", "LIST", "--allow-playlist"]]),
    "detect, playlist": ("LIST", playlist, [["detect", "LIST", *DETECT]]),
    "explain, playlist": (
        "LIST",
        playlist,
        [["explain", "LIST", *MODEL, "--out", "out/why.png"]],
    ),
    "info, video": ("VIDEO", damage, [["info", "VIDEO"]]),
    "detect, video": (
        "VIDEO",
        damage,
        [
            ["detect", "VIDEO", *DETECT, "--sheet", "--timeline", "--coco"],
            ["detect", "VIDEO", *DETECT, "--online", "--overwrite"],
        ],
    ),
    "explain, video": ("VIDEO", damage, [["explain", "VIDEO", *MODEL, "--out", "out/why.png"]]),
}
LISTS = ("list.m3u8", "street.mp4", "list.txt", "list.ts", "list.sdp", "list.mpd")
QUICK = [
    *("recipes show, recipe", "recipes diff, recipe", "models show, weights", "info, playlist"),
    *("evaluate, labels", "evaluate, predictions", "evaluate, parquet", "info, images"),
]
EARLIER = {
    "out/tiny-seed0.checkpoint": "stopped/tiny-seed0.checkpoint",
    "out/street.json": "found.json",
}


def hostile(name: str, seeds: Path, sandbox: Path, rng: random.Random) -> None:
    """A case: a copy of the whole files, one of them changed, and the commands that read it."""
    file, change, commands = HOSTILE[name]
    if file.endswith(".parquet") and not PARQUET:
        pytest.skip("the optional package pyarrow is not installed")
    chosen = {"VIDEO": rng.choice(sorted(VIDEOS)), "LIST": rng.choice(LISTS)}
    case = sandbox / "a" / "b" / "c" / "d" / "e" / "f" / "case"
    shutil.copytree(seeds, case, ignore=shutil.ignore_patterns("trained", "stopped", "found"))
    (case / "out").mkdir()
    try:
        path = case / chosen.get(file, file)
        if file in EARLIER:
            shutil.copy(seeds / EARLIER[file], path)
        refused = change(path, rng)
        for words in commands:
            own = [chosen.get(word, word) for word in words]
            must = refused and "--allow-playlist" not in words
            trial(own, sandbox, case, refused=True if must else None)
    finally:
        shutil.rmtree(case)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(seeds, tmp_path, name):
    for number in range(CASES):
        hostile(name, seeds, tmp_path, random.Random(f"{SEED}:{name}:{number}"))


@pytest.mark.parametrize("name", QUICK)
def test_some_hostile_files(seeds, tmp_path, name):
    for number in range(FAST_CASES):
        hostile(name, seeds, tmp_path, random.Random(f"{FAST_SEED}:{name}:{number}"))


STEMS = (
    *("12:30", "a:b", "concat:x", "http:x", "pipe:0", "subfile,,start,0,end,9,,:x", "%d", "%03d"),
    *(
        "[x]",
        "*",
        "?",
        " ",
        "a b",
        "-x",
        "--json",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "a\nb",
        "a\rb",
    ),
    *(
        "\u00e9\u4f60",
        "\U0001f6f8",
        "\u202e",
        "\udcff",
        "a" * 200,
        ".hidden",
        "a.b.c",
        "'",
        '"',
        "$x",
    ),
)
NAMED: dict[str, tuple[str, Words]] = {
    "info": ("street.mp4", ["info"]),
    "detect": ("street.mp4", ["detect", *DETECT]),
    "explain": ("street.mp4", ["explain", *MODEL, "--out", "out/why.png"]),
    "evaluate": (
        "predictions.json",
        ["evaluate", "--labels", "labels.json", "--out", "out/f.json"],
    ),
    "recipes": ("recipe.yaml", ["recipes", "show"]),
    "models": ("model.safetensors", ["models", "show"]),
}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", NAMED)
def test_a_name_of_any_characters_is_taken(seeds, tmp_path, command):
    for number in range(CASES):
        named(command, seeds, tmp_path, random.Random(f"{SEED}:{command}:{number}"))


@pytest.mark.parametrize("command", ["info", "recipes"])
def test_some_names_of_any_characters(seeds, tmp_path, command):
    for number in range(FAST_CASES):
        named(command, seeds, tmp_path, random.Random(f"{FAST_SEED}:{command}:{number}"))


def named(command: str, seeds: Path, sandbox: Path, rng: random.Random) -> None:
    """A whole file under a name that others might not take."""
    file, words = NAMED[command]
    name = rng.choice(STEMS) + Path(file).suffix
    case = sandbox / "case"
    shutil.copytree(seeds, case, ignore=shutil.ignore_patterns("trained", "stopped", "found"))
    (case / "out").mkdir()
    try:
        (case / file).rename(case / name)
        place = f"./{name}" if name.startswith("-") else name
        trial([*words, "--", place], sandbox, case, refused=False)
    finally:
        shutil.rmtree(case)


OPTIONS = (
    *("--score", "--classes", "--support", "--nms", "--max-detections", "--start", "--end"),
    *("--stride", "--online", "--lookahead", "--no-video", "--no-csv", "--coco", "--sheet"),
    *("--timeline", "--side-by-side", "--beside", "--labels", "--overwrite", "--resume"),
    *("--frame-rate", "--device", "--precision", "--json", "--quiet", "--seq-nms", "--frame"),
    *("--time", "--box", "--position", "--every", "--videos", "--recipe", "--help", "--", "-x"),
    *("--allow-playlist", "--seed", "--validate", "--workers", "--backbone", "--batch", "--size"),
)
ARGUMENTS = (
    *("0", "1", "-1", "0.2", "5", "99999999999999999999", "nan", "inf", "-inf", "1e308", ""),
    *("uniform:2", "uniform:", "stride:2x2", "consecutive:1", "uniform:-3", "uniform:x"),
    *("cup", "cup,star", ",", "cpu", "cuda:7", "float32", "bf16", "1:30", "::", "1,2,30,40"),
    *("3,3", "street.mp4", "frames", "found.json", "labels.json", "/proc/nothing", "recipe.yaml"),
    *("\u00e9\u4f60", "\udcff", " ", "12:30.mp4", "\x1b[31m", "../../x", "model.safetensors"),
    *("pipe:0", "file:street.mp4", "concat:a|b", "*", "[", "a" * 300, "published.pth"),
)
COMMANDS: dict[str, Words] = {
    "detect": ["detect", *DETECT],
    "info": ["info"],
    "explain": ["explain", *MODEL, "--out", "out/why.png"],
    "evaluate": ["evaluate"],
    "models": ["models", "show"],
    "recipes": ["recipes", "show"],
    "weights": ["weights", "convert", "--out", "out/x.safetensors"],
    "verify": ["weights", "verify"],
    "export": ["export", "--out", "out"],
    "train": ["train", *TRAIN, "--steps", "1"],
    "completion": ["completion"],
}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_names_and_arguments(seeds, tmp_path, command):
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{command}:{number}")
        rest = rng.choices([*OPTIONS, *ARGUMENTS, *ARGUMENTS], k=rng.randrange(6))
        first = {"train": ["recipe.yaml"], "info": ["street.mp4"], "detect": ["street.mp4"]}
        rest = (first.get(command, []) if rng.random() < 0.5 else []) + rest
        case = tmp_path / "case"
        shutil.copytree(seeds, case, ignore=shutil.ignore_patterns("trained", "stopped"))
        (case / "out").mkdir()
        try:
            trial([*COMMANDS[command], *rest], tmp_path, case)
        finally:
            shutil.rmtree(case)


SIGNALS = ("INT", "TERM", "HUP")
STREAMS = (">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full", "| true", "<&-")
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["signal", "stream", "damaged video"])
def test_in_a_process_of_its_own(seeds, tmp_path, kind):
    """Where a decoder brings the process down, or a signal comes at any moment."""
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{kind}:{number}")
        case = tmp_path / "case"
        shutil.copytree(seeds, case, ignore=shutil.ignore_patterns("trained", "stopped"))
        try:
            in_a_process(kind, rng, case)
        finally:
            shutil.rmtree(case)


def in_a_process(kind: str, rng: random.Random, case: Path) -> None:
    chosen = rng.choice(sorted(VIDEOS))
    words = rng.choice(
        [
            ["detect", chosen, *DETECT, "--sheet"],
            ["train", "longer.yaml", *TRAIN],
            ["evaluate", "--data", "labels.json", *EVALUATE],
            ["info", chosen],
            ["recipes", "show", "recipe.yaml"],
        ][: 1 if kind == "damaged video" else None]
    )
    line = " ".join([sys.executable, "-m", "trovid.cli.main", *words])
    if kind == "damaged video":
        damage(case / chosen, rng)
    elif kind == "stream":
        line = f"{line} {rng.choice(STREAMS)}"
    else:
        line = f"exec {line}"
    environment = {**os.environ, "TROVID_QUIET": "", **(PLAIN if rng.random() < 0.3 else {})}
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=case,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    expected = {0, 1, 2}
    try:
        if kind == "signal":
            name = rng.choice(SIGNALS)
            number = getattr(signal, f"SIG{name}")
            expected |= {128 + number, -number}  # before Python is there, the signal itself ends it
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0.1, 15))
            with contextlib.suppress(ProcessLookupError):  # it may have ended
                os.killpg(process.pid, number)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    told = f"seed {SEED}: {line}\n{out.decode(errors='replace')}\n{err.decode(errors='replace')}"
    assert process.returncode in expected, told
    assert b"Traceback" not in out + err, told
    check_files(case / "out")


def test_unknown_commands_name_the_nearest():
    for name in SUMMARIES:
        status, said = run_here(name[:-1] + "x")
        assert status == 2
        assert f"did you mean '{name}'?" in said or name[:-1] + "x" in SUMMARIES
