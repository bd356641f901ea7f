"""Compiled and deterministic runs, and what is said where memory or a compiler lacks."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from PIL import Image
from torch import nn

from trovid.cli.main import main
from trovid.datasets.synthvid import make_clip
from trovid.detectors.contract import VideoDetector
from trovid.errors import TrovidError
from trovid.inference import load
from trovid.inference.runtime import compilation
from trovid.inference.runtime.determinism import deterministic_algorithms, prepare_deterministic
from trovid.inference.runtime.memory import memory_errors

NAME = "synthvid-selsa-troi"
OPTIONS = {"support": "uniform:3", "score": 0.05, "frames": [1, 4]}


@pytest.fixture(scope="module")
def clip():
    return make_clip("val", 1).frames[:5]


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_finds_the_same(clip):
    plain = list(load(NAME, device="cpu").detect(clip, **OPTIONS))
    model = load(NAME, device="cpu", compile=True)
    assert model.running.backbone._compiled_call_impl is not None
    assert model.detector.backbone._compiled_call_impl is None
    compiled = list(model.detect(clip, **OPTIONS))
    assert sum(map(len, plain)) >= 2
    for one, other in zip(compiled, plain, strict=True):
        assert one.labels.tolist() == other.labels.tolist()
        torch.testing.assert_close(one.boxes, other.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)


def test_what_is_compiled_for_forced_instructions_lies_apart(monkeypatch):
    """Elsewhere it would be found by a process that is free to take others."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    for variable in (name, *compilation.FORCED):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    folders = []
    for forced in ({compilation.FORCED[0]: "avx2"}, {compilation.FORCED[0]: "default"}, {}):
        for variable in compilation.FORCED:
            os.environ.pop(variable, None)
        os.environ.update(forced)
        compilation.separate_cache()
        folders.append(os.environ.pop(name, None))
    assert folders[0].endswith("_avx2")
    assert folders[1] not in (None, folders[0])
    assert folders[2] is None


class OfAnotherFamily(VideoDetector):
    """A detector of other parts than those that are built in."""

    uses_support = False

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.memory, self.matching = nn.Linear(1, 1), nn.Linear(1, 1)

    @property
    def dense_parts(self):
        return (self.memory,)

    def encode(self, *_, **__):
        raise NotImplementedError

    def detect(self, *_, **__):
        raise NotImplementedError

    def forward(self, batch):
        raise NotImplementedError


def test_a_detector_says_itself_which_parts_are_compiled(monkeypatch):
    monkeypatch.setattr(compilation, "check_compile", lambda device: None)
    detector = OfAnotherFamily()
    compilation.compile_parts(detector, torch.device("cpu"))
    compiled = [name for name, part in detector.named_children() if part._compiled_call_impl]
    assert compiled == ["memory"]


def test_without_a_compiler_it_is_one_line(monkeypatch):
    def broken(function):
        def call(*arguments):
            raise RuntimeError("\nno C++ compiler\n  many more lines")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TrovidError, match=r"does not work here \(no C\+\+ compiler\)") as error:
        load(NAME, device="cpu", compile=True)
    assert "\n" not in str(error.value)


def test_a_deterministic_run_repeats_itself_and_leaves_no_setting_behind(clip):
    model = load(NAME, device="cpu", deterministic=True)
    states = []
    model.running.backbone.register_forward_pre_hook(
        lambda *_: states.append(torch.are_deterministic_algorithms_enabled())
    )
    first, second = (list(model.detect(clip, **OPTIONS)) for _ in range(2))
    assert states
    assert all(states)
    assert not torch.are_deterministic_algorithms_enabled()
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.boxes, other.boxes)
        assert torch.equal(one.scores, other.scores)


def test_settings_are_put_back_after_an_error(monkeypatch):
    def fail():
        with deterministic_algorithms():
            assert torch.are_deterministic_algorithms_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not torch.are_deterministic_algorithms_enabled()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
        prepare_deterministic(torch.device("cuda"))
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_the_commands_pass_the_options_on(monkeypatch, tmp_path, capsys):
    asked = []

    def loaded(name, **options):
        asked.append(options)
        raise TrovidError("enough")

    monkeypatch.setattr("trovid.load", loaded)
    picture = tmp_path / "frames"
    picture.mkdir()
    Image.new("RGB", (32, 32)).save(picture / "0.png")
    labels = tmp_path / "val.json"
    labels.write_text(
        '{"categories": [{"id": 1, "name": "cup"}], "videos": [], "images": [], "annotations": []}'
    )
    switches = ["--device", "cpu", "--precision", "bf16", "--compile", "--deterministic"]
    for words in (
        ["detect", picture, "--out", tmp_path / "out"],
        ["evaluate", "--model", "m", "--data", labels],
    ):
        with pytest.raises(SystemExit):
            main([*map(str, words), *switches])
    wanted = {"device": "cpu", "precision": "bf16", "compile": True, "deterministic": True}
    wanted["temporal"] = None
    assert asked == [wanted, wanted]
    assert "enough" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_short_memory_names_what_lowers_the_need(error):
    @memory_errors("ask for less")
    def work():
        raise error

    with pytest.raises(TrovidError, match=r"^out of memory: ask for less$"):
        work()


def test_other_errors_stay_what_they_are():
    @memory_errors("ask for less")
    def work():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        work()


def test_a_frame_that_memory_cannot_hold_is_one_line(clip):
    model = load(NAME, device="cpu")

    def short(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.running.backbone.register_forward_pre_hook(short)
    with pytest.raises(TrovidError, match="out of memory: fewer support frames need less"):
        list(model.detect(clip, **OPTIONS))
