"""Tracks against labels: from detections with identities to the reports of both protocols."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.evaluation.protocols.test_mot import HOTA, OTHERS, PARITY
from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.mot import read_mot, read_mot_results
from trovid.datasets.objects import ObjectRows
from trovid.errors import TrovidError
from trovid.evaluation import evaluate_mot, evaluate_vis
from trovid.structures import Detections, Masks, Video

HEIGHT, WIDTH, FRAMES = 20, 40, 4
SIZE = (HEIGHT, WIDTH)


def mask(left: int, width: int = 8) -> np.ndarray:
    pixels = np.zeros(SIZE, dtype=bool)
    pixels[5:13, left : left + width] = True
    return pixels


def dataset(*, visible: bool = False, names=("cat", "dog"), ignored=(), info=None) -> Dataset:
    """One video: a cat that walks right, a dog that stands and is seen in frames 0 to 2."""
    rows = ObjectRows()
    for frame in range(FRAMES):
        for label, left in ((0, 2 * frame), (1, 25)):
            if label == 1 and frame == 3:
                continue
            code = Masks.from_dense(mask(left)[None]).counts[0]
            part = Masks.from_dense(mask(left, 4)[None]).counts[0] if visible else b""
            box = (left, 5, left + 8, 13)
            ignore = label in ignored
            place = {"instance_id": 10 + label, "mask": code, "visible_mask": part}
            rows.add(0, frame, label, box, ignore=ignore, **place)
    entry = VideoEntry(Video("a", FRAMES, HEIGHT, WIDTH), "a", range(FRAMES))
    return Dataset(names, [entry], rows.objects(), info=info)


def predictions(names=("cat", "dog"), *, shift: int = 0) -> dict[str, list[Detections]]:
    """The labels as predictions, moved to the right."""
    frames = []
    for frame in range(FRAMES):
        lefts = [2 * frame, 25] if frame < 3 else [2 * frame]
        boxes = torch.tensor([[left + shift, 5, left + shift + 8, 13] for left in lefts])
        frames.append(
            Detections(
                boxes.float(),
                torch.tensor([0.9, 0.8])[: len(lefts)],
                torch.tensor([0, 1])[: len(lefts)],
                tuple(names),
                frame,
                image_size=SIZE,
                track_ids=torch.tensor([5, 3])[: len(lefts)],
                masks=Masks.from_dense(np.stack([mask(left + shift) for left in lefts])),
            )
        )
    return {"a": frames}


@pytest.mark.parametrize("masks", [True, False])
def test_the_truth_as_prediction(masks):
    report = evaluate_vis(predictions(), dataset(), masks=masks)
    assert (report.overall["ap"], report.overall["ar1"]) == pytest.approx((1, 1))
    assert report.overall["num_objects"] == 2
    assert report.per_class["dog"]["ap_small"] == pytest.approx(1)
    tracking = evaluate_mot(predictions(), dataset(), masks=masks)
    figures = tracking.overall
    assert figures["hota"] == pytest.approx(1)
    assert (figures["mota"], figures["idf1"], figures["switches"]) == (1, 1, 0)
    assert (figures["objects"], figures["detections"]) == (7, 7)


def test_moved_by_two_pixels_as_computed_by_hand():
    # 6 of 8 columns are shared in every frame: IoU 6 / 10 = 0.6, met at .5, .55 and .6
    report = evaluate_vis(predictions(shift=2), dataset())
    assert report.overall["ap50"] == pytest.approx(1)
    assert report.overall["ap75"] == 0
    assert report.overall["ap"] == pytest.approx(0.3)
    figures = evaluate_mot(predictions(shift=2), dataset()).overall
    assert figures["mota"] == 1
    assert figures["motp"] == pytest.approx(0.6)
    assert figures["hota"] == pytest.approx(12 / 19)


def test_identities_that_change():
    found = predictions()
    found["a"][2] = replace(found["a"][2], track_ids=torch.tensor([6, 3]))
    found["a"][3] = replace(found["a"][3], track_ids=torch.tensor([6]))
    assert evaluate_mot(found, dataset()).overall["switches"] == 1
    vis = evaluate_vis(found, dataset()).overall
    assert vis["ap50"] == pytest.approx(1)  # each half of the cat overlaps by .5
    assert vis["ap75"] == pytest.approx(0.5)  # the dog alone


@pytest.mark.parametrize("measure", [evaluate_mot, evaluate_vis])
def test_an_identity_that_is_missing_or_twice_in_a_frame_is_refused(measure):
    for ids, message in (
        ([5, 5], "identity 5 is in frame 2 twice: keep one"),
        ([-1, 3], r"frame 2 has a detection without identity \(-1\): give results of a tracker"),
    ):
        found = predictions()
        found["a"][2] = replace(found["a"][2], track_ids=torch.tensor(ids))
        with pytest.raises(TrovidError, match=message):
            measure(found, dataset())


@pytest.mark.parametrize("measure", [evaluate_mot, evaluate_vis])
def test_labels_without_identities_are_refused(measure):
    labels = dataset()
    labels.objects.instance_ids[:] = range(7)
    with pytest.raises(TrovidError, match="a: tracks are measured, but its labels have no ident"):
        measure(predictions(), labels)
    entry = VideoEntry(Video("a", FRAMES, HEIGHT, WIDTH), "a", [0])
    one = Dataset(labels.class_names, [entry], labels.objects[:2])
    assert measure({"a": predictions()["a"][:1]}, one).head["frames"] == 1  # a picture


def test_classes_by_name_by_synonym_and_not_at_all():
    found = predictions(("bird", "dog"))
    figures = evaluate_mot(found, dataset())
    assert figures.per_class["cat"]["detections"] == 0
    assert figures.per_class["dog"]["mota"] == 1
    people = dataset(names=("pedestrian", "dog"))
    assert evaluate_mot(predictions(("person", "x")), people).per_class["pedestrian"]["mota"] == 1
    with pytest.raises(TrovidError, match=r"none of the predicted classes \(x, y \.\.\.\)"):
        evaluate_mot(predictions(("x", "y")), dataset())
    exchanged = predictions(("dog", "cat"))
    assert evaluate_mot(exchanged, dataset()).overall["recall"] == 0
    assert evaluate_mot(exchanged, dataset(), class_agnostic=True).overall["mota"] == 1
    assert evaluate_vis(exchanged, dataset()).overall["ap"] == 0


def test_ignored_objects_forgive_detections():
    figures = evaluate_mot(predictions(), dataset(ignored=(1,)))
    assert (figures.overall["objects"], figures.overall["detections"]) == (4, 4)
    assert list(figures.per_class) == ["cat"]
    vis = evaluate_vis(predictions(), dataset(ignored=(1,)))
    assert math.isnan(vis.per_class["dog"]["ap"])
    assert vis.overall["ap"] == pytest.approx(1)


def test_mot_challenge_forgives_distractors_alone():
    labels = dataset(names=("pedestrian", "static person"), ignored=(1,))
    labels.info["name"] = "MOT Challenge"
    found = predictions(("pedestrian", "static person"))
    for index, frame in enumerate(found["a"]):
        found["a"][index] = replace(frame, labels=torch.zeros_like(frame.labels))
    figures = evaluate_mot(found, labels).overall
    assert (figures["objects"], figures["detections"], figures["mota"]) == (4, 4, 1)
    cars = dataset(names=("pedestrian", "car"), ignored=(1,))
    cars.info["name"] = "MOT Challenge"
    found = {"a": [replace(f, class_names=("pedestrian", "car")) for f in found["a"]]}
    figures = evaluate_mot(found, cars).overall
    assert (figures["objects"], figures["detections"]) == (4, 7)


def test_amodal_and_visible_figures_are_told_apart():
    report = evaluate_vis(predictions(), dataset(visible=True))
    assert report.overall["ap"] == pytest.approx(1)
    assert report.visible["ap50"] == pytest.approx(1)  # 4 of 8 columns can be seen
    assert report.visible["ap"] == pytest.approx(0.1)
    assert "amodal" in report.head["masks"]
    titles = [row[0] for row in report.tables()[0].rows]
    assert titles == ["whole shapes (amodal)", "visible parts"]
    assert "masks" not in evaluate_vis(predictions(), dataset()).head


def test_only_frames_that_are_predicted_and_labelled_count():
    found = {"a": predictions()["a"][:2]}
    report = evaluate_mot(found, dataset())
    assert (report.head["frames"], report.overall["objects"]) == (2, 4)
    assert evaluate_vis(found, dataset()).overall["ap"] == pytest.approx(1)


def test_saved_and_shown(tmp_path):
    for report in (evaluate_vis(predictions(), dataset()), evaluate_mot(predictions(), dataset())):
        report.save(tmp_path / "r.json")
        saved = json.loads((tmp_path / "r.json").read_text())
        assert saved == json.loads(json.dumps(report.to_dict()))
        assert all(len(row) == len(t.head) for t in report.tables() for row in t.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"track_ids": None}, "frame 0 have no identities: predict with `trovid segment`"),
        ({"masks": None}, "frame 0 have no masks"),
        ({"frame_index": 9}, "frame 9 of video 'a' does not exist: the labels give it 4 frames"),
        ({"frame_index": 1}, "frame 1 of video 'a' was predicted twice"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    found = predictions()
    found["a"][0] = replace(found["a"][0], **change)
    with pytest.raises(TrovidError, match=message):
        evaluate_vis(found, dataset())


def test_videos_and_sizes_that_do_not_fit_are_named():
    with pytest.raises(TrovidError, match="video 'b' is not in the labels, which hold a"):
        evaluate_vis({"b": predictions()["a"]}, dataset())
    half = {"a": [frame.scaled((10, 20)) for frame in predictions()["a"]]}
    with pytest.raises(TrovidError, match="are of 20x10 pixels, but the labels give it 40x20"):
        evaluate_vis(half, dataset())
    with pytest.raises(TrovidError, match="none of the predicted frames is labelled"):
        evaluate_mot({"a": []}, dataset())


@pytest.mark.skipif(not PARITY.exists(), reason="the original code's figures are not at hand")
def test_mot_challenge_equals_the_original_code(tmp_path):
    data = json.loads(gzip.decompress(PARITY.read_bytes()))
    for sequence in data["sequences"]:
        folder = tmp_path / "train" / sequence["name"]
        (folder / "gt").mkdir(parents=True)
        length = f"seqLength={sequence['length']}"
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{length}\nimWidth=640\nimHeight=480\n")
        (folder / "gt/gt.txt").write_text(lines(sequence["gt"]))
        results = tmp_path / "results" / f"{sequence['name']}.txt"
        results.parent.mkdir(exist_ok=True)
        results.write_text(lines(sequence["tracker"]))
    labels = read_mot(tmp_path)
    report = evaluate_mot(read_mot_results(tmp_path / "results", labels), labels)
    assert list(report.per_class) == ["pedestrian"]
    for name, figures in {**report.per_video, "COMBINED_SEQ": report.overall}.items():
        expected = data["figures"]["preprocessed"][name]
        for theirs, ours in HOTA.items():
            assert figures[ours] == pytest.approx(expected["HOTA"]["mean"][theirs], abs=1e-9)
        for theirs, ours in OTHERS.items():
            value = {**expected["CLEAR"], **expected["Identity"]}[theirs]
            assert figures[ours] == pytest.approx(value, abs=1e-9), (name, theirs)


VEHICLE = """1,1,10,5,8,20,1,1,1
1,2,30,5,8,20,0,6,1
2,1,11,5,8,20,1,1,1
2,2,31,5,8,20,0,6,1
"""


@pytest.mark.parametrize(
    ("folder", "name", "benchmark"),
    [
        ("MOT20-01", "MOT20-01", "MOT20"),
        ("street", "MOT20-01", "MOT20"),
        ("MOT17-02-SDP", "MOT17-02-SDP", "MOT17"),
    ],
)
def test_what_is_forgiven_by_benchmark_equals_trackeval(tmp_path, folder, name, benchmark):
    """Non-motorised vehicles are distractors in MOT20 alone."""
    trackeval = pytest.importorskip("trackeval")
    sequence = tmp_path / "gt" / folder
    (sequence / "gt").mkdir(parents=True)
    (sequence / "gt/gt.txt").write_text(VEHICLE)
    head = f"[Sequence]\nname={name}\n"
    (sequence / "seqinfo.ini").write_text(f"{head}seqLength=2\nimWidth=64\nimHeight=48\n")
    results = tmp_path / "trackers/t/data" / f"{folder}.txt"
    results.parent.mkdir(parents=True)
    results.write_text("1,7,10,5,8,20,.9,-1,-1,-1\n1,8,30,5,8,20,.9,-1,-1,-1\n")
    data = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {folder: 2},
            "PRINT_CONFIG": False,
        }
    )
    expected = data.get_preprocessed_seq_data(data.get_raw_seq_data("t", folder), "pedestrian")
    labels = read_mot(tmp_path / "gt")
    figures = evaluate_mot(read_mot_results(results.parent, labels), labels).overall
    assert figures["detections"] == expected["num_tracker_dets"] == 2 - (benchmark == "MOT20")
    assert figures["objects"] == expected["num_gt_dets"] == 2


def lines(rows) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)
