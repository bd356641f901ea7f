"""Predictions on disk: what is written is read back, what is damaged is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from trovid.errors import TrovidError
from trovid.runs.predictions import read_predictions
from trovid.runs.sinks.json import JsonWriter
from trovid.structures import Detections, Masks, Video

CLASSES = ("anchor", "cup")
VIDEO = Video("clip", 2, 100, 200, 25.0)


def detections(count: int, frame: int) -> Detections:
    generator = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, generator=generator) * 50
    return Detections(
        boxes=torch.cat([corners, corners + 20], 1),
        scores=torch.rand(count, generator=generator),
        labels=torch.arange(count) % 2,
        class_names=CLASSES,
        frame_index=frame,
        time=frame / 25,
        image_size=(100, 200),
    )


def write(path):
    with JsonWriter(path, model="m", class_names=CLASSES, options={"score": 0.5}) as writer:
        writer.write_video(VIDEO, "clip.mp4", [detections(3, 0), detections(0, 1)])
        writer.write_video(Video("other", 0, 4, 4), "other.mp4", [])


def test_what_is_written_is_read_back(tmp_path):
    write(tmp_path / "p.json")
    head, found = read_predictions(tmp_path / "p.json")
    assert (head["model"], head["options"]) == ("m", {"score": 0.5})
    assert list(found) == ["clip", "other"]
    first, second = found["clip"]
    original = detections(3, 0)
    torch.testing.assert_close(first.boxes, original.boxes, atol=0.0051, rtol=0)
    torch.testing.assert_close(first.scores, original.scores, atol=1e-5, rtol=0)
    assert torch.equal(first.labels, original.labels)
    assert (second.frame_index, second.time, len(second)) == (1, 0.04, 0)
    assert first.image_size == (100, 200)


def test_masks_and_identities_are_read_back_and_damaged_masks_are_named(tmp_path):
    path = tmp_path / "p.json"
    pixels = torch.zeros(3, 100, 200, dtype=torch.bool)
    pixels[0, 3:9, 5:7] = pixels[2, 50:, 20:90] = True
    masks, track_ids = Masks.from_dense(pixels), torch.tensor([4, 2, 9])
    frame = replace(detections(3, 0), masks=masks, track_ids=track_ids)
    with JsonWriter(path, model="m", class_names=CLASSES) as writer:
        writer.write_video(VIDEO, "clip.mp4", [frame])
    ((found,),) = read_predictions(path)[1].values()
    assert found.masks == masks
    assert found.track_ids.tolist() == [4, 2, 9]
    document = json.loads(path.read_text())
    document["videos"][0]["frames"][0]["detections"][1]["segmentation"]["counts"] = "R1"
    path.write_text(json.dumps(document))
    where = r"p\.json: videos\[0\]\.frames\[0\]\.detections\[1\]\.segmentation"
    with pytest.raises(TrovidError, match=f"{where} covers 34 pixels, but 100 x 200 has 20000"):
        read_predictions(path)


def test_an_interrupted_run_leaves_nothing_under_the_final_name(tmp_path):
    path = tmp_path / "p.json"
    write(path)
    before = path.read_bytes()

    def interrupted():
        with JsonWriter(path, model="m", class_names=CLASSES) as writer:
            writer.begin_video(VIDEO, "clip.mp4")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.json"]


def remove(data, *path):
    for key in path[:-1]:
        data = data[key]
    del data[path[-1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: remove(d, "head", "class_names"), r"head\.class_names is missing"),
        (lambda d: remove(d, "videos", 1, "height"), r"videos\[1\]\.height is missing"),
        (
            lambda d: remove(d, "videos", 0, "frames", 0, "detections", 2, "score"),
            r"videos\[0\]\.frames\[0\]\.detections\[2\]\.score is missing",
        ),
        (
            lambda d: d["videos"][0]["frames"][0]["detections"][1].update(label=5),
            r"detections\[1\]\.label must lie in 0\.\.1, but is 5",
        ),
        (
            lambda d: d["videos"][0]["frames"][0]["detections"][0].update(box=[1, 2]),
            r"detections\[0\]\.box must be four numbers",
        ),
        (lambda d: d["videos"][0].update(frame_rate=[]), r"videos\[0\]\.frame_rate"),
        (lambda d: d["videos"][1].update(num_frames="9"), r"videos\[1\]\.num_frames"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_index(tmp_path, change, message):
    path = tmp_path / "p.json"
    write(path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(TrovidError, match=message) as error:
        read_predictions(path)
    assert str(path) in str(error.value)


def test_no_file_and_no_json_are_said(tmp_path):
    with pytest.raises(TrovidError, match="cannot read"):
        read_predictions(tmp_path / "absent.json")
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(TrovidError, match="is not JSON"):
        read_predictions(tmp_path / "p.json")
    with pytest.raises(TrovidError, match="cannot write"):
        JsonWriter("/proc/absent/p.json", model="m", class_names=CLASSES)
