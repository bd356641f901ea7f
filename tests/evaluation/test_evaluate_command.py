"""`trovid evaluate`."""

import io
import json
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch

from tests.cli.command import FullStream
from tests.cli.tiny_model import save_tiny_model
from tests.datasets.coco_folder import coco_folder
from tests.datasets.labelled_folder import labelled_folder
from tests.datasets.stills_folders import voc_folder
from tests.external import need_package
from trovid.cli.main import main
from trovid.detectors.building import build_detector
from trovid.evaluation import Report
from trovid.recipes import Recipe, load_recipe
from trovid.runs.sinks.json import JsonWriter
from trovid.video.opening import VideoWriter
from trovid.zoo.weights import save_weights

BOX = [10.0, 10.0, 50.0, 50.0]


def _run(*words) -> subprocess.CompletedProcess:
    """The command in this process, on a terminal of 100 columns."""
    arguments = ["evaluate", *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as stop:
            main(arguments)
    return subprocess.CompletedProcess(arguments, stop.value.code, out.getvalue(), err.getvalue())


@pytest.fixture
def failure(capsys):
    """What the command says, in this process, when it can do nothing."""

    def run(*words) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", *map(str, words)])
        said = capsys.readouterr()
        assert stop.value.code == 2
        assert said.out == ""
        assert said.err.count("\n") == 1
        return said.err

    return run


@pytest.fixture
def labels(write_labels):
    clean = {"box": BOX, "label": 1, "deterioration": "none", "strength": 0.0}
    noisy = {"box": BOX, "label": 1, "deterioration": "noise", "strength": 1.0}
    return write_labels({"a": [[clean], [noisy]]})


def _write_predictions(path, frames: list[list[tuple]], name: str = "a"):
    document = {
        "head": {"trovid": "0", "model": "by hand", "class_names": ["dog"], "options": {}},
        "videos": [
            {
                "name": name,
                "file_name": f"{name}.mp4",
                "width": 200,
                "height": 200,
                "num_frames": len(frames),
                "frames": [
                    {
                        "index": index,
                        "time": index / 10,
                        "detections": [
                            {"class": "dog", "label": 0, "score": score, "box": box}
                            for box, score in found
                        ],
                    }
                    for index, found in enumerate(frames)
                ],
            }
        ],
    }
    path.write_text(json.dumps(document))
    return path


def test_predictions_against_labels(labels, tmp_path):
    found = _write_predictions(tmp_path / "found.json", [[(BOX, 0.9)], [([0, 0, 9, 9], 0.5)]])
    done = _run(found, "--labels", labels, "--out", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = Report.load(tmp_path / "report.json")
    assert report.groups["clean"].ap50 == pytest.approx(1.0)
    assert report.groups["deteriorated"].ap50 == 0.0
    assert report.head["model"] == "by hand"
    assert "deteriorated" in done.stdout
    assert f"{100 * 51 / 101:.1f}" in done.stdout


def test_labels_by_hand_name_files_and_results_stems(tmp_path, capsys):
    """Every command takes what `trovid detect a.mp4` has found, also for pictures of errors."""
    with VideoWriter(tmp_path / "a.mp4", height=200, width=200, frame_rate=10) as writer:
        for _ in range(2):
            writer.write(np.zeros((200, 200, 3), np.uint8))
    missed = {"class": "dog", "box": [100, 100, 150, 150], "id": 2}
    frames = {"0": [{"class": "dog", "box": BOX, "id": 1}], "1": [missed]}
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"videos": {"a.mp4": frames}}))
    found = _write_predictions(tmp_path / "a.json", [[(BOX, 0.9)], [(BOX, 0.5)]])
    figures = tmp_path / "figures.json"
    done = _run(found, "--labels", labels, "--out", figures, "--report", tmp_path / "report")
    assert (done.returncode, done.stderr) == (0, "")
    assert Report.load(figures).overall.ap50 == pytest.approx(51 / 101)
    assert "data:image" in (tmp_path / "report/report.html").read_text()
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(found), str(found), "--labels", str(labels)])
    assert (stop.value.code, capsys.readouterr().err) == (0, "")
    document = json.loads(found.read_text())
    for frame in document["videos"][0]["frames"]:
        for row in frame["detections"]:
            row["track"] = 4
    found.write_text(json.dumps(document))
    (tmp_path / "mot").mkdir()
    lines = tmp_path / "mot/a.txt"
    lines.write_text("1,4,10,10,40,40,0.9\n2,4,10,10,40,40,0.5\n")
    for predictions in (found, lines):
        words = ("--labels", labels, "--protocol", "mot", "--json")
        done = _run(predictions, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["overall"]["recall"] == 0.5


@pytest.mark.parametrize("names", [("train", "val"), ("labels",)])
def test_predictions_of_a_training_video_are_measured(write_labels, tmp_path, capsys, names):
    """Of a folder with splits, and of one without, where no video is kept back."""
    found = _write_predictions(tmp_path / "found.json", [[(BOX, 0.9)]])
    folder = tmp_path / "data"
    folder.mkdir()
    videos = {"train": {"a": [[{"box": BOX, "label": 1}]]}, "val": {"b": [[]]}}
    videos["labels"] = {**videos["train"], **videos["val"]}
    for name in names:
        write_labels(videos[name]).rename(folder / f"{name}.json")
    figures = tmp_path / "figures.json"
    done = _run(found, "--labels", folder, "--out", figures)
    assert (done.returncode, done.stderr) == (0, "")
    assert Report.load(figures).overall.ap50 == pytest.approx(1)
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(found), str(found), "--labels", str(folder)])
    assert (stop.value.code, capsys.readouterr().err) == (0, "")


