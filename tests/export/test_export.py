"""Exported graphs against the model itself, run by onnxruntime and torch on real clips."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

import trovid
from tests.detectors.candidates import CANDIDATES
from tests.detectors.torchvision.networks import frame, network, predictor
from trovid.cli.main import main
from trovid.datasets.synthvid import make_clip
from trovid.detectors.torchvision.detector import from_torchvision
from trovid.errors import TrovidError
from trovid.export.export import OLDEST_TORCH, export
from trovid.inference import Predictor
from trovid.recipes import load_recipe
from trovid.video.opening import Frame, VideoWriter

OLD = tuple(int(part) for part in torch.__version__.split(".")[:2]) < OLDEST_TORCH
needs_newer_torch = pytest.mark.skipif(OLD, reason=f"torch {torch.__version__} cannot export")
FOUR = ["synthvid-single", "synthvid-single-troi", "synthvid-selsa", "synthvid-selsa-troi"]
FORMATS = [pytest.param("onnx", marks=pytest.mark.slow), "torch-export"]
SUPPORT = [0, 6, 12, 18, 23]
FEW = SUPPORT[1:3]
TARGETS = [3, 9, 20]


@pytest.fixture(scope="module")
def predictors():
    return {name: trovid.load(name, device="cpu") for name in FOUR}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model's ONNX graphs, made once."""

    @functools.cache
    def graphs(name: str) -> list[Path]:
        return by_command(name, tmp_path_factory.mktemp(name), "--frame-size", "256x256")

    return graphs


