"""torchvision's detectors taken over: equal without support frames, alive with them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator

import trovid
from tests.detectors.candidates import CANDIDATES
from tests.detectors.torchvision.networks import (
    SHORTER,
    frame,
    network,
    pixels,
    predictor,
    scale_outputs,
    small_recipe,
)
from tests.zoo.file_server import Answer, serve
from tests.zoo.listed_checkpoints import list_checkpoints
from trovid.detectors.building import build_detector
from trovid.detectors.torchvision.conversion import convert_torchvision
from trovid.detectors.torchvision.detector import COCO_UNUSED, from_torchvision
from trovid.errors import TrovidError
from trovid.inference import Predictor
from trovid.recipes import TrainingFreeRecipe, load_recipe
from trovid.structures import Detections, DetectOptions, TrainingBatch
from trovid.training.loop import initial_detector, make_optimizer, training_step
from trovid.video.transforms import make_transform
from trovid.zoo.published import converted_path, torch_hub_path
from trovid.zoo.registry import checkpoints
from trovid.zoo.weights import save_weights

NAMES = [name for name, c in checkpoints().items() if c.layout == "torchvision"]


def detected(detector, name: str, classes: int, image: np.ndarray) -> Detections:
    """What trovid's detector finds in a frame, from the decoded pixels on."""
    recipe = small_recipe(name, classes)
    transform = make_transform(**dataclasses.asdict(recipe.image))
    resized = transform.resize(image)
    with torch.no_grad():
        (found,) = detector.detect(
            transform.normalise([resized]).contiguous(),
            options=DetectOptions(score=0.05, nms=0.5),
            image_sizes=[resized.shape[:2]],
        )
    return dataclasses.replace(found.scaled(image.shape[:2]), class_names=recipe.model.classes)


def torchvisions(name: str):
    """torchvision's detector of a recipe, what it finds in `frame()`, the labels of classes."""
    builder = load_recipe(name).model.name
    classes = 2 if builder.startswith("keypoint") else 91
    theirs = torchvision_finds(builder, classes)
    used = [label for label in range(1, classes) if classes == 2 or label not in COCO_UNUSED]
    known = torch.tensor([int(label) in used for label in theirs["labels"]], dtype=torch.bool)
    found = {key: theirs[key][known] for key in ("boxes", "scores", "labels")}
    return network(builder, classes), found, used


@functools.cache
def torchvision_finds(builder: str, classes: int) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        (found,) = network(builder, classes)([pixels(frame())])
    return found


def assert_same_detections(found, theirs, names: list[int], *, score=1e-5):
    """Each of torchvision's detections has its counterpart, and there are no others."""
    assert len(found) == len(theirs["boxes"]) > (5 if len(names) > 1 else 1)
    for box, wanted, label in zip(theirs["boxes"], theirs["scores"], theirs["labels"], strict=True):
        same = found.labels == names.index(int(label))
        distance = (found.boxes[same] - box).abs().amax(1)
        near = int(distance.argmin())
        assert float(distance[near]) < 0.01
        assert abs(float(found.scores[same][near] - wanted)) < score


QUICK = ("coco-r50-fpn", "coco-mobilenet-v3-320-fpn")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_single_frames_equal_torchvisions(name):
    model, theirs, used = torchvisions(name)
    found = detected(from_torchvision(model), name, len(used), frame())
    assert_same_detections(found, theirs, used)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_a_predictor_finds_what_torchvision_finds(name):
    """The whole way, from the decoded frame to the detections."""
    model, theirs, used = torchvisions(name)
    (found,) = predictor(from_torchvision(model), name, len(used)).detect(frame()[None])
    assert_same_detections(found, theirs, used)


def test_the_faster_order_of_sums_rounds_otherwise():
    name = "coco-r50-fpn"
    model, theirs, used = torchvisions(name)
    recipe = small_recipe(name, len(used))
    recipe = replace(recipe, model=replace(recipe.model, channels_last=True))
    runner = Predictor(from_torchvision(model), recipe, device="cpu")
    (found,) = runner.detect(frame()[None])
    assert_same_detections(found, theirs, used, score=5e-5)


def test_all_outputs_can_be_kept_and_other_anchors_taken_over():
    torch.manual_seed(0)
    donor = network("fasterrcnn_mobilenet_v3_large_320_fpn", 5)
    anchors = AnchorGenerator(((24, 48), (64, 96), (128, 200)), ((0.7, 1.0),) * 3)
    model = FasterRCNN(
        donor.backbone,
        num_classes=5,
        rpn_anchor_generator=anchors,
        min_size=SHORTER,
        max_size=320,
        box_detections_per_img=100_000,
        rpn_post_nms_top_n_test=77,
        bbox_reg_weights=(8.0, 8.0, 4.0, 4.0),
    ).eval()
    scale_outputs(model)
    image = frame(160, 160)
    with torch.no_grad():
        (theirs,) = model([pixels(image)])
    found = detected(from_torchvision(model, unused=()), "coco-mobilenet-v3-320-fpn", 4, image)
    assert_same_detections(found, theirs, [1, 2, 3, 4])