@pytest.mark.parametrize("kind", [[], ["--json"]])
@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_what_cannot_be_printed_is_written_all_the_same(labels, tmp_path, capsys, command, kind):
    found = _write_predictions(tmp_path / "found.json", [[(BOX, 0.9)], [(BOX, 0.5)]])
    words = [command, *[str(found)] * (1 + (command == "compare")), "--labels", str(labels)]
    with redirect_stdout(FullStream()), pytest.raises(SystemExit) as stop:
        main([*words, "--out", str(tmp_path / "report.json"), *kind])
    assert stop.value.code == 2
    assert "stdout cannot be written: No space left on device; what was done is kept" in (
        capsys.readouterr().err
    )
    assert json.loads((tmp_path / "report.json").read_text())


def test_crowds_and_ignored_objects_are_said_to_be_left_out(write_labels, tmp_path):
    objects = [{"box": BOX, "label": 1}, {"box": [100, 100, 150, 150], "label": 1, "crowd": 1}]
    found = _write_predictions(
        tmp_path / "found.json", [[(BOX, 0.9), ([110, 110, 130, 130], 0.95)]]
    )
    done = _run(found, "--labels", write_labels({"a": [objects]}))
    assert done.returncode == 0, done.stderr
    assert "left out: objects that the labels call a crowd or ignored: 1" in done.stdout
    assert "100.0" in done.stdout


def test_what_does_not_fit_is_one_line(labels, tmp_path, failure):
    stranger = _write_predictions(tmp_path / "found.json", [[]], name="b")
    error = failure(stranger, "--labels", labels)
    assert "found.json" in error
    assert "video 'b' is not in the labels" in error
    assert "absent.json" in failure(tmp_path / "absent.json", "--labels", labels)


def test_broken_labels_are_named(labels, failure):
    raw = json.loads(labels.read_text())
    del raw["annotations"][1]["bbox"]
    labels.write_text(json.dumps(raw))
    error = failure("--model", "whatever", "--data", labels)
    assert "labels.json" in error
    assert "bbox" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either a PREDICTIONS file"),
        (["found.json"], "need --labels"),
        (["found.json", "--model", "m"], "either a PREDICTIONS file"),
        (["--model", "m"], "needs --data"),
        (["--model", "m", "--data", "d.json", "--shard", "0/2"], "needs --out"),
        (["f.json", "--labels", "d.json", "--shard", "0/2"], "goes with --model"),
        (["--model", "m", "--data", "d.json", "--every", "0"], "at least 1"),
        (["--model", "m", "--data", "d.json", "--support", "all"], "support"),
    ],
)
def test_words_that_do_not_go_together(words, message, failure):
    assert message in failure(*words)


