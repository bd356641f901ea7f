"""`trovid blur` on real files: what is covered, filled, said, and left out."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import trovid
from tests.cli.command import trovid_command
from tests.cli.runs import HEIGHT, WIDTH, folder, names, video
from tests.cli.tiny_model import save_tiny_model
from tests.media import encode
from tests.programs import COMMAND, start_program
from trovid.datasets.synthvid.clip import make_clip
from trovid.recipes import TrackingRecipe
from trovid.redaction import Redaction, redact
from trovid.redaction.redacting import redaction_batch
from trovid.runs.predictions import read_document, read_predictions
from trovid.structures import DetectOptions
from trovid.video.opening import VideoWriter, open_video

CLASSES = "anchor,umbrella,star,sun"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("blur")


@pytest.fixture(scope="module")
def model(place) -> Path:
    return save_tiny_model(place / "tiny.safetensors")


@pytest.fixture(scope="module")
def every_class(model) -> str:
    return ",".join(trovid.load(str(model), device="cpu").class_names)


def blur(capsys, *words: str | Path, **options) -> tuple[int, str, list[str]]:
    return trovid_command(capsys, "blur", *words, "--device", "cpu")


def tagged(path: Path, **texts: str) -> Path:
    """A copy with texts in its container."""
    other = path.with_name(f"tagged-{path.name}")
    with (
        av.open(str(path)) as source,
        av.open(str(other), "w", options={"movflags": "+use_metadata_tags"}) as target,
    ):
        target.metadata.update(texts)
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return other


def test_objects_are_covered_where_they_were_missed_too(tmp_path, capsys):
    """A scene of the benchmark that passes by; in the frames of low contrast nothing is found."""
    clip = make_clip("val", 7, strength=0.01, num_frames=24)
    scene, (height, width) = clip.frames[0], clip.frames.shape[1:3]
    bad = range(9, 15)
    source = tmp_path / "val_00007.mp4"
    with VideoWriter(source, height=height, width=width, frame_rate=25) as writer:
        for index in range(25):
            image = np.roll(scene, 2 * index, axis=1)
            writer.write(image // 16 + 120 if index in bad else image)
    known = trovid.load("synthvid-single", device="cpu").class_names
    words = ["--classes", ",".join(known), "--fill", "solid", "--model", "synthvid-single"]
    out = tmp_path / "out"
    status, printed, _ = blur(capsys, source, "--out", out, *words)
    assert status == 0
    assert names(out) == {f"val_00007.{end}" for end in ("mp4", "md", "json")}
    assert str(out / "val_00007.md") in printed

    document = read_document(out / "val_00007.json")
    (record,) = document["videos"]
    assert document["head"]["options"]["fill_gaps"] == 15
    assert not any(record["frames"][index]["detections"] for index in bad)
    filled = [row for frame in record["frames"] for row in frame.get("filled", ())]
    assert filled
    assert all(row["filled"] and row["class"] == known[row["label"]] for row in filled)
    _, found = read_predictions(out / "val_00007.json")  # what was filled is no detection
    assert [len(detections) for detections in found["val_00007"]] == [
        len(frame["detections"]) for frame in record["frames"]
    ]
    assert max(redacted["longest_gap"] for redacted in record["redaction"]["classes"]) >= len(bad)

    with open_video(out / "val_00007.mp4") as reader:
        pictures = [frame.image for frame in reader]
    checked = 0
    for annotation in clip.annotations:
        x, y, wide, high = annotation.box
        if annotation.frame_index == 0 and x > 0 and x + wide + 48 < width:
            for index, picture in enumerate(pictures):
                part = picture[y : y + high, x + 2 * index : x + wide + 2 * index]
                assert (part.max(-1) > 40).mean() < 0.05, (known[annotation.label], index)
            checked += 1
    assert checked
    page = (out / "val_00007.md").read_text()
    assert "Faces and number plates are no classes of the model" in page


def test_sound_and_metadata_go_unless_asked_for(tmp_path, capsys, model, every_class):
    plain = encode(tmp_path / "a.mp4", num_frames=8, sound="aac")
    source = tagged(plain, title="At home", comment="Elm Street 5", device="Phone 7")
    words = [source, "--classes", every_class, "--model", model, "--max-detections", "3"]
    assert blur(capsys, *words, "--out", tmp_path / "out")[0] == 0
    kept = ["--keep-sound", "--keep-metadata"]
    assert blur(capsys, *words, *kept, "--out", tmp_path / "kept")[0] == 0
    with av.open(str(tmp_path / "out" / "tagged-a.mp4")) as gone:
        assert [stream.type for stream in gone.streams] == ["video"]
        assert {*gone.metadata} <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
        assert not {*gone.streams.video[0].metadata} & {"title", "comment", "creation_time"}
    assert b"Elm Street" not in (tmp_path / "out" / "tagged-a.mp4").read_bytes()
    with av.open(str(tmp_path / "kept" / "tagged-a.mp4")) as there:
        assert [stream.type for stream in there.streams] == ["video", "audio"]
        assert there.metadata["title"] == "At home"
        assert there.metadata["comment"] == "Elm Street 5"
        assert there.metadata["device"] == "Phone 7"


def test_pixels_that_are_not_square_stay_so(tmp_path, capsys, model, every_class):
    source = encode(tmp_path / "a.mp4", num_frames=2, pixel_aspect=Fraction(2))
    words = ["--classes", every_class, "--model", model, "--out", tmp_path / "out"]
    assert blur(capsys, source, *words)[0] == 0
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2


def test_a_single_picture_gives_a_picture_without_its_tags(tmp_path, capsys, model, every_class):
    source = folder(tmp_path / "frames", count=1) / "0.png"
    with Image.open(source) as image:
        exif = image.getexif()
        exif[0x010E] = "Elm Street 5"
        image.save(tmp_path / "photo.jpg", exif=exif)
    words = [tmp_path / "photo.jpg", "--classes", every_class, "--model", model, "--score", "0.2"]
    status, _, _ = blur(capsys, *words, "--fill", "solid", "--out", tmp_path / "out")
    assert status == 0
    assert names(tmp_path / "out") == {"photo.png", "photo.md", "photo.json"}
    with Image.open(tmp_path / "out" / "photo.png") as covered:
        assert not covered.getexif()
        assert (np.asarray(covered).max(-1) == 0).any()
    assert b"Elm Street" not in (tmp_path / "out" / "photo.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--classes", "star", "--by", "mask"],
            "finds boxes alone: take --by box, or a --model with masks",
        ),
        (["--classes", "strr"], "knows no class 'strr'; did you mean 'star'?"),
        (["--classes", "face"], "faces and number plates are no classes of it"),
        (["--classes", "number plate"], "faces and number plates are no classes of it"),
        (["--classes", "star", "--fill-gaps", "-1"], "--fill-gaps must lie in 0.."),
        (["--classes", "star", "--margin", "-1"], "--margin must lie in 0..10"),
        (["--classes", "star", "--overwrite", "--resume"], "give one of them"),
    ],
)
def test_what_cannot_be_done_is_one_line(place, tmp_path, capsys, model, words, message):
    source = video(place / "refused.mp4")
    status, out, complaints = blur(
        capsys, source, "--model", model, "--out", tmp_path / "out", *words
    )
    assert status == 2
    assert not out
    assert len(complaints) == 1
    assert message in complaints[0]
    assert not (tmp_path / "out").exists()


def test_classes_must_be_named(capsys, place):
    status, _, complaints = blur(capsys, video(place / "named.mp4"))
    assert status == 2
    assert "--classes requires an argument" in complaints[0]


def test_results_are_kept_and_resumed(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")
    words = [source, "--classes", "star", "--model", model, "--out", tmp_path / "out"]
    assert blur(capsys, *words)[0] == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")}
    status, _, complaints = blur(capsys, *words)
    assert status == 2
    assert "exists; give --overwrite, --resume" in complaints[0]
    status, out, _ = blur(capsys, *words, "--resume")
    assert (status, "done before" in out) == (0, True)
    status, _, complaints = blur(capsys, *words, "--resume", "--fill", "solid")
    assert status == 2
    assert "--fill was blur and is solid" in complaints[0]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert blur(capsys, *words, "--overwrite", "--fill", "solid")[0] == 0


@pytest.mark.parametrize("after", [4, 20])
def test_stopped_while_finding_or_covering_and_resumed(tmp_path, model, every_class, after):
    source = video(tmp_path / "a.mp4", count=12)
    predictor = trovid.load(str(model), device="cpu")

    def run(out: Path, asked: int, **how):
        times = iter(range(asked))
        batch = redaction_batch(
            lambda: predictor,
            out=out,
            options=DetectOptions(
                score=0.2, classes=tuple(every_class.split(",")), support="uniform:0"
            ),
            redaction=Redaction(),
            stop=lambda: next(times, None) is None,
            **how,
        )
        return list(batch.run([str(source)]))

    (result,) = run(tmp_path / "out", after)
    assert result.state == "incomplete"
    assert any("the same command with `resume` goes on" in loss for loss in result.losses)
    document = read_document(tmp_path / "out" / "a.json")["videos"][0]
    assert document["complete"] is False
    with open_video(tmp_path / "out" / "a.mp4") as reader:
        assert 0 < len(list(reader)) < 12
    (result,) = run(tmp_path / "out", 10**6, resume=True)
    assert (result.state, result.losses) == ("done", [])
    (result,) = run(tmp_path / "straight", 10**6)
    for name in ("a.json", "a.md"):
        resumed, straight = (tmp_path / way / name for way in ("out", "straight"))
        assert resumed.read_bytes() == straight.read_bytes()
    with (
        open_video(tmp_path / "out" / "a.mp4") as one,
        open_video(tmp_path / "straight" / "a.mp4") as other,
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.image, b.image)


@pytest.mark.parametrize(
    ("by", "repeated"),
    [("mask", True), pytest.param("mask", False, marks=pytest.mark.slow), ("box", False)],
)
def test_a_tracker_that_leaves_detections_out_leaves_none_out_here(tmp_path, place, by, repeated):
    """As published, MaskTrack R-CNN drops the weaker of two rows that match one object.

    By default all trackers keep the surest of several classes on one object, by overlap too.
    """
    model = save_tiny_model(place / "published.safetensors", name="synthvid-masktrack-troi")
    predictor = trovid.load(str(model), device="cpu")
    inference = replace(predictor.recipe.inference, tracking=TrackingRecipe(repeated=repeated))
    predictor.recipe = replace(predictor.recipe, inference=inference)
    source = encode(tmp_path / "a.mp4", num_frames=5)
    wanted = {"score": 0.02, "max_detections": 20}
    all_found = [len(detections) for detections in predictor.detect(source, masks=True, **wanted)]
    track = "embedding" if by == "mask" else "iou"
    tracked = predictor.segment(source, track=track, **wanted)
    assert sum(len(detections) for detections in tracked) < sum(all_found)
    redact(
        source,
        predictor,
        classes=predictor.class_names,
        out=tmp_path / "out",
        redaction=Redaction(by=by),
        options=DetectOptions(**wanted),
    )
    _, found = read_predictions(tmp_path / "out" / "a.json")
    assert [len(detections) for detections in found["a"]] == all_found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_completes_the_files(tmp_path, model, number):
    source = video(tmp_path / "a.mp4", count=70)
    out = tmp_path / "out"
    words = [source, "--classes", "star", "--model", model, "--out", out, "--device", "cpu"]
    process = start_program(COMMAND, ["blur", *words])
    for _ in range(3000):
        if out.exists() and list(out.glob(".*.partial.json")):
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=300)
    assert "Traceback" not in stderr
    assert process.returncode in (1, 2), stderr
    left = names(out)
    assert left in ({"a.mp4", "a.md", "a.json"}, set())
    if left:
        frames = read_document(out / "a.json")["videos"][0]["frames"]
        with open_video(out / "a.mp4") as reader:
            assert 0 < reader.video.num_frames <= len(frames)


def test_in_python_with_masks(tmp_path, place):
    model = save_tiny_model(place / "masks.safetensors", name="synthvid-masktrack-troi")
    predictor = trovid.load(str(model), device="cpu")
    source = video(tmp_path / "a.mp4", count=4)
    (result,) = redact(
        source,
        predictor,
        classes=predictor.class_names,
        out=tmp_path / "out",
        redaction=Redaction(by="mask", fill="solid"),
        options=DetectOptions(score=0.02, max_detections=3),
    )
    assert (result.state, result.losses) == ("done", [])
    _, found = read_predictions(tmp_path / "out" / "a.json")
    assert all(detections.masks is not None for detections in found["a"] if len(detections))
    with open_video(tmp_path / "out" / "a.mp4") as reader:
        for frame, detections in zip(reader, found["a"], strict=True):
            assert frame.image.shape == (HEIGHT, WIDTH, 3)
            if len(detections):
                assert frame.image[detections.masks.dense().any(0).numpy()].mean() < 25


def test_in_python_a_folder_of_frames_lasts_as_long_as_by_the_command(tmp_path, model):
    predictor = trovid.load(str(model), device="cpu")
    source, out = folder(tmp_path / "frames", count=3), tmp_path / "out"
    options = DetectOptions(score=0.9, support="uniform:0")
    (result,) = redact(source, predictor, classes=["star"], out=out, options=options)
    assert result.state == "done"
    with open_video(out / "frames.mp4") as reader:
        assert reader.times == pytest.approx([0, 1 / 25, 2 / 25])
    with pytest.raises(TypeError, match=r"must be names, such as \['star'\], but is a text"):
        redact(source, predictor, classes="star", out=out)


def test_the_report_goes_by_the_times_of_the_covered_video(tmp_path, capsys, model):
    source = video(tmp_path / "a.mp4")  # 12 frames a second
    words = [source, "--classes", "star", "--model", model, "--score", "1"]
    assert blur(capsys, *words, "--out", tmp_path / "whole")[0] == 0
    page = (tmp_path / "whole" / "a.md").read_text()
    assert "| 0:00.00 to 0:00.33 | 0 to 4 |  | no star was found" in page
    status, _, said = blur(capsys, *words, "--out", tmp_path / "part", "--start", "0.16")
    assert status == 0
    assert any("a.md: 1 moment for a person to look at" in line for line in said)
    page = (tmp_path / "part" / "a.md").read_text()
    assert "| 0:00.00 to 0:00.17 | 0 to 2 | 0:00.17 to 0:00.33 | 2 to 4 |  | no star" in page
    (record,) = read_document(tmp_path / "part" / "a.json")["videos"]
    report = record["redaction"]
    assert (report["first_frame"], report["first_time"]) == (2, pytest.approx(1 / 6, abs=1e-3))
    assert report["moments"][0]["first_frame"] == 2


def test_memory_holds_no_pictures(tmp_path, model, every_class):
    """A sink that was given many frames holds numbers alone."""
    from trovid.redaction.found import FoundObjects

    source = folder(tmp_path / "frames", count=3)
    predictor = trovid.load(str(model), device="cpu")
    found = FoundObjects(tmp_path)
    shown = list(predictor.detect(source, score=0.2, track="iou", support="uniform:0"))
    for detections in shown:
        found.add(detections)
    for place, detections in enumerate(shown):
        again = found.detections(place)
        assert again.boxes.equal(detections.boxes)
        assert again.scores.equal(detections.scores)
        assert again.labels.tolist() == detections.labels.tolist()
        assert (again.frame_index, again.time) == (detections.frame_index, detections.time)
    assert sum(len(trajectory.frames) for trajectory in found.trajectories()) == sum(
        map(len, shown)
    )
    assert Image.open(source / "0.png").size == (WIDTH, HEIGHT)