@pytest.mark.parametrize("searched", ["own", "last"])
def test_support_frames_reach_every_level_and_the_gradient_the_embedding(searched):
    model = network("fasterrcnn_resnet50_fpn", 91)
    detector = from_torchvision(model, searched=searched)
    assert detector.searched_levels == (("0", "1", "2", "3") if searched == "own" else ("3",))
    images = torch.rand(3, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    target = {"boxes": torch.tensor([[20.0, 30.0, 90.0, 110.0]]), "labels": torch.tensor([17])}
    with torch.no_grad():
        bank = detector.encode(images[1:])
        (alone,) = detector.detect(images[:1], options=CANDIDATES)
        (helped,) = detector.detect(images[:1], [bank], options=CANDIDATES)
    assert list(bank.maps) == list(detector.searched_levels)
    assert not torch.allclose(alone.class_scores, helped.class_scores, atol=1e-4)
    losses = detector.train()(TrainingBatch(images, [[0, 1, 2]], 1, [target]))
    sum(losses.values()).backward()
    assert float(detector.roi_features.extractor.embedding.weight.grad.abs().max()) > 0


def test_it_runs_on_single_frames_until_it_is_trained_and_says_so(caplog):
    model = network("fasterrcnn_mobilenet_v3_large_320_fpn")
    detector = from_torchvision(model)
    clip = np.stack([np.roll(frame(), 5 * t, 1) for t in range(3)])
    with caplog.at_level(logging.WARNING, "trovid"):
        start = predictor(detector, "coco-mobilenet-v3-320-fpn", 80)
    assert "not trained with support frames: it runs on single frames" in caplog.text
    single = predictor(
        from_torchvision(network("fasterrcnn_mobilenet_v3_large_320_fpn"), temporal=False),
        "coco-mobilenet-v3-320-fpn",
        80,
    )
    for one, other in zip(start.detect(clip), single.detect(clip), strict=True):
        assert torch.equal(one.scores, other.scores)
    (asked, *_), (alone, *_) = start.detect(clip, support="uniform:3"), start.detect(clip)
    assert len(asked) != len(alone) or not torch.equal(asked.scores, alone.scores)


def test_without_training_it_looks_at_support_frames_at_once(caplog):
    clip = np.stack([np.roll(frame(), 5 * t, 1) for t in range(3)])
    free = TrainingFreeRecipe(top_k=1, attention="cosine", searched="last", searching=("0",))
    for temporal in ("training-free", free):
        network_ = network("fasterrcnn_mobilenet_v3_large_320_fpn")
        detector = from_torchvision(network_, temporal=temporal)
        assert list(detector.roi_features.parameters()) == []
        with caplog.at_level(logging.WARNING, "trovid"):
            model = predictor(detector, "coco-mobilenet-v3-320-fpn", 80)
        assert caplog.text == ""
        helped = next(model.detect(clip, support="uniform:3"))
        alone = next(model.detect(clip, support="uniform:0"))
        assert len(helped) != len(alone) or not torch.equal(helped.scores, alone.scores)


def test_what_cannot_be_taken_over_is_said():
    with pytest.raises(TypeError, match=r"must be a FasterRCNN of torchvision .* but is RetinaNet"):
        from_torchvision(detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None))
    model = network("fasterrcnn_mobilenet_v3_large_320_fpn")
    model.roi_heads.box_head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12544, 1024))
    with pytest.raises(ValueError, match="box head must be a TwoMLPHead or FastRCNNConvFCHead"):
        from_torchvision(model)


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_says_what_torchvision_says(name):
    checkpoint, recipe = checkpoints()[name], load_recipe(name)
    enum = next(
        value
        for key, value in vars(detection).items()
        if key.lower().replace("_", "") == f"{recipe.model.name.replace('_', '')}weights"
    ).COCO_V1
    assert checkpoint.address == enum.url
    assert checkpoint.figure.value == enum.meta["_metrics"]["COCO-val2017"]["box_map"]
    names = [c for c in enum.meta["categories"] if c not in ("__background__", "N/A", "no person")]
    assert list(recipe.model.classes) == names
    unused = tuple(i for i, c in enumerate(enum.meta["categories"]) if c == "N/A")
    assert recipe.model.unused == unused


@pytest.fixture(scope="module")
def coco_file(tmp_path_factory):
    """The small COCO model's file, made here."""
    path = tmp_path_factory.mktemp("coco") / "made.pth"
    state = network("fasterrcnn_mobilenet_v3_large_320_fpn").state_dict()
    torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path)
    return path


