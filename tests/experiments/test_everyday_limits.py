"""What limits the everyday models, on made-up pictures and sequences."""

from __future__ import annotations

import json

import pytest
import torch

from tests.cli.command import trovid_command
from tests.experiments.test_everyday import davis_folder, read_choice_of, tiny_weights
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.davis import read_davis
from trovid.datasets.objects import ObjectRows
from trovid.detectors.candidates import Candidates
from trovid.errors import TrovidError
from trovid.evaluation.pool import pool_frames
from trovid.experiments.conditions import CLEAN, Condition
from trovid.experiments.everyday_jobs import EverydayPlace
from trovid.experiments.everyday_limits import run_limits
from trovid.experiments.everyday_limits_pages import limits_page
from trovid.experiments.everyday_methods import SINGLE, TEMPORAL
from trovid.experiments.everyday_pictures import corrected, fates_of, proposal_recall
from trovid.experiments.everyday_points import count_points
from trovid.experiments.everyday_proposals import fold_sums
from trovid.inference.loading import load
from trovid.structures import Detections, Video
from trovid.training.run import weights_file

CLASSES = ("cat", "dog")
PLACES = [(10.0 + 60 * number, 10.0, 50.0 + 60 * number, 50.0) for number in range(6)]


def labelled(*labels: int) -> Dataset:
    """One picture of objects side by side."""
    rows = ObjectRows()
    for label, box in zip(labels, PLACES, strict=False):
        rows.add(0, 0, label, box)
    entry = VideoEntry(Video("one", 1, 100, 400), "one.png", range(1))
    return Dataset(CLASSES, [entry], rows.objects())


def moved(place: int, by: float) -> list[float]:
    left, top, right, bottom = PLACES[place]
    return [left + by, top, right + by, bottom]


def test_each_object_has_one_fate_and_each_detection_one_mistake():
    """Found, other class, rough, lower score, proposed alone, not proposed; wrong ones besides."""
    dataset = labelled(0, 0, 0, 0, 0, 1)
    found = [
        (moved(0, 0), 0.9, 0),
        (moved(0, 1), 0.8, 0),
        (moved(1, 0), 0.7, 1),
        (moved(2, 20), 0.6, 0),
        (moved(3, 0), 0.2, 0),
        ([300.0, 60, 340, 90], 0.5, 0),
    ]
    boxes, scores, labels = zip(*found, strict=True)
    detections = Detections(
        torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), CLASSES
    )
    pool = pool_frames({"one": [detections]}, dataset)
    proposals = [torch.tensor([moved(place, 0) for place in range(5)] + [moved(2, 20)])]
    fates = fates_of(pool, proposals)
    assert fates["objects"]["all"] == pytest.approx(
        dict.fromkeys(
            ("found", "other class", "rough box", "lower score", "not found", "not proposed"), 1 / 6
        )
    )
    assert fates["objects"]["dog"]["not proposed"] == 1
    shown = dict.fromkeys(
        ("right", "other class", "found twice", "rough box", "nothing there"), 1 / 5
    )
    assert fates["detections"] == pytest.approx({"shown": 5, **shown})
    assert fates["confusions"] == [{"object": "cat", "shown": "dog", "times": 1}]
    recall = proposal_recall(pool, proposals)
    assert recall["all"] == {"objects": 6, "0.5": 5 / 6, "0.75": 5 / 6}
    assert "small" not in recall or recall["small"]["0.5"] is None
    shifted = proposal_recall(pool, [torch.tensor([moved(0, 8)])])  # IoU 2/3
    assert (shifted["medium"]["0.5"], shifted["medium"]["0.75"]) == (1 / 6, 0)


def test_true_classes_and_places_are_given_to_the_boxes_that_overlap():
    boxes = torch.tensor([moved(0, 0), moved(0, 15), moved(3, 0)])[:, None]
    scores = torch.tensor([[0.2, 0.6], [0.1, 0.3], [0.5, 0.4]])
    found = Candidates(boxes, scores, CLASSES, image_size=(100, 400))
    truth = torch.tensor([moved(0, 0)]), torch.tensor([0])
    classes = corrected(found, *truth, classes=True, places=False)
    assert torch.equal(classes.boxes, boxes)
    assert torch.allclose(classes.class_scores[0], torch.tensor([0.8, 0.0]))
    assert torch.equal(classes.class_scores[1:], scores[1:])
    places = corrected(found, *truth, classes=False, places=True)
    assert torch.equal(places.class_scores, scores)
    assert places.boxes[:, 0].tolist() == [moved(0, 0), moved(0, 0), moved(3, 0)]
    both = corrected(found, *truth, classes=True, places=True)
    assert torch.allclose(both.class_scores[1], torch.tensor([0.4, 0.0]))
    assert torch.equal(found.class_scores, torch.tensor([[0.2, 0.6], [0.1, 0.3], [0.5, 0.4]]))


