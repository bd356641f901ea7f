"""`trovid evaluate --protocol youtube-vis|mot` on small data sets in the real layouts."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch

from tests.cli.command import trovid_command
from tests.cli.tiny_model import save_tiny_model
from tests.datasets.mot_folder import write_mot
from tests.datasets.youtube_vis_folder import LENGTH, document, write_youtube_vis
from trovid.datasets.reading import read_dataset, read_split
from trovid.datasets.synthvid import write_split
from trovid.datasets.true_tracks import true_tracks
from trovid.datasets.youtube_vis_results import (
    read_youtube_vis_results,
    write_youtube_vis_results,
)
from trovid.recipes import load_recipe
from trovid.runs.parquet.writing import ParquetWriter
from trovid.runs.predictions import read_frames
from trovid.runs.sinks.json import JsonWriter
from trovid.structures import Detections


@pytest.fixture
def labelled(tmp_path):
    root = write_youtube_vis(tmp_path / "ytvis")
    return root / "train/instances.json"


def write_frames(path, dataset):
    """The labels as predictions of `trovid segment`."""
    with JsonWriter(path, model="m", class_names=dataset.class_names) as writer:
        for video in dataset.videos:
            frames = [
                Detections(
                    truth.boxes,
                    torch.full((len(truth),), 0.9),
                    truth.labels,
                    dataset.class_names,
                    truth.frame_index,
                    image_size=truth.image_size,
                    track_ids=truth.instance_ids,
                    masks=truth.masks,
                )
                for truth in dataset.ground_truth(video.name, masks=True)
            ]
            writer.write_video(video, "x.mp4", frames)


def test_results_of_the_server_s_form(capsys, tmp_path, labelled):
    dataset = read_dataset(labelled, split=None)
    tracks = [(video.name, true_tracks(dataset, video.name)) for video in dataset.videos]
    results, figures = tmp_path / "results.zip", tmp_path / "figures.json"
    write_youtube_vis_results(results, tracks, dataset)
    arguments = ("evaluate", results, "--labels", labelled, "--protocol", "youtube-vis")
    status, out, complaints = trovid_command(capsys, *arguments, "--out", figures)
    assert (status, complaints) == (0, [])
    assert "AP50" in out
    assert "AR10" in out
    assert json.loads(figures.read_text())["overall"]["ap"] == pytest.approx(1)
    status, _, complaints = trovid_command(capsys, *arguments[:-1], "mot")
    assert status != 0
    assert "this list of tracks goes with --protocol youtube-vis" in complaints[0]


def test_frames_with_identities(capsys, tmp_path, labelled):
    dataset = read_dataset(labelled, split=None)
    found = tmp_path / "found.json"
    write_frames(found, dataset)
    for protocol, name in (("youtube-vis", "ap"), ("mot", "mota")):
        arguments = ("evaluate", found, "--labels", labelled, "--protocol", protocol, "--json")
        status, out, complaints = trovid_command(capsys, *arguments)
        assert (status, complaints) == (0, [])
        assert json.loads(out)["overall"][name] == pytest.approx(1)
        assert json.loads(out)["head"]["model"] == "m"


def test_results_of_mot_challenge(capsys, tmp_path):
    folder = tmp_path / "train" / "MOT17-02-FRCNN"
    (folder / "gt").mkdir(parents=True)
    (folder / "gt/gt.txt").write_text("1,1,10,5,8,20,1,1,1\n2,1,11,5,8,20,1,1,1\n")
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=2\nimWidth=64\nimHeight=48\n")
    results = tmp_path / "results"
    results.mkdir()
    (results / "MOT17-02-DPM.txt").write_text("1,4,10,5,8,20,0.9,-1,-1,-1\n2,5,11,5,8,20,0.9\n")
    arguments = ("evaluate", results, "--labels", tmp_path / "train", "--protocol", "mot")
    status, out, complaints = trovid_command(capsys, *arguments, "--json")
    assert (status, complaints) == (0, [])
    figures = json.loads(out)["overall"]
    assert (figures["mota"], figures["switches"], figures["recall"]) == (0.5, 1, 1)


def test_results_of_one_sequence_among_several_without_splits(capsys, tmp_path):
    """No sequence is kept back for training, and of one file its sequence alone counts."""
    root = write_mot(tmp_path / "mot", "x", "y")
    results = tmp_path / "x.txt"
    results.write_text("1,4,10,5,8,20,0.9\n2,4,11,5,8,20,0.9\n")
    for labels in (root, root / "train"):
        arguments = ("evaluate", results, "--labels", labels, "--protocol", "mot", "--json")
        status, out, complaints = trovid_command(capsys, *arguments)
        assert (status, complaints) == (0, [])
        assert json.loads(out)["head"]["videos"] == 1
        assert json.loads(out)["overall"]["mota"] == 1


def test_lines_beside_results_of_several_classes(capsys, tmp_path):
    """NAME.txt hides the classes that NAME.json tells; of one class there are none to hide."""
    root = write_mot(tmp_path / "mot", "x")
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.txt").write_text("1,4,10,5,8,20,0.9\n2,4,11,5,8,20,0.9\n")
    arguments = ("evaluate", out / "x.txt", "--labels", root, "--protocol", "mot")
    for options in ({}, {"classes": ["person", "car"]}, {"classes": ["person"]}):
        head = {"model": "m", "class_names": ["person", "car", "dog"], "options": options}
        with JsonWriter(out / "x.json", **head):
            pass
        status, _, complaints = trovid_command(capsys, *arguments)
        if options.get("classes") == ["person"]:
            assert (status, complaints) == (0, [])
        else:
            (complaint,) = complaints
            assert status == 2
            assert f"give {out / 'x.json'}, which tells videos and classes" in complaint


@pytest.mark.parametrize(
    ("protocol", "names"),
    [("youtube-vis", ["ap", "ap50"]), ("mot", ["hota", "mota", "idf1", "switches"])],
)
def test_intervals_and_a_page(capsys, tmp_path, labelled, protocol, names):
    found = tmp_path / "found.json"
    write_frames(found, read_dataset(labelled, split=None))
    words = ("evaluate", found, "--labels", labelled, "--protocol", protocol, "--resamples", "20")
    status, out, complaints = trovid_command(capsys, *words, "--json")
    assert (status, complaints) == (0, [])
    report = json.loads(out)
    assert [*report["intervals"]["all"]] == names
    for name, interval in report["intervals"]["all"].items():
        value = report["overall"][name]
        sides = [interval[key] for key in ("value", "low", "high")]
        assert sides == pytest.approx([value] * 3)  # all videos are found whole
    page = tmp_path / "page"
    status, out, complaints = trovid_command(capsys, *words, "--report", page)
    assert (status, complaints) == (0, [])
    assert "95 % intervals over the videos" in out
    assert json.loads((page / "report.json").read_text())["intervals"] == report["intervals"]
    assert "| dog | 100.0 |" in (page / "report.md").read_text()
    html = (page / "report.html").read_text()
    title = "AP50 of each class" if protocol == "youtube-vis" else "HOTA of each class"
    assert all(text in html for text in ("Evaluation of m", title, "95 % intervals"))


@pytest.mark.parametrize("protocol", ["youtube-vis", "mot"])
@pytest.mark.parametrize("kind", ["json", "mot beside", "parquet"])
def test_a_folder_of_results_is_read_as_one(capsys, tmp_path, labelled, protocol, kind):
    """A file a video, as `trovid segment A B` writes them, beside figures of an earlier look."""
    dataset, out = read_dataset(labelled, split=None), tmp_path / "out"
    out.mkdir()
    for video in dataset.videos:
        name, one = out / video.name, dataset.subset([video.name])
        write_frames(name.with_suffix(".json"), one)
        if kind == "parquet":
            _, frames = read_frames(name.with_suffix(".json"))
            head = {"model": "m", "class_names": dataset.class_names, "options": {}}
            writer = ParquetWriter(name.with_suffix(".parquet"), head=head)
            writer.begin_video(video, "x.mp4")
            for frame in frames[video.name]:
                writer.write(frame)
            writer.end_video()
            writer.finish()
            writer.publish()
            name.with_suffix(".json").unlink()
        if kind == "mot beside":
            name.with_suffix(".txt").write_text("1,1,2,2,4,4,1\n")
    arguments = ("evaluate", out, "--labels", labelled, "--protocol", protocol, "--json")
    for _ in range(2):
        figures = out / "figures.json"
        status, text, complaints = trovid_command(capsys, *arguments, "--out", figures)
        assert (status, complaints) == (0, [])
        report = json.loads(text)
        figure = report["overall"]["ap" if protocol == "youtube-vis" else "mota"]
        assert figure == pytest.approx(1)
        assert (report["head"]["videos"], report["head"]["model"]) == (2, "m")


def test_folders_that_are_no_one_result_are_refused(capsys, tmp_path, labelled):
    dataset, out = read_dataset(labelled, split=None), tmp_path / "out"
    out.mkdir()
    arguments = ("evaluate", out, "--labels", labelled, "--protocol", "mot")
    status, _, (complaint,) = trovid_command(capsys, *arguments)
    assert status == 2
    assert "holds no results: NAME.json or Parquet of `trovid segment`" in complaint
    for name in ("a", "b"):
        write_frames(out / f"{name}.json", dataset)
    status, _, (complaint,) = trovid_command(capsys, *arguments)
    assert status == 2
    assert f"b.json: video '0043f083b5' is in {out / 'a.json'} too; keep one" in complaint
    with JsonWriter(out / "b.json", model="other", class_names=dataset.class_names):
        pass
    status, _, (complaint,) = trovid_command(capsys, *arguments)
    assert "b.json: is of another run than" in complaint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "mot,coco"), "--protocol mot goes alone"),
        (("--protocol", "mot", "--seq-nms"), "--seq-nms and --shard do not go with --protocol mot"),
        (("--protocol", "motc"), "no protocol 'motc'"),
    ],
)
def test_options_that_do_not_go_together(capsys, tmp_path, labelled, options, message):
    status, _, complaints = trovid_command(
        capsys, "evaluate", tmp_path, "--labels", labelled, *options
    )
    assert status != 0
    assert message in complaints[0]


def test_detections_without_identities(capsys, tmp_path, labelled):
    dataset = read_dataset(labelled, split=None)
    found = tmp_path / "found.json"
    write_frames(found, dataset)
    document = json.loads(found.read_text())
    for frame in document["videos"][0]["frames"]:
        for row in frame["detections"]:
            del row["track"]
    found.write_text(json.dumps(document))
    arguments = ("evaluate", found, "--labels", labelled, "--protocol", "youtube-vis")
    status, _, complaints = trovid_command(capsys, *arguments)
    assert status != 0
    assert "have no identities: predict with `trovid segment`" in complaints[0]
    assert len(complaints) == 1


@pytest.mark.parametrize(("protocol", "figure"), [("youtube-vis", "ap"), ("mot", "idf1")])
def test_a_model_is_run_with_identities(capsys, tmp_path, protocol, figure):
    write_split(tmp_path, split="val", videos=1, size=96)
    model = save_tiny_model(tmp_path / "m.safetensors", name="synthvid-masktrack-troi")
    words = ("--data", tmp_path / "val.json", "--every", "8", "--score", "0.1", "--json")
    status, out, complaints = trovid_command(
        capsys, "evaluate", "--model", model, *words, "--protocol", protocol
    )
    assert (status, complaints) == (0, [])
    report = json.loads(out)
    assert 0 <= report["overall"][figure] <= 1
    assert report["head"]["frames"] == 3
    assert (report["visible"] is not None) == (protocol == "youtube-vis")


def test_a_model_without_masks(capsys, tmp_path):
    write_split(tmp_path, split="val", videos=1, size=96)
    model = save_tiny_model(tmp_path / "m.safetensors", name="synthvid-single")
    words = ("evaluate", "--model", model, "--data", tmp_path / "val.json", "--every", "12")
    status, _, complaints = trovid_command(capsys, *words, "--protocol", "youtube-vis")
    assert status != 0
    assert "finds boxes alone" in complaints[0]
    status, _, complaints = trovid_command(capsys, *words, "--protocol", "mot", "--json")
    assert (status, complaints) == (0, [])


@pytest.mark.parametrize("every", [(), ("--results", "r.zip")])
def test_a_model_of_other_classes_is_not_run(capsys, tmp_path, every):
    """The frames cannot be read, so a model that was run would fail otherwise."""
    root = write_youtube_vis(tmp_path / "ytvis")
    for file in root.rglob("*.jpg"):
        file.write_bytes(b"no picture")
    model = save_tiny_model(tmp_path / "m.safetensors", name="synthvid-masktrack-troi")
    words = ("--model", model, "--data", root, "--split", "train", "--protocol", "youtube-vis")
    status, _, (complaint,) = trovid_command(capsys, "evaluate", *words, *every)
    assert status == 2
    assert "none of the predicted classes" in complaint
    assert "is among the labels' (cat, dog ...)" in complaint


@pytest.fixture
def hidden(tmp_path):
    """A folder whose val videos have hidden labels and the model's classes in another order."""
    names = load_recipe("synthvid-masktrack-troi").model.classes
    labels = document()
    labels["categories"] = [{"id": 3 * n, "name": name} for n, name in enumerate(names, 1)][::-1]
    for entry in labels["annotations"]:
        entry["category_id"] *= 3
    return write_youtube_vis(tmp_path / "ytvis", labels)


