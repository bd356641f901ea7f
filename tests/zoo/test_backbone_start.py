"""A backbone's start: every key accounted for, other files refused, the command, the registry."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from tests.datasets.imagenet_folder import write_imagenet
from tests.zoo.file_server import Answer, serve
from tests.zoo.listed_checkpoints import list_checkpoints
from tests.zoo.published_files import small_recipe
from trovid.cli.main import main
from trovid.detectors.building import build_detector
from trovid.errors import TrovidError
from trovid.recipes import Recipe, TimmBackboneRecipe, load_recipe, recipe_values
from trovid.storage.tensor_files import read_tensors
from trovid.zoo.backbone_start import start_backbone
from trovid.zoo.published import backbone_file, download_path
from trovid.zoo.registry import backbone_checkpoints
from trovid.zoo.weights import read_card

LITE_HEAD = (
    *(f"bn2.{name}" for name in ("bias", "running_mean", "running_var", "weight")),
    "classifier.bias",
    "classifier.weight",
    "conv_head.weight",
)


def small() -> Recipe:
    full, recipe = load_recipe("paper/selsa-troi-r50"), small_recipe("selsa-troi")
    return replace(
        recipe,
        model=replace(recipe.model, classes=full.model.classes),
        image=replace(recipe.image, shorter=64, longer=96),
        training=replace(recipe.training, steps=1, batch=1, warmup=1, drops=(), videos=2),
    )


def resnet18(seed: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    network = torchvision.models.resnet18(weights=None)
    with torch.no_grad():
        for name, value in network.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
    return network.state_dict()


@pytest.mark.parametrize("form", ["pth", "nested.pth", "safetensors", "half.safetensors"])
def test_torchvisions_network_starts_the_backbone(form, tmp_path):
    state, path = resnet18(), tmp_path / f"net.{form}"
    if form.startswith("half"):
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if form.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if "nested" in form else state, path)
    detector = build_detector(small())
    before = {k: v.clone() for k, v in detector.state_dict().items()}
    account = start_backbone(detector, path)
    assert account.left_out == ("fc.bias", "fc.weight")
    counted = [key for key in state if not key.endswith("num_batches_tracked")]
    assert sorted([*account.taken, *account.left_out]) == sorted(counted)
    for key, value in detector.state_dict().items():
        name = key.removeprefix("backbone.")
        if name in account.taken:
            assert torch.equal(value, state[name].float()), key
        else:
            assert torch.equal(value, before[key]), key
    assert "100 tensors start the backbone; left out: fc.bias, fc.weight" in str(account)


@pytest.mark.parametrize(
    ("model", "levels", "left_out"),
    [
        ("resnet18", ["layer3"], ("fc.bias", "fc.weight")),
        (
            "convnext_atto",
            ["stages.2"],
            ("head.fc.bias", "head.fc.weight", "head.norm.bias", "head.norm.weight"),
        ),
        ("tf_efficientnet_lite0", ["blocks.4"], LITE_HEAD),
    ],
)
def test_timms_networks_start_their_own_backbone(model, levels, left_out, tmp_path):
    timm = pytest.importorskip("timm", reason="the optional package timm is not installed")
    state = timm.create_model(model, pretrained=False).state_dict()
    save_file(state, tmp_path / "net.safetensors")
    recipe = small()
    backbone = TimmBackboneRecipe(
        name="timm", model=model, levels=tuple(levels), reduction=(64,), output_stride=None
    )
    parts = recipe.model
    recipe = replace(
        recipe,
        model=replace(
            parts,
            backbone=backbone,
            rpn=replace(parts.rpn, levels=tuple(levels)),
            roi=replace(parts.roi, levels=tuple(levels)),
        ),
    )
    detector = build_detector(recipe)
    account = start_backbone(detector, tmp_path / "net.safetensors")
    assert account.left_out == left_out
    network = detector.backbone.network.state_dict()
    assert len([k for k in network if not k.endswith("num_batches_tracked")]) == len(account.taken)
    for key in account.taken:
        same = [v for name, v in network.items() if name.replace("_", ".") == key.replace("_", ".")]
        assert torch.equal(same[0], state[key])


def test_timms_resnet_starts_torchvisions(tmp_path):
    timm = pytest.importorskip("timm", reason="the optional package timm is not installed")
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    torch.save(state, tmp_path / "timm.pth")
    account = start_backbone(build_detector(small()), tmp_path / "timm.pth")
    assert account.left_out == ("fc.bias", "fc.weight")


def test_timms_efficientnet_starts_the_own_one(tmp_path):
    timm = pytest.importorskip("timm", reason="the optional package timm is not installed")
    state = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    save_file(state, tmp_path / "lite0.safetensors")
    detector = build_detector(load_recipe("everyday-start"))
    account = start_backbone(detector, tmp_path / "lite0.safetensors")
    assert account.left_out == LITE_HEAD
    tensors = detector.backbone.network_state()
    for theirs, name in {
        "bn1.weight": "stem.1.weight",
        "blocks.0.0.conv_pw.weight": "blocks.0.project.0.weight",
        "blocks.3.1.conv_dw.weight": "blocks.6.depthwise.0.weight",
        "blocks.6.0.bn3.running_var": "blocks.15.project.1.running_var",
    }.items():
        assert torch.equal(tensors[name], state[theirs])
    for extra in ("blocks.6.1.conv_pw.weight", "blocks.6.0.se.weight"):
        save_file(state | {extra: torch.ones(1)}, tmp_path / "other.safetensors")
        with pytest.raises(TrovidError, match=f"unexpected: .'{extra}'"):
            start_backbone(detector, tmp_path / "other.safetensors")


def test_a_feature_pyramid_starts_from_it_too(tmp_path):
    torch.manual_seed(0)
    state = torchvision.models.resnet50(weights=None).state_dict()
    torch.save(state, tmp_path / "r50.pth")
    detector = build_detector(load_recipe("coco-r50-fpn"))
    account = start_backbone(detector, tmp_path / "r50.pth")
    body = detector.backbone.network.body
    assert torch.equal(body.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])
    assert account.left_out == ("fc.bias", "fc.weight")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"layer1.0.conv9.weight": torch.ones(1)}, r"unexpected: \['layer1.0.conv9"),
        (lambda s: {k: v for k, v in s.items() if k != "bn1.bias"}, r"missing: \['bn1.bias'\]"),
        (lambda s: s | {"bn1.bias": torch.ones(3)}, r"bn1.bias must be a tensor of shape \[64\]"),
        (lambda s: s | {"bn1.bias": torch.full((64,), torch.nan)}, "bn1.bias holds values that"),
        (lambda s: s | {"bn1.bias": Evil()}, "not a checkpoint of tensors alone"),
        (lambda s: {"epoch": 3}, "must hold tensors by name, but 'epoch' is a int"),
        (lambda s: {}, "another network .missing"),
    ],
)
def test_another_file_is_refused_and_changes_nothing(change, message, tmp_path, capsys):
    torch.save(change(resnet18()), tmp_path / "net.pth")
    detector = build_detector(small())
    before = {k: v.clone() for k, v in detector.state_dict().items()}
    with pytest.raises(TrovidError, match=message) as error:
        start_backbone(detector, tmp_path / "net.pth")
    assert "\n" not in str(error.value)
    assert "executed" not in capsys.readouterr().out
    assert all(torch.equal(v, before[k]) for k, v in detector.state_dict().items())


def test_the_small_backbone_has_none(tmp_path):
    with pytest.raises(TrovidError, match="SmallBackbone has no published weights"):
        start_backbone(build_detector(load_recipe("synthvid-single")), tmp_path / "net.pth")


def test_the_registry_says_what_torchvision_says():
    enums = [value for key, value in vars(torchvision.models).items() if key.endswith("_Weights")]
    published = {w.url: w.meta["_metrics"]["ImageNet-1K"]["acc@1"] for e in enums for w in e}
    for checkpoint in backbone_checkpoints().values():
        assert published[checkpoint.address] == checkpoint.figure.value
        assert checkpoint.file_name.split("-")[0] == checkpoint.recipe
        assert checkpoint.file_name.endswith(f"-{checkpoint.sha256}.pth")
    kinds = {load_recipe(f"paper/single-{short}").model.backbone.name for short in ("r50", "x101")}
    assert kinds <= {c.recipe for c in backbone_checkpoints().values()}


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as exited:
        main(list(map(str, words)))
    return exited.value.code or 0


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server with ResNet-18's weights, made here, and a registry that expects them."""
    torch.save(resnet18(), tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    listed = replace(backbone_checkpoints()["resnet18-imagenet"], name="r18", sha256=digest)
    list_checkpoints(tmp_path, monkeypatch, listed)
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TROVID_OFFLINE", raising=False)
    with serve() as server:
        monkeypatch.setenv("TROVID_MIRROR", server.address)
        server.answers["/models/" + listed.file_name] = [Answer(content)]
        yield listed


def test_train_takes_a_backbone_by_name(mirror, tmp_path):
    """Downloaded once and checked; frozen stages keep it; the card names it."""
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(json.dumps(recipe_values(small())))
    data = write_imagenet(tmp_path / "ILSVRC2015")
    words = ["train", recipe, "--data", data, "--out", tmp_path / "runs", "--validate", "0"]
    words += ["--workers", "0"]
    assert run(*words, "--backbone", "r18") == 0
    assert download_path(mirror).exists()
    file = tmp_path / "runs" / "small-selsa-troi-seed0.safetensors"
    provenance = read_card(file).provenance
    assert provenance["backbone"]["source"] == mirror.file_name
    assert provenance["backbone"]["sha256"].startswith(mirror.sha256)
    tensors = read_tensors(file)[0]
    assert torch.equal(tensors["backbone.conv1.weight"], resnet18()["conv1.weight"].half())


def test_what_cannot_be_used_is_one_line(mirror, tmp_path, capsys):
    words = ["train", "paper/selsa-r50", "--out", tmp_path, "--data", tmp_path]
    assert run(*words, "--backbone", "r81") == 2
    said = capsys.readouterr().err
    assert "no backbone 'r81': give a file or one of resnet18-imagenet" in said
    assert said.endswith(", r18\n")
    assert run(*words, "--backbone", "r18", "--start", "x.safetensors") == 2
    assert "leave out --backbone or --start" in capsys.readouterr().err
    assert run("weights", "convert", "resnet50-imagenet") == 2
    assert "needs no conversion" in capsys.readouterr().err


def test_a_file_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.pth"
    path.touch()
    assert backbone_file(path) == Path(path)