@pytest.fixture
def coco(coco_file, tmp_path, monkeypatch):
    """The file on a mirror, and a registry that expects it."""
    name, path = "coco-mobilenet-v3-320-fpn", coco_file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    listed = replace(checkpoints()[name], sha256=digest[:8])
    list_checkpoints(tmp_path, monkeypatch, listed)
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TROVID_OFFLINE", raising=False)
    with serve() as server:
        monkeypatch.setenv("TROVID_MIRROR", server.address)
        server.answers["/models/" + listed.file_name] = [Answer(path.read_bytes())]
        yield listed, server, path


def test_a_name_becomes_a_detector_of_80_classes(coco, caplog):
    checkpoint, server, _ = coco
    with caplog.at_level(logging.WARNING, "trovid"):
        model = trovid.load(checkpoint.name, device="cpu")
    assert "runs on single frames" in caplog.text
    assert len(model.class_names) == 80
    assert len(next(iter(model.detect(frame()[None])))) > 5
    assert len(server.asked) == 1
    assert model.card.provenance["licence"] == "BSD-3-Clause"
    again = trovid.load(checkpoint.name, device="cpu")
    assert len(server.asked) == 1
    first, second = (m.detector.roi_features.extractor.embedding.weight for m in (model, again))
    assert torch.equal(first, second)
    free = trovid.load(checkpoint.name, device="cpu", temporal="training-free")
    assert (free.name, free.detector.uses_support) == (f"{checkpoint.name} (training-free)", True)
    assert free.recipe.inference.support == "uniform:14"


def test_torchvisions_own_download_is_used(coco, monkeypatch):
    checkpoint, server, path = coco
    place = torch_hub_path(checkpoint)
    place.parent.mkdir(parents=True)
    place.write_bytes(path.read_bytes())
    monkeypatch.setenv("TROVID_OFFLINE", "1")
    assert trovid.load(checkpoint.name, device="cpu").name == checkpoint.name
    assert server.asked == []


def test_without_the_file_one_line_says_what_is_missing(coco, monkeypatch):
    checkpoint, _, _ = coco
    monkeypatch.setenv("TROVID_OFFLINE", "1")
    with pytest.raises(TrovidError, match=checkpoint.file_name) as error:
        trovid.load(checkpoint.name, device="cpu")
    assert "\n" not in str(error.value)
    assert not converted_path(checkpoint).exists()


def test_another_layout_is_refused(coco, tmp_path):
    recipe = load_recipe("coco-r50-fpn")
    with pytest.raises(TrovidError, match="not of the published layout"):
        convert_torchvision(coco[2], recipe)
    torch.save({"state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(TrovidError, match="must hold tensors by name"):
        convert_torchvision(tmp_path / "other.pth", recipe)


def test_frozen_parts_and_norms_of_the_recipe():
    detector = build_detector(load_recipe("coco-r50-fpn"))
    body = detector.backbone.network.body
    assert not any(p.requires_grad for p in body.layer1.parameters())
    assert all(p.requires_grad for p in body.layer2.parameters())
    assert body.bn1.eps == 0.0


def test_fine_tuning_starts_from_it_with_other_classes(coco, tmp_path):
    """One step on a user's classes, of which COCO knows one; afterwards support frames are used."""
    start = trovid.load(coco[0].name, device="cpu")
    recipe = load_recipe(coco[0].name)
    model = replace(recipe.model, classes=("heron", "bird", "otter"), unused=())
    image = replace(recipe.image, shorter=96, longer=128)
    recipe = replace(recipe, model=model, image=image)
    detector = initial_detector(recipe, seed=1, start=converted_path(coco[0])).train()
    old, new = (d.box_head.class_logits.weight for d in (start.detector, detector))
    bird = start.class_names.index("bird")
    assert torch.equal(new[1], old[bird])
    assert torch.equal(new[3], old[80])
    assert torch.equal(
        detector.backbone.network.body["0"][0].weight.contiguous(),
        start.detector.backbone.network.body["0"][0].weight.contiguous(),
    )
    target = {"boxes": torch.tensor([[8.0, 9.0, 70.0, 80.0]]), "labels": torch.tensor([2])}
    batch = TrainingBatch(torch.randn(3, 3, 96, 128), [[0, 1, 2]], 1, [target])
    losses = training_step(
        detector, make_optimizer(detector, recipe.training), batch, recipe.training
    )
    assert all(np.isfinite(value) for value in losses.values())
    save_weights(tmp_path / "mine.safetensors", detector, recipe, provenance={})
    mine = trovid.load(tmp_path / "mine.safetensors", device="cpu")
    clip = np.stack([frame(96, 128)] * 2)
    assert mine.recipe.inference.support == "uniform:14"
    assert len(list(mine.detect(clip, score=0.0))) == 2