@pytest.mark.parametrize(
    "option",
    [
        "--score 0.3",
        "--max-detections 5",
        "--nms 0.1",
        "--class-agnostic-nms",
        "--support uniform:2",
        "--temporal training-free",
        "--every 2",
        "--videos 1",
        "--batch 2",
        "--device cpu",
        "--precision bf16",
        "--compile",
        "--deterministic",
    ],
)
def test_what_only_a_model_can_do_is_not_asked_of_predictions(labels, tmp_path, failure, option):
    found = _write_predictions(tmp_path / "found.json", [[(BOX, 0.9)]])
    name, *value = option.split()
    said = failure(found, "--labels", labels, name, *value)
    assert said.startswith(f"trovid: {name} goes with --model: ")


def test_a_model_over_videos(write_labels, tmp_path):
    """Random weights find nothing worth; every second frame of one of two clips is evaluated."""
    recipe = load_recipe("synthvid-single")
    torch.manual_seed(0)
    weights = tmp_path / "random.safetensors"
    save_weights(weights, build_detector(recipe), recipe, provenance={"seed": 0})
    labels = _write_clips(write_labels, tmp_path, recipe)
    file = tmp_path / "report.json"
    words = ["--every", 2, "--videos", 1, "--out", file, "--device", "cpu"]
    done = _run("--model", weights, "--data", labels, *words)
    assert done.returncode == 0, done.stderr
    head = Report.load(file).head
    assert (head["model"], head["videos"], head["frames"], head["objects"]) == ("random", 1, 3, 3)
    assert head["labelled_frames"] == 10


def test_labels_of_a_training_that_are_measured_whole_are_said(tmp_path):
    folder = labelled_folder(tmp_path / "own", ("street", "yard"))
    model = save_tiny_model(tmp_path / "model.safetensors")
    for data, told in ((folder / "labels.json", "is read whole"), (folder, "1 for validation")):
        words = ("--model", model, "--data", data, "--every", 3, "--device", "cpu")
        done = _run(*words, "--out", tmp_path / "report.json")
        assert done.returncode == 0, done.stderr
        (line,) = (x for x in done.stderr.splitlines() if x.startswith(f"trovid: {data}: "))
        assert told in line