def test_near_duplicates_are_one_fold():
    assert fold_sums(["dog", "bmx-trees", "bmx-bumps"], [1, 2, 3]).tolist() == [1, 5]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    davis_folder(folder / "davis", "dog", "camel")
    tiny_weights(folder / "out")
    return EverydayPlace(out=folder / "out", davis=folder / "davis")


def test_proposals_and_points_are_counted_and_kept(place, tmp_path):
    """Frame 0 is looked at, with 2 support frames; the object fills its box."""
    read_choice_of(tmp_path)
    (tmp_path / "choice.json").rename(tmp_path / "everyday-choice.json")
    given = {"stills": None, "davis": True, "folder": tmp_path, "names": ["dog", "camel"]}
    result, page = run_limits(place, **given, resamples=20)
    proposals, points = result["videos"]["proposals"], result["videos"]["points"]
    assert len(proposals["rows"]) == len(points["rows"]) == 7
    for rows in proposals["rows"].values():
        alone, over = rows["single-frame"], rows["with boxes taken over"]
        assert alone["frames"] == over["frames"] == 1
        assert over["proposals"] >= alone["proposals"] > 0
        assert over["0.5"]["value"] >= alone["0.5"]["value"] >= alone["0.75"]["value"]
        assert alone["at all"]["value"] >= alone["found"]["value"]
    assert proposals["sequences"] == ["dog"]
    assert points["sequences"] == ["dog", "camel"]
    for row in points["rows"].values():
        assert row["chance"]["value"] == pytest.approx(24 * 24 / (64 * 96), rel=0.01)
    assert points["rows"]["clean"]["points"] == 2 * 49 * 2
    assert json.loads((tmp_path / "everyday-limits.json").read_text()) == result
    assert (tmp_path / "everyday-limits.md").read_text() == page
    kept = {file: file.stat().st_mtime_ns for file in place.out.rglob("limits-*.json")}
    again, _ = run_limits(place, **given, resamples=20)
    assert (again["videos"], len(kept)) == (result["videos"], 2)
    assert kept == {file: file.stat().st_mtime_ns for file in kept}


def test_points_of_a_bright_object_lie_on_it_and_are_drawn_where_it_is_asked_for(place, tmp_path):
    predictor = load(weights_file(place.out, TEMPORAL, 0), device="cpu")
    dataset, pictures = read_davis(place.davis), tmp_path / "pictures"
    counts = count_points(predictor, dataset, "dog", [CLEAN, Condition("noise", 50)])
    clean, noisy = counts["clean"], counts["alone-noise-50"]
    assert clean["first"] > 2 * clean["chance"]
    assert (noisy["points"], noisy["chance"]) == (clean["points"], clean["chance"])
    assert noisy["first"] != clean["first"]
    assert count_points(predictor, dataset, "dog", [CLEAN], pictures)["clean"] == clean
    assert [file.name for file in pictures.iterdir()] == ["dog-clean.png"]


def test_what_is_missing_is_said(place, tmp_path):
    with pytest.raises(TrovidError, match=r"`data`.*`stills`"):
        run_limits(place, stills=None, davis=False, folder=tmp_path)
    with pytest.raises(TrovidError, match=r"everyday-choice\.json is not there: run `everyday`"):
        run_limits(place, stills=None, davis=True, folder=tmp_path)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["everyday-limits"], "--data"),
        (["everyday", "--stills", "x", "--pictures", "y"], "--pictures belongs to"),
        (["everyday-limits", "--stills", "x", "--backbone", "y"], "--backbone belongs to"),
        (["everyday-limits", "--stills", "x", "--every", "2"], "--every belongs to"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(capsys, tmp_path, words, complaint):
    status, _, complaints = trovid_command(capsys, "experiment", *words, "--out", tmp_path)
    assert (status, len(complaints)) == (2, 1)
    assert complaint in complaints[0]


def test_pictures_set_aside_are_measured_with_both_models(place, tmp_path):
    from tests.training.test_camera import pictures
    from trovid.datasets.writing import write_dataset

    stills = tmp_path / "stills"
    stills.mkdir()
    write_dataset(stills / "train.json", pictures(stills, cat=6, dog=4), "coco-vid")
    folders = EverydayPlace(out=tmp_path, davis=tmp_path)
    tiny_weights(tmp_path)
    result, page = run_limits(folders, stills=stills, davis=False, folder=tmp_path)
    found = result["pictures"]
    assert (result["set_aside"], list(found)) == (2, [SINGLE, TEMPORAL])
    ceilings = found[SINGLE]["ceilings"]
    for row in ceilings.values():
        assert all(value is None or 0 <= value <= 1 for value in row.values())
    assert ceilings["both given"]["all"] >= ceilings["IoU 0.5"]["all"]
    assert f"| {TEMPORAL} |" in page
    assert page == limits_page(result)