def by_command(name: str, folder: Path, *words: str) -> list[Path]:
    """The files that the command says it wrote; it has written nothing else."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as exited:
        main(["export", name, "--out", str(folder), *words])
    assert not exited.value.code
    files = [Path(line) for line in said.getvalue().splitlines()]
    assert sorted(folder.iterdir()) == sorted(files)
    return files


@needs_newer_torch
def test_what_is_there_is_not_replaced_unless_told(predictors, tmp_path):
    file = tmp_path / "synthvid-selsa-encode.onnx"
    file.write_text("mine")
    with pytest.raises(TrovidError, match=f"{file}: exists; give `overwrite` or another `out`"):
        export(predictors["synthvid-selsa"], tmp_path, frame_size=(256, 256))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture(scope="module")
def frames(predictors) -> list[Frame]:
    """A clip in the size that the graphs take, so that both sides see the same pixels."""
    resize = predictors[FOUR[0]].transform.resize
    images = [resize(image) for image in make_clip("val", 1).frames]
    return [Frame(index=i, time=i / 12, image=image) for i, image in enumerate(images)]


def expected(predictor, frames, target, support, score=0.05):
    chosen = [frames[i] for i in support]
    bank = predictor.encode(chosen) if predictor.detector.uses_support else None
    (scored,) = predictor.detect_frames([frames[target]], [bank], CANDIDATES)
    found = scored.select(predictor.options(score=score))
    return found.boxes, found.scores, found.labels


def assert_equal(found, wanted, pixels=1e-4):
    boxes, scores, labels = (np.asarray(part) for part in found)
    assert boxes.shape == tuple(wanted[0].shape)
    assert np.abs(boxes - wanted[0].numpy()).max(initial=0) < pixels
    assert np.abs(scores - wanted[1].numpy()).max(initial=0) < 1e-4
    assert labels.tolist() == wanted[2].tolist()


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def packed(encoder, frames, support):
    names = [output.name for output in encoder.get_outputs()]
    parts = [encoder.run(None, {"frame": frames[i].image}) for i in support]
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


ENDS = [*(pytest.param(name, marks=pytest.mark.slow) for name in FOUR[:-1]), FOUR[-1]]


@needs_newer_torch
@pytest.mark.parametrize("name", ENDS)
def test_onnx_equals_the_model_for_any_number_of_support_frames_and_boxes(
    name, predictors, frames, exported
):
    predictor = predictors[name]
    files = exported(name)
    detect = session(files[0])
    bank = {}
    counts = set()
    for support in (SUPPORT, SUPPORT[:1]):
        if predictor.detector.uses_support:
            bank = packed(session(files[1]), frames, support)
        for target in TARGETS:
            found = detect.run(None, {"frame": frames[target].image, **bank})
            assert_equal(found, expected(predictor, frames, target, support))
            counts.add(len(found[0]))
    assert len(counts) > 1
    assert max(counts) > 3
    metadata = detect.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(metadata["class_names"])) == predictor.class_names
    assert json.loads(metadata["resized_size"]) == [160, 160]


@needs_newer_torch
@pytest.mark.parametrize("format", FORMATS)
def test_support_frames_as_input(format, predictors, frames, tmp_path):
    predictor = predictors["synthvid-selsa-troi"]
    options = {"frame_size": (256, 256), "support": "frames", "support_frames": len(FEW)}
    (file,) = export(predictor, tmp_path, format=format, **options)
    detect = runner_of(file)
    support = np.stack([frames[i].image for i in FEW])
    counts = set()
    for target in TARGETS:
        found = detect(frames[target].image, support)
        assert_equal(found, expected(predictor, frames, target, FEW))
        counts.add(len(found[0]))
    assert len(counts) > 1


def runner_of(file):
    """The graph of a file as a function of its inputs in their order."""
    if file.suffix == ".pt2":
        module = torch.export.load(file).module()
        return lambda *inputs: [
            part.detach() for part in module(*(torch.from_numpy(i.copy()) for i in inputs))
        ]
    graph = session(file)
    names = [one.name for one in graph.get_inputs()]
    return lambda *inputs: graph.run(None, dict(zip(names, inputs, strict=True)))


@needs_newer_torch
def test_no_box_at_all(predictors, exported):
    blank = Frame(0, 0.0, np.full((160, 160, 3), 128, np.uint8))
    wanted = expected(predictors["synthvid-selsa-troi"], [blank], 0, [0])
    assert wanted[0].shape == (0, 4)
    detect, encode = map(session, exported("synthvid-selsa-troi"))
    inputs = {"frame": blank.image, **packed(encode, [blank], [0])}
    boxes, scores, labels = detect.run(None, inputs)
    assert boxes.shape == (0, 4)
    assert scores.shape == labels.shape == (0,)


@needs_newer_torch
@pytest.mark.slow
def test_torch_export_equals_the_model(predictors, tmp_path):
    """In frames that are no square."""
    predictor = predictors["synthvid-selsa-troi"]
    clip = np.pad(make_clip("val", 1).frames[:, :240], ((0,), (0,), (32,), (0,)), mode="wrap")
    resized = [predictor.transform.resize(image) for image in clip]
    assert resized[0].shape == (160, 213, 3)
    frames = [Frame(i, i / 12, image) for i, image in enumerate(resized)]
    words = ["--frame-size", "240x320", "--format", "torch-export"]
    files = by_command("synthvid-selsa-troi", tmp_path, *words)
    assert [file.suffix for file in files] == [".pt2", ".pt2"]
    extra = {"trovid.json": ""}
    detect, encode = (torch.export.load(file, extra_files=extra).module() for file in files)
    assert json.loads(extra["trovid.json"])["model"] == predictor.name
    for support in (SUPPORT, SUPPORT[:2]):
        parts = [encode(torch.from_numpy(frames[i].image)) for i in support]
        bank = [torch.cat(tensors) for tensors in zip(*parts, strict=True)]
        for target in TARGETS:
            found = detect(torch.from_numpy(frames[target].image), *bank)
            wanted = expected(predictor, frames, target, support)
            assert_equal([part.detach() for part in found], wanted)


def pyramid(name: str, searched: str = "own") -> Predictor:
    """A detector with a feature pyramid and random weights, of which nothing is trained."""
    model = network(load_recipe(name).model.name, 5)
    return predictor(from_torchvision(model, unused=(), searched=searched), name, 4)


PIXELS = 1e-3
"""Between boxes of a pyramid in frames of 256x256 pixels, where float32 resolves 3e-5."""


def resized_frame(runner: Predictor) -> Frame:
    image = frame(160, 160)
    height, width = runner.transform.size(160, 160)
    return Frame(0, 0.0, np.array(Image.fromarray(image).resize((width, height))))


@needs_newer_torch
@pytest.mark.parametrize("format", FORMATS)
def test_a_feature_pyramid_is_exported_for_single_frames(format, tmp_path):
    """Every level is pooled from; once trained with support frames it cannot be exported."""
    runner = pyramid("coco-r50-fpn")
    picture = resized_frame(runner)
    (file,) = export(runner, tmp_path, format=format, frame_size=(160, 160))
    wanted = expected_alone(runner, picture)
    assert len(wanted[0]) > 20
    assert_equal(runner_of(file)(picture.image), wanted, PIXELS)
    runner.detector.temporal_trained = True
    with pytest.raises(TrovidError, match="only models that search one level"):
        export(runner, tmp_path, format=format, frame_size=(160, 160), overwrite=True)


def expected_alone(runner, picture):
    (found,) = runner.detect_frames([picture], [None], runner.options(score=0.05))
    return found.boxes, found.scores, found.labels


@needs_newer_torch
@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_a_trained_pyramid_is_exported_where_it_searches_one_level(format, tmp_path):
    runner = pyramid("coco-r50-fpn", "last")
    runner.detector.temporal_trained = runner.running.temporal_trained = True
    picture = resized_frame(runner)
    support = [Frame(i, 0.0, np.roll(picture.image, 9 * i, 1)) for i in (1, 2)]
    files = export(runner, tmp_path, format=format, frame_size=(160, 160))
    detect, encode = map(runner_of, files)
    parts = [encode(one.image) for one in support]
    bank = [np.concatenate([np.asarray(p) for p in arrays]) for arrays in zip(*parts, strict=True)]
    wanted = expected(runner, [picture, *support], 0, [1, 2])
    assert len(wanted[0]) > 20
    assert_equal(detect(picture.image, *bank), wanted, PIXELS)


@needs_newer_torch
def test_the_command_writes_both_graphs_and_nothing_else(exported):
    files = exported("synthvid-selsa-troi")
    assert [file.name for file in files] == [
        "synthvid-selsa-troi.onnx",
        "synthvid-selsa-troi-encode.onnx",
    ]
    assert session(files[0]).get_inputs()[0].shape == [160, 160, 3]


@needs_newer_torch
def test_the_program_of_the_docs(predictors, exported, tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "export.md"
    program = re.search(r"```python\n(.*?)```", page.read_text(), re.S)[1]
    assert program.count("\n") == 10
    (tmp_path / "exported").symlink_to(exported("synthvid-selsa-troi")[0].parent)
    with VideoWriter(tmp_path / "clip.mp4", height=256, width=256, frame_rate=12) as writer:
        for image in make_clip("val", 1).frames[:4]:
            writer.write(image)
    monkeypatch.chdir(tmp_path)
    names = {"json": json, "av": av, "np": np, "onnxruntime": pytest.importorskip("onnxruntime")}
    exec(program, names)
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"0", "1", "2", "3"}
    known = predictors["synthvid-selsa-troi"].class_names
    assert all(line.split()[1] in known for line in lines)


def test_a_torch_that_is_too_old_is_one_line(predictors, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    with pytest.raises(
        TrovidError, match=r"export needs torch 2\.14 or newer, but this is 2\.6\.0"
    ):
        export(predictors["synthvid-single"], tmp_path, frame_size=(256, 256))


@pytest.mark.parametrize("size", ["240", "0x100", "axb", "240x"])
def test_a_wrong_size_is_one_line(tmp_path, capsys, size):
    with pytest.raises(SystemExit) as exited:
        main(["export", "synthvid-single", "--out", str(tmp_path / "o"), "--frame-size", size])
    assert exited.value.code == 2
    assert "--frame-size must be HEIGHTxWIDTH" in capsys.readouterr().err


@needs_newer_torch
def test_a_folder_that_cannot_be_written_is_said_before_the_work(predictors, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.export, "export", None)
    (tmp_path / "file").touch()
    with pytest.raises(TrovidError, match="cannot write"):
        export(predictors["synthvid-single"], tmp_path / "file" / "out", frame_size=(256, 256))
