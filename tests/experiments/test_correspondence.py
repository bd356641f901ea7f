"""Following objects by their most similar cells, where masks are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.experiments.test_row_runs import small_weights
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.errors import TrovidError
from trovid.evaluation.bootstrap import resample_weights
from trovid.experiments.clip_records import write_records
from trovid.experiments.correspondence import (
    Followed,
    accuracies,
    follow,
    follow_clips,
    preferences,
    ratio_interval,
    read_followed,
)
from trovid.experiments.correspondence_report import CLIPS, run_correspondence
from trovid.experiments.description import Row
from trovid.experiments.running import Workplace
from trovid.experiments.selsa_attention import frame_shares, read_weighed, weigh, weigh_clips
from trovid.inference.loading import load
from trovid.storage.hashes import sha256_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("clip"), split="test", videos=2)


def record(**changes) -> Followed:
    usual = Followed("none", 3, 10, 5, 0.1, 0.2, 0.0, 7, 0.3)
    return usual._replace(**changes)


def test_accuracies_and_preferences_are_counted():
    clips = {
        "a": [record(), record(deterioration="noise", hits=1, distance=12, weight=0.1)],
        "b": [record(hits=10, weight=0.3), record(support_strength=0.7, weight=0.1)],
    }
    found = accuracies(clips)
    assert found["all"]["hits"].tolist() == [6, 15]
    assert found["clean"]["positions"].tolist() == [10, 20]
    assert found["kind: noise"]["hits"].tolist() == [1, 0]
    assert found["clean, deteriorated in the support frame"]["hits"].tolist() == [0, 5]
    assert found["deteriorated, clean in the support frame"]["hits"].tolist() == [1, 0]
    assert "deteriorated, deteriorated in the support frame" not in found
    assert found["distance: 10 to 15"]["positions"].tolist() == [10, 0]
    assert found["all"]["chance"] == pytest.approx([2, 2])
    assert found["all"]["near"].tolist() == [14, 14]
    assert found["all"]["near_chance"] == pytest.approx([6, 6])
    assert "distance: 16 and more" not in found
    prefers = preferences(clips)
    assert prefers["rank"][1] == pytest.approx(1)
    assert np.isnan(prefers["rank"][0])
    assert prefers["clean"].tolist() == pytest.approx([0.15, 0.3])
    whole = ratio_interval(found["all"]["hits"], found["all"]["positions"], resample_weights(2))
    assert whole["low"] <= whole["value"] == 21 / 40 <= whole["high"]


def test_a_frame_that_is_still_is_found_again_at_the_same_place(tmp_path, clip):
    """Every frame the same picture; at 8 by 8 cells the edges of objects are coarse."""
    predictor = load(small_weights(tmp_path / "small.safetensors", "single-troi"), device="cpu")
    dataset = read_coco_vid(clip)
    name = dataset.videos[0].name
    with dataset.open(name) as reader:
        (frame,) = reader.read([0])
    (truth,) = dataset.ground_truth(name, frames=[0], masks=True)
    for colour in (False, True):
        records = list(follow(predictor, [frame] * 4, [truth] * 4, every=4, colour=colour))
        assert len(records) == 3 * len(truth)
        hits, positions = (sum(getattr(r, n) for r in records) for n in ("hits", "positions"))
        chance = np.mean([r.chance for r in records])
        assert hits > 3 * chance * positions
        area = truth.masks.areas.float() / (truth.image_size[0] * truth.image_size[1])
        assert chance == pytest.approx(float(area.mean()), abs=0.05)
        assert sum(r.near for r in records) > 0.9 * positions
        assert all(r.near_chance > r.chance for r in records)
        assert all(np.isnan(r.weight) == colour for r in records)
    assert {r.distance for r in records} == {1, 2, 3}


def test_clips_are_followed_into_a_file(tmp_path, clip):
    weights = small_weights(tmp_path / "small.safetensors", "single-troi")
    found = {}
    for control in (None, "random weights"):
        file = tmp_path / f"{control}.json"
        follow_clips(file, weights, clip, every=12, control=control)
        found[control] = read_followed(file, weights=weights, every=12)
    assert list(found[None]) == [video.name for video in read_coco_vid(clip).videos]
    assert all(
        0 <= r.hits <= r.near <= r.positions for records in found[None].values() for r in records
    )


def test_figures_of_other_weights_or_frames_are_refused(tmp_path, clip):
    weights = small_weights(tmp_path / "small.safetensors", "single-troi")
    file = tmp_path / "followed.json"
    follow_clips(file, weights, clip, every=24)
    with pytest.raises(TrovidError, match=r"other weights or other frames .* delete it"):
        read_followed(file, weights=weights, every=12)
    other = small_weights(tmp_path / "other.safetensors", "selsa-troi")
    with pytest.raises(TrovidError, match="other weights"):
        read_followed(file, weights=other, every=24)


@pytest.mark.parametrize("name", ["selsa", "selsa-troi"])
def test_selsa_gives_the_support_frames_shares_that_add_up(tmp_path, clip, name):
    weights = small_weights(tmp_path / "small.safetensors", name)
    predictor = load(weights, device="cpu")
    dataset = read_coco_vid(clip)
    video = dataset.videos[0].name
    with dataset.open(video) as reader:
        (frame,) = reader.read([0])
    (truth,) = dataset.ground_truth(video, frames=[0])
    records = list(weigh(predictor, [frame] * 4, [truth] * 4, every=4))
    assert len(records) == 3 * len(truth)
    assert [r.weight for r in records] == pytest.approx([1 / 3] * len(records))
    assert {r.support_strength for r in records} <= set(truth.attributes["strength"].tolist())


def test_the_support_frames_of_clips_are_weighed_into_a_file(tmp_path, clip):
    weights = small_weights(tmp_path / "small.safetensors", "selsa")
    weigh_clips(tmp_path / "weighed.json", weights, clip, every=24)
    found = read_weighed(tmp_path / "weighed.json", weights=weights, every=24)
    assert list(found) == [video.name for video in read_coco_vid(clip).videos]
    assert all(0 < r.weight < 1 for records in found.values() for r in records)


def test_a_frame_of_one_proposal_more_gets_a_larger_share(tmp_path):
    weights = small_weights(tmp_path / "small.safetensors", "selsa")
    detector = load(weights, device="cpu").running
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[10.0, 10, 60, 50]])
    with torch.inference_mode():
        support = detector.encode(images)
        shares = frame_shares(detector, images[1:2], box, support, (64, 96))
        doubled = [(torch.cat([k, k[-1:]]), torch.cat([v, v[-1:]])) for k, v in support.embedding]
        proposals = (*support.proposals[:2], torch.cat([support.proposals[2], box]))
        more = replace(support, embedding=doubled, proposals=proposals)
        after = frame_shares(detector, images[1:2], box, more, (64, 96))
    assert shares.shape == (1, 3)
    assert float(shares.sum()) == pytest.approx(1)
    assert float(after[0, 2]) > float(shares[0, 2])


@pytest.mark.parametrize("trained", [True, False])
def test_the_report_of_finished_runs(tmp_path, monkeypatch, trained):
    place = Workplace(out=tmp_path, seeds=(0,), workers=1, trained=trained)
    monkeypatch.setattr("trovid.experiments.correspondence_report.train", lambda *_: None)
    end = "-seed0" if trained else ""
    folder = tmp_path / "scores" / "test-1700+1" / "correspondence"
    if trained:
        for name in ("single-troi", "selsa", "selsa-troi"):
            (tmp_path / f"synthvid-{name}-seed0.safetensors").write_bytes(name.encode())

    def keep(name, ending, *records):
        weights = place.weights(Row(name=name, recipe=name), 0)
        file = folder / f"synthvid-{name}{end}{ending}.json"
        write_records(file, {"test_01700": records}, weights=weights, every=CLIPS.every)

    followed = [
        ("none", 3, 10, 9, 0.1, 0.2, 0.0, 10, 0.2),
        ("noise", 3, 10, 4, 0.1, 0.1, 0.5, 6, 0.2),
    ]
    for name, control in (
        *(("single-troi", ""), ("selsa-troi", "")),
        *(("single-troi", "-random-weights"), ("single-troi", "-colour-alone")),
    ):
        keep(name, control, *followed)
    for name in ("selsa", "selsa-troi"):
        keep(name, "-selsa-weights", (0.25, 0.0), (0.5, 0.5))
    result, page = run_correspondence(place, clips=1, resamples=5, folder=tmp_path / "report")
    assert result["accuracy"]["TROI"]["all"]["value"] == 0.65
    assert result["attention"]["TROI"]["rank"]["value"] == pytest.approx(1)
    assert "| deteriorated | 10 | 40.0 [40.0, 40.0] |" in page
    assert "| deteriorated | 60.0 [60.0, 60.0] |" in page
    assert (tmp_path / "report" / "correspondence.md").read_text() == page
    assert result["selsa_attention"]["SELSA"]["deteriorated"]["value"] == 0.5
    assert "| SELSA | 0.250 [0.250, 0.250] | 0.500 [0.500, 0.500] | -1.000" in page
    assert ("; seeds 0. Commit" in page) == trained
    assert ("; the weights that come with trovid, all of one seed (0). Commit" in page) != trained
    assert (tmp_path / "report" / "correspondence.png").stat().st_size > 5000
    weights = place.weights(Row(name="both", recipe="selsa-troi"), 0)
    assert result["weights"][weights.stem] == sha256_of(weights)
    assert f"{weights.stem} `{sha256_of(weights)[:16]}`" in page
    assert torch.tensor(result["accuracy"]["colour alone"]["all"]["chance"]) == pytest.approx(0.1)
    if trained:
        place.weights(Row(name="TROI", recipe="single-troi"), 0).write_bytes(b"others")
        (folder / "synthvid-selsa-seed0-selsa-weights.json").unlink()  # refused before it is made
        with pytest.raises(TrovidError, match="other weights"):
            run_correspondence(place, clips=1, resamples=5, folder=tmp_path / "report")
