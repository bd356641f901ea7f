"""Predictor: videos in, detections out; support frames by every sampling; load's errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import trovid
from tests.cli.runs import images
from tests.cli.tiny_model import save_tiny_model
from tests.detectors.candidates import CANDIDATES
from trovid.datasets.synthvid import make_clip
from trovid.detectors.building import build_detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.errors import OptionError, TrovidError
from trovid.inference import Predictor, load
from trovid.recipes import load_recipe
from trovid.video.opening import VideoWriter, open_video
from trovid.zoo.weights import load_weights, save_weights

FOUR = ["synthvid-single", "synthvid-single-troi", "synthvid-selsa", "synthvid-selsa-troi"]


def predictor(name: str) -> Predictor:
    recipe = load_recipe(name)
    torch.manual_seed(0)
    detector = build_detector(recipe)
    torch.nn.init.normal_(detector.box_head.class_logits.weight, std=0.3)
    return Predictor(detector, recipe, device="cpu")


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return make_clip("val", 0).frames


@pytest.fixture(scope="module")
def temporal() -> Predictor:
    return predictor("synthvid-selsa-troi")


@pytest.mark.parametrize("name", FOUR)
def test_every_frame_of_a_file_has_detections_in_source_pixels(name, clip, tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, height=256, width=256, frame_rate=12) as writer:
        for image in clip[:6]:
            writer.write(image)
    support = "uniform:0" if name == "synthvid-single" else "uniform:3"
    found = list(predictor(name).detect(path, score=0.0, support=support))
    assert [d.frame_index for d in found] == list(range(6))
    assert found[3].time == pytest.approx(3 / 12)
    for detections in found:
        assert detections.image_size == (256, 256)
        assert len(detections) > 0
        assert float(detections.boxes.min()) >= 0
        assert float(detections.boxes.max()) <= 256
        assert (detections.scores.diff() <= 0).all()


def scored(model, clip, **options):
    return {c.frame_index: c for c in model.detect(clip, selection="candidates", **options)}


def scored_frame(model, frame, support):
    return model.detect_frames([frame], [support], CANDIDATES)[0]


def test_the_target_frame_is_left_out_of_its_own_support_unless_asked(temporal, clip):
    with open_video(clip) as reader:
        bank = temporal.encode(reader.read([0, 8, 15, 23]))
        (frame,) = reader.read([8])
    default = scored(temporal, clip, support="uniform:4", frames=[8])[8]
    among = scored(temporal, clip, support="uniform:4", frames=[8], target_among_support=True)[8]
    assert torch.equal(
        default.class_scores, scored_frame(temporal, frame, bank.without(8)).class_scores
    )
    support = Support.cat([bank, temporal.encode([frame])])
    torch.testing.assert_close(
        among.class_scores, scored_frame(temporal, frame, support).class_scores, atol=1e-6, rtol=0
    )
    assert not torch.allclose(default.class_scores, among.class_scores, atol=1e-5)


@pytest.mark.parametrize(
    ("support", "target", "indices"),
    [("consecutive:4", 10, [8, 9, 11, 12]), ("stride:5x4", 11, [1, 6, 16, 21])],
)
def test_sliding_support_equals_a_bank_made_for_the_frame(temporal, clip, support, target, indices):
    with open_video(clip) as reader:
        bank = temporal.encode(reader.read(indices))
        (frame,) = reader.read([target])
    found = scored(temporal, clip, support=support, frames=[target - 1, target])[target]
    expected = scored_frame(temporal, frame, bank)
    torch.testing.assert_close(found.class_scores, expected.class_scores, atol=1e-4, rtol=0)


def test_a_still_video_and_no_support_frames_are_allowed(temporal, clip):
    one = list(temporal.detect(clip[:1]))
    none = list(temporal.detect(clip[:2], support="uniform:0"))
    assert len(one) == 1
    assert len(none) == 2


def test_a_model_of_single_frames_has_no_support_frames_and_takes_none(clip):
    model = predictor("synthvid-single")
    assert model.recipe.inference.support != "uniform:0"
    assert model.options().support == "uniform:0"
    for none in ("uniform:0", "0", "consecutive:0"):
        assert model.options(support=none) == model.options()
    with pytest.raises(OptionError, match="knows single frames alone: leave `support` out"):
        next(model.detect(clip[:2], support="uniform:3"))


def test_a_saved_model_gives_the_same_detections_when_loaded(clip, tmp_path):
    model = predictor("synthvid-single-troi")
    path = tmp_path / "mine.safetensors"
    save_weights(path, model.detector, model.recipe, provenance={}, half=False)
    loaded = trovid.load(path, device="cpu")
    assert loaded.name == "mine"
    first = next(iter(model.detect(clip, score=0.0)))
    second = next(iter(loaded.detect(clip, score=0.0)))
    assert torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.scores, second.scores)


def test_what_cannot_be_loaded_is_said_in_one_line(tmp_path):
    with pytest.raises(TrovidError, match="no model 'absent'"):
        load("absent")
    with pytest.raises(TrovidError, match="its weights are not here"):
        load("synthvid-start")
    path = tmp_path / "model.safetensors"
    recipe = load_recipe("synthvid-single")
    save_weights(path, build_detector(recipe), recipe, provenance={})
    with pytest.raises(TrovidError, match="device 'abacus' cannot be used"):
        load(path, device="abacus")


def test_options_of_the_choice(temporal, clip):
    def counts(**options):
        options = {"support": "uniform:2", "score": 0.05, "max_detections": 1000, **options}
        return [len(detections) for detections in temporal.detect(clip[:4], **options)]

    plain = counts()
    assert all(loose > strict for loose, strict in zip(counts(nms=1.0), plain, strict=True))
    assert all(
        both < per_class
        for both, per_class in zip(counts(class_agnostic_nms=True), plain, strict=True)
    )
    assert counts(max_detections=3) == [3] * 4


def test_seq_nms_follows_the_whole_video(temporal, clip, tmp_path):
    options = {"support": "uniform:2", "score": 0.05}
    plain = list(temporal.detect(clip[:6], **options))
    linked = list(temporal.run(clip[:6], seq_nms=True, **options))
    assert [frame.index for frame, _ in linked] == [d.frame_index for _, d in linked] == [*range(6)]
    assert all(np.array_equal(frame.image, clip[frame.index]) for frame, _ in linked)
    assert all((d.scores > 0.05).all() and (d.scores.diff() <= 0).all() for _, d in linked)
    assert any(
        len(one) != len(other) or not torch.equal(one.scores, other.scores)
        for one, (_, other) in zip(plain, linked, strict=True)
    )
    some = list(temporal.detect(clip[:6], seq_nms=True, frames=[1, 4], **options))
    assert [d.frame_index for d in some] == [1, 4]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"score": 2}, ValueError, "`score` must lie in 0..1, but is 2"),
        ({"nms": -1}, ValueError, "`nms` must lie in 0..1, but is -1"),
        ({"continue_score": 2}, ValueError, "`continue_score` must lie in 0..1, but is 2"),
        ({"continue_score": 0.1}, ValueError, "`continue_score` belongs to `track`; give both"),
        ({"max_detections": 0}, ValueError, "`max_detections` must be at least 1, but is 0"),
        ({"frames": [99]}, ValueError, "lie in 0..3, but one asked for is 99"),
        ({"frames": [2, 1]}, ValueError, "once and in rising order"),
        ({"classes": "cup"}, TypeError, r"`classes` must be names, such as \['cup'\]"),
        ({"classes": ["cap"]}, TrovidError, "did you mean 'cup'"),
        ({"classes": ["people"]}, TrovidError, "no class 'people'; there are: aeroplane, anchor"),
        ({"lookahead": -1}, ValueError, "`lookahead` must not be negative"),
    ],
)
def test_wrong_arguments(temporal, clip, options, error, message):
    with pytest.raises(error, match=message):
        list(temporal.detect(clip[:4], **options))


def test_weights_that_give_too_large_values_are_one_line(tmp_path):
    detector, card = load_weights(save_tiny_model(tmp_path / "tiny.safetensors"))
    with torch.no_grad():
        [*(p for p in detector.backbone.parameters() if p.dim() == 4)][-1].mul_(1e22)
    save_weights(tmp_path / "large.safetensors", detector, card.recipe, provenance={})
    model = load(tmp_path / "large.safetensors", device="cpu")
    with pytest.raises(TrovidError, match=r"large: other weights are needed: .* leaves float32"):
        list(model.detect(images(2), score=0.2))
