"""A model that knows SynthVID alone says so of other videos, once."""

from __future__ import annotations

import json
import logging
import shutil

import pytest

from tests.cli.runs import images, video
from tests.cli.tiny_model import save_tiny_model
from trovid.cli.main import main
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.datasets.synthvid.recognition import is_clip
from trovid.evaluation import run_dataset
from trovid.inference import Predictor, load
from trovid.inference.notice import classes_line
from trovid.video.opening import open_video
from trovid.zoo.weights import load_weights, save_weights

SAID = "knows the 20 pictograms of SynthVID and nothing else"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The tiny model as if it were trained on SynthVID, a clip as MP4 and as PNG, other videos."""
    out = tmp_path_factory.mktemp("data")
    detector, card = load_weights(save_tiny_model(out / "tiny.safetensors"))
    provenance = {"data": {"name": "SynthVID"}}
    save_weights(out / "tiny.safetensors", detector, card.recipe, provenance=provenance)
    write_split(out / "mp4", split="val", videos=2, workers=1, num_frames=24, size=64)
    write_split(out / "png", split="val", videos=1, workers=1, num_frames=24, size=64, format="png")
    video(out / "street.mp4", count=2)
    return out


@pytest.fixture
def model(data) -> Predictor:
    return load(data / "tiny.safetensors", device="cpu")


def clips(data):
    return [data / "mp4" / "val" / "val_00000.mp4", data / "png" / "val" / "val_00000"]


def test_clips_are_known_by_their_name_and_the_labels_beside_them(data, tmp_path):
    assert all(is_clip(clip) and is_clip(str(clip)) for clip in clips(data))
    assert not is_clip(data / "street.mp4")
    assert not is_clip(images(2))
    assert not is_clip("rtsp://host/val/val_00000.mp4")
    folder = tmp_path / "val"
    folder.mkdir()
    for name in ("val_00000.mp4", "street.mp4"):
        shutil.copy(clips(data)[0], folder / name)
    assert not is_clip(folder / "val_00000.mp4")
    shutil.copy(data / "mp4" / "val.json", tmp_path)
    assert is_clip(folder / "val_00000.mp4")
    assert not is_clip(folder / "street.mp4")
    (tmp_path / "val.json").write_text('{"info": {"name": "mine"}, "of": "SynthVID"}')
    assert not is_clip(folder / "val_00000.mp4")


def test_nothing_is_said_of_clips(data, model, caplog):
    for clip in clips(data):
        list(model.detect(clip, frames=[0]))
        list(model.detect(open_video(clip), frames=[0], online=True))
    list(model.detect_together(clips(data), frames=[[0], [1]]))
    model.explain(clips(data)[0], frame=0, boxes=[[2, 2, 40, 40]])
    assert caplog.text == ""


@pytest.mark.parametrize(
    "kind", ["path", "reader", "array", "stream", "together", "seq_nms", "explain"]
)
def test_it_is_said_once_of_anything_else(data, model, caplog, kind):
    path = data / "street.mp4"
    sources = {"path": path, "reader": open_video(path), "stream": iter(images(2))}
    for _ in range(2):
        if kind == "together":
            list(model.detect_together([*clips(data), path], frames=[[0], [0], [0]]))
        elif kind == "explain":
            model.explain(path, frame=0, boxes=[[2, 2, 40, 40]])
        else:
            options = {"online": kind == "stream", "seq_nms": kind == "seq_nms"}
            list(model.detect(sources.get(kind, images(2)), **options))
    (record,) = [record for record in caplog.records if record.name == "trovid"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"tiny {SAID}: ")
    for way in ("another `model`", "`trovid models` lists", "your own labels"):
        assert way in record.getMessage()


@pytest.mark.parametrize("source", ["clip", "other clip", "target"])
def test_it_is_said_of_a_data_set_wherever_support_comes_from(
    data, model, tmp_path, caplog, source
):
    original = data / "mp4" / "val.json"
    list(run_dataset(model, read_coco_vid(original), every=24, support_source=source))
    assert caplog.text == ""
    shutil.copytree(data / "mp4", tmp_path / "mine")
    mine = tmp_path / "mine" / "val.json"
    mine.write_text(original.read_text().replace("SynthVID", "mine", 1))
    list(run_dataset(model, read_coco_vid(mine), every=24, support_source=source))
    assert caplog.text.count(SAID) == 1


def test_other_models_say_nothing(tmp_path, caplog):
    model = load(save_tiny_model(tmp_path / "tiny.safetensors"), device="cpu")
    list(model.detect(images(2)))
    assert caplog.text == ""


def command(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exited:
        main([*map(str, words)])
    captured = capsys.readouterr()
    return exited.value.code or 0, captured.out, captured.err


def test_the_commands_say_it_in_a_line_and_not_when_quiet(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    videos = [data / "street.mp4", video(tmp_path / "other.mp4", count=2)]
    model = ["--model", data / "tiny.safetensors", "--device", "cpu"]
    detect = ["detect", *videos, *model, "--no-video", "--overwrite", "--json"]
    status, out, err = command(capsys, *detect)
    assert json.loads(out)["status"] == status == 0
    (line,) = err.splitlines()
    assert line.startswith(f"trovid: tiny {SAID}")
    assert "take another --model" in line
    quiet = command(capsys, *detect, "--quiet")
    assert (quiet[0], quiet[2]) == (status, "")
    clip = command(capsys, "detect", *clips(data), *model, "--no-video", "--end", "0.1", "--json")
    assert (clip[0], clip[2]) == (0, "")
    explain = ["explain", videos[0], *model, "--box", "2,2,40,40", "--overwrite"]
    status, _, err = command(capsys, *explain)
    assert status == 0
    assert [line.startswith(f"trovid: tiny {SAID}") for line in err.splitlines()] == [True]
    assert command(capsys, *explain, "--quiet") == (0, "", "")


def test_a_model_taken_without_being_named_says_what_it_knows(data, tmp_path, capsys):
    detect = ["detect", data / "street.mp4", "--no-video", "--no-csv", "--overwrite", "--device"]
    detect += ["cpu", "--out", tmp_path / "out", "--end", "0.05"]
    _, _, err = command(capsys, *detect)
    said = [line for line in err.splitlines() if line.startswith("trovid: ")]
    assert len(said) == 1
    for part in (
        "everyday-selsa-troi knows aeroplane, bicycle, ",
        "other classes: --model coco-*",
        "train",
    ):
        assert part in said[0]
    assert command(capsys, *detect, "--quiet")[2] == ""
    assert "knows" not in command(capsys, *detect, "--model", data / "tiny.safetensors")[2].replace(
        SAID, ""
    )


def test_many_classes_are_counted():
    line = classes_line("coco", [f"c{number}" for number in range(80)])
    assert "c29 and 50 more; other classes" in line
    assert classes_line("one", ["cat"]).startswith("one knows cat; ")