def test_a_list_of_coco_results(labels, tmp_path, failure):
    """Ids are those of the labels; all labelled frames count."""
    x1, y1, x2, y2 = BOX
    row = {"image_id": 2, "category_id": 2, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9}
    found = tmp_path / "results.json"
    found.write_text(json.dumps([row]))
    done = _run(found, "--labels", labels, "--out", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = Report.load(tmp_path / "report.json")
    assert report.groups["deteriorated"].ap50 == pytest.approx(1.0)
    assert (report.groups["clean"].ap50, report.head["frames"]) == (0.0, 2)
    for wrong, message in (
        ({**row, "image_id": 7}, "no image 7"),
        ({**row, "category_id": 9}, "no category 9"),
        ({**row, "bbox": [1, 2, 3]}, "entry 0 must have"),
        (3, "entry 0 must have"),
    ):
        found.write_text(json.dumps([wrong]))
        assert message in failure(found, "--labels", labels)
    found.write_text("[")
    assert "not JSON" in failure(found, "--labels", labels)


@pytest.mark.parametrize("form", ["stills", "frame_id from 0", "frame_id from 1"])
def test_a_list_of_coco_results_against_coco_s_own_labels(tmp_path, form):
    """Pictures by themselves in COCO's layout, and videos as mmtracking has them."""
    folder = coco_folder(tmp_path / "data", every=2, first=int(form == "frame_id from 1"))
    document = json.loads((folder / "labels.json").read_text())
    if form == "stills":
        del document["videos"]
        for image in document["images"]:
            del image["video_id"], image["frame_id"]
        (folder / "labels.json").unlink()
        for split in ("train", "val"):
            file = folder / f"annotations/instances_{split}2017.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(document))
    found = tmp_path / "results.json"
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.5}
        for a in document["annotations"]
    ]
    found.write_text(json.dumps(rows))
    done = _run(found, "--labels", folder, "--out", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = Report.load(tmp_path / "report.json")
    assert report.overall.ap50 == pytest.approx(1.0)
    assert (report.head["frames"], report.head["objects"]) == (6, 6)


def test_a_list_of_coco_results_needs_json_labels(tmp_path, failure):
    found = tmp_path / "results.json"
    found.write_text("[]")
    said = failure(found, "--labels", voc_folder(tmp_path / "voc"))
    assert "voc: holds no one JSON file of labels: name the file" in said


@pytest.mark.parametrize("kind", ["coco", "youtube-vis"])
@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_a_list_beside_trovid_s_own_results_has_no_ids_of_the_labels(
    labels, tmp_path, capsys, command, kind
):
    """Its image_id is the frame's index, its video_id always 1."""
    found, results = tmp_path / f"a.{kind}.json", tmp_path / "a.json"
    row = {"image_id": 1, "category_id": 2, "bbox": [10, 10, 40, 40], "score": 0.9}
    found.write_text(json.dumps([row]))
    words = [command, *[str(found)] * (1 + (command == "compare")), "--labels", str(labels)]
    for protocol in ([], ["--protocol", "youtube-vis"]) if command == "evaluate" else ([],):
        with JsonWriter(results, model="m", class_names=["dog"]):
            pass
        with pytest.raises(SystemExit) as stop:
            main([*words, *protocol])
        said = capsys.readouterr().err
        assert (stop.value.code, said.count("\n")) == (2, 1)
        assert f"{found}: was written beside a.json: give {results}, which tells videos and" in said
    results.write_text("{}")
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0


def test_shards_write_the_same_bytes_as_one_process(write_labels, tmp_path):
    need_package("pyarrow")
    weights = save_tiny_model(tmp_path / "tiny.safetensors")
    recipe = load_recipe("synthvid-selsa-troi")
    labels = _write_clips(write_labels, tmp_path, recipe)
    words = ["--model", weights, "--data", labels, "--device", "cpu"]
    one, many = tmp_path / "one" / "r.json", tmp_path / "many" / "r.json"
    assert _run(*words, "--out", one).returncode == 0
    first = _run(*words, "--out", many, "--shard", "1/3")
    assert first.returncode == 0, first.stderr
    assert "videos of other shards are missing" in first.stdout
    assert not many.exists()
    second = _run(*words, "--out", many, "--shard", "2/3")
    assert second.returncode == 0, second.stderr
    assert many.read_bytes() == one.read_bytes()
    assert json.loads(one.read_text())["head"]["detections"] > 0
    many.unlink()
    assert _run(*words, "--out", many, "--shard", "0/3").returncode == 0  # all is there already
    assert many.read_bytes() == one.read_bytes()


def _write_clips(write_labels, tmp_path, recipe: Recipe):
    frames = [[{"box": BOX, "label": 2}]] * 5
    labels = write_labels({"a": frames, "b": frames}, class_names=recipe.model.classes)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        with VideoWriter(tmp_path / f"{name}.mp4", height=200, width=200, frame_rate=10) as writer:
            for _ in frames:
                writer.write(rng.integers(0, 256, (200, 200, 3), dtype=np.uint8))
    return labels


def test_seq_nms_lifts_the_unsure_box_of_a_file(write_labels, tmp_path):
    """The second frame's true box has a lower score than a false one, until it is linked."""
    labels = write_labels({"a": [[{"box": BOX, "label": 1}], [{"box": BOX, "label": 1}]]})
    elsewhere = [100.0, 100.0, 150.0, 150.0]
    frames = [[(BOX, 0.9)], [(BOX, 0.2), (elsewhere, 0.5)]]
    predictions = _write_predictions(tmp_path / "predictions.json", frames)
    values = []
    for words in ([], ["--seq-nms"]):
        json = tmp_path / "report.json"
        done = _run(predictions, "--labels", labels, "--out", json, *words)
        assert done.returncode == 0, done.stderr
        values.append(Report.load(json).overall.ap50)
    assert values[0] < 1
    assert values[1] == pytest.approx(1)
