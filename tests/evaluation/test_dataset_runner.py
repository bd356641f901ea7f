"""A model over a data set: the frames that are wanted, what is found there, and the controls."""

from __future__ import annotations

import json

import pytest
import torch

from tests.cli.tiny_model import save_tiny_model
from tests.datasets.youtube_vis_folder import write_youtube_vis
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.synthvid import write_split
from trovid.datasets.youtube_vis import read_youtube_vis
from trovid.errors import OptionError, TrovidError
from trovid.evaluation import by_video, run_dataset
from trovid.inference import Predictor, load

WHOLE, SPARSE, BARE = "val_00000", "val_00001", "val_00002"
SPARSE_FRAMES = [1, 5, 9]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Three clips: all frames labelled, three of them, none of them."""
    path = write_split(tmp_path_factory.mktemp("clips"), split="val", videos=3, size=96)
    document = json.loads(path.read_text())
    document["images"] = [
        image
        for image in document["images"]
        if image["video_id"] == 1
        or (image["video_id"] == 2 and image["frame_index"] in SPARSE_FRAMES)
    ]
    kept = {image["id"] for image in document["images"]}
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] in kept]
    path.write_text(json.dumps(document))
    return read_coco_vid(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Predictor:
    return load(save_tiny_model(tmp_path_factory.mktemp("model") / "m.safetensors"), device="cpu")


def frame_indices(found) -> dict[str, list[int]]:
    return {
        name: [frame.frame_index for frame in frames] for name, frames in by_video(found).items()
    }


def test_every_nth_labelled_frame_is_gone_through(model, dataset):
    ticks = []
    found = run_dataset(
        model, dataset, every=2, score=0.2, progress=lambda *words: ticks.append(words)
    )
    assert frame_indices(found) == {WHOLE: [*range(0, 24, 2)], SPARSE: [1, 9]}
    assert ticks == [(1, 2, WHOLE), (2, 2, SPARSE)]
    assert frame_indices(run_dataset(model, dataset, every=8, videos=1)) == {WHOLE: [0, 8, 16]}
    linked = run_dataset(model, dataset, every=8, seq_nms=True)
    assert frame_indices(linked) == {WHOLE: [0, 8, 16], SPARSE: [0, 8, 16], BARE: [0, 8, 16]}


def test_the_frames_are_those_of_the_predictor_one_video_or_several_at_once(model, dataset):
    options = {"score": 0.2, "support": "uniform:2", "max_detections": 7}
    alone = by_video(run_dataset(model, dataset, every=3, **options))
    expected = list(model.detect(dataset.path(SPARSE), frames=[1], **options))
    assert torch.equal(alone[SPARSE][0].boxes, expected[0].boxes)
    assert len(expected[0]) == 7
    together = by_video(run_dataset(model, dataset, every=3, at_once=2, **options))
    assert together.keys() == alone.keys()
    for name, frames in alone.items():
        for one, other in zip(frames, together[name], strict=True):
            assert one.frame_index == other.frame_index
            torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)


def test_controls_take_their_support_elsewhere(model, dataset):
    """The other clip's support frames, and the target frame in place of each support frame."""

    def scores(source: str, **options) -> torch.Tensor:
        found = run_dataset(
            model, dataset, every=24, support_source=source, selection="candidates", **options
        )
        return by_video(found)[WHOLE][0].class_scores

    clip, other, target = (scores(source) for source in ("clip", "other clip", "target"))
    assert clip.shape == other.shape == target.shape
    assert not torch.allclose(clip, other, atol=1e-3)
    assert not torch.allclose(clip, target, atol=1e-3)
    with dataset.open(SPARSE) as reader:
        foreign = model.encode(reader.read([0, 12, 23]))
    with dataset.open(WHOLE) as reader:
        (_, expected), *_ = model.run(reader, frames=[0], support=foreign, selection="candidates")
        assert torch.equal(other, expected.class_scores)
        still = [reader.read([0])[0].image] * 4
    (expected,) = model.detect(still, frames=[0], support="uniform:4", selection="candidates")
    torch.testing.assert_close(target, expected.class_scores, atol=1e-5, rtol=0)


@pytest.mark.parametrize("source", ["clip", "other clip", "target"])
def test_identities_go_through_a_video_wherever_support_comes_from(model, dataset, source):
    options = {"score": 0.2, "max_detections": 3, "track": "embedding", "support": "uniform:2"}
    found = by_video(run_dataset(model, dataset, every=6, support_source=source, **options))
    for frames in found.values():
        ids = [frame.track_ids.tolist() for frame in frames]
        assert all(
            len(set(identities)) == len(identities) == len(f)
            for identities, f in zip(ids, frames, strict=True)
        )
        assert ids[0][0] == 0


@pytest.mark.parametrize("more", [1, 10**7 - 24])
def test_labels_of_more_frames_than_there_are_are_refused_at_once(model, dataset, more):
    path = dataset.path(WHOLE).parents[1] / "val.json"
    document = json.loads(path.read_text())
    document["videos"][0]["num_frames"] += more
    (path.parent / "wrong.json").write_text(json.dumps(document))
    wrong = read_coco_vid(path.parent / "wrong.json")
    with pytest.raises(TrovidError, match=f"has 24 frames, but its labels say {24 + more} or more"):
        next(run_dataset(model, wrong, every=8))


def test_frames_that_labels_name_are_those_that_are_read(model, tmp_path):
    labels = read_youtube_vis(write_youtube_vis(tmp_path))
    for at_once in (1, 2):
        found = by_video(run_dataset(model, labels, at_once=at_once, score=0.2, track="iou"))
        assert {name: len(frames) for name, frames in found.items()} == {
            "0043f083b5": 3,
            "00f1a9c2d7": 3,
        }


@pytest.mark.parametrize("source", ["other clip", "target"])
def test_controls_without_support_frames_are_single_frames(model, dataset, source):
    options = {"every": 24, "support": "uniform:0", "selection": "candidates"}
    found = by_video(run_dataset(model, dataset, support_source=source, **options))
    alone = by_video(run_dataset(model, dataset, **options))
    for name, frames in alone.items():
        for one, other in zip(frames, found[name], strict=True):
            torch.testing.assert_close(one.class_scores, other.class_scores, atol=1e-5, rtol=0)


def test_a_control_that_would_control_nothing_is_refused(model, dataset):
    with pytest.raises(OptionError, match="must be one of 'clip', 'other clip', 'target'"):
        next(run_dataset(model, dataset, support_source="nonsense"))
    with pytest.raises(OptionError, match="needs at least two videos"):
        next(run_dataset(model, dataset, support_source="other clip", names=[WHOLE]))