def test_results_for_the_server_of_videos_with_hidden_labels(capsys, tmp_path, hidden):
    model = save_tiny_model(tmp_path / "m.safetensors", name="synthvid-masktrack-troi")
    results = tmp_path / "results.zip"
    words = ("--data", hidden, "--protocol", "youtube-vis", "--results", results)
    status, out, complaints = trovid_command(capsys, "evaluate", "--model", model, *words)
    assert (status, complaints) == (0, [])
    found = read_youtube_vis_results(results, read_split(hidden, "val"))
    count = sum(map(len, found.values()))
    assert out == f"results: {results}: {count} tracks in 2 videos\n"
    assert [len(tracks.frames) for tracks in found.values()] == [LENGTH, LENGTH]
    assert all(len(tracks) for tracks in found.values())
    document = json.loads(zipfile.ZipFile(results).read("results.json"))
    assert {entry["video_id"] for entry in document} == {10, 11}
    assert all(entry["category_id"] % 3 == 0 for entry in document)
    options = ("--out", tmp_path / "figures.json")
    status, _, complaints = trovid_command(capsys, "evaluate", "--model", model, *words, *options)
    assert status == 2
    assert "has no labelled frames, so there are no figures: leave out --out" in complaints[0]


def test_results_beside_figures_where_labels_are_there(capsys, tmp_path, hidden):
    model = save_tiny_model(tmp_path / "m.safetensors", name="synthvid-masktrack-troi")
    results, figures = tmp_path / "results.json", tmp_path / "figures.json"
    words = ("--model", model, "--data", hidden, "--split", "train", "--protocol", "youtube-vis")
    both = ("--results", results, "--out", figures)
    status, out, complaints = trovid_command(capsys, "evaluate", *words, *both)
    assert (status, complaints) == (0, [])
    assert "AP50" in out
    written = read_youtube_vis_results(results, read_split(hidden, "train"))
    head = json.loads(figures.read_text())["head"]
    assert (head["videos"], head["tracks"]) == (2, sum(map(len, written.values())))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--results", "r.zip"), "--results goes with --protocol youtube-vis"),
        (
            ("--protocol", "youtube-vis", "--results", "r.zip", "--every", "2"),
            "every frame of a video: leave out --every",
        ),
        (("--protocol", "youtube-vis", "--results", "r.tar"), "must be a .zip"),
        (("--protocol", "youtube-vis", "--split", "test"), "has no labels of test"),
        (("--protocol", "youtube-vis", "--split", "val"), "--results results.zip writes the"),
    ],
)
def test_results_that_cannot_be_written(capsys, hidden, options, message):
    words = ("evaluate", "--model", "synthvid-masktrack-troi", "--data", hidden)
    status, _, complaints = trovid_command(capsys, *words, *options)
    assert status == 2
    assert message in complaints[0]
