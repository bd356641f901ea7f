"""`trovid segment`: its files, resuming, several videos, online; `trovid detect --track`."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection import maskrcnn_resnet50_fpn

import trovid
from tests.cli.command import trovid_command
from tests.cli.tiny_model import save_tiny_model
from tests.media import STEADY, encode
from tests.structures.test_structures import detections
from tests.zoo.file_server import Answer, serve
from trovid.errors import OptionError
from trovid.recipes import load_recipe
from trovid.runs.batch import Batch
from trovid.runs.predictions import read_frames, read_predictions
from trovid.structures import DetectOptions, Masks
from trovid.video.opening import open_video
from trovid.viz.identities import IdentityOverlay
from trovid.zoo import published

OPTIONS = ("--max-detections", "4", "--score", "0.02", "--device", "cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("segment")


@pytest.fixture(scope="module")
def model(place) -> Path:
    return save_tiny_model(place / "tiny.safetensors", name="synthvid-masktrack-troi")


@pytest.fixture(scope="module")
def videos(place) -> list[Path]:
    return [
        encode(place / f"{name}.mp4", num_frames=count, options=STEADY)
        for name, count in (("a", 8), ("b", 6))
    ]


@pytest.fixture(scope="module")
def whole(place, model, videos) -> Path:
    """Both videos, one after the other."""
    return batch(model, place / "whole", videos)


def batch(model: Path, out: Path, videos: list[Path], after: int | None = None, **how) -> Path:
    """Runs videos, the first one up to a frame at most."""
    frames = iter(range(10**6 if after is None else after))
    runs = Batch(
        load=lambda: trovid.load(model, device="cpu"),
        options=DetectOptions(score=0.02, max_detections=4, online=how.pop("online", False)),
        segment=True,
        out=out,
        kinds={"json", "youtube-vis", "masks"},
        stop=lambda: next(frames, None) is None,
        **how,
    )
    list(runs.run([str(video) for video in videos]))
    return out


def results(folder: Path, name: str) -> list:
    _, videos = read_predictions(folder / f"{name}.json")
    return videos[name]


def same(one: Path, other: Path, name: str) -> bool:
    pairs = zip(results(one, name), results(other, name), strict=True)
    equal = all(
        a.track_ids.tolist() == b.track_ids.tolist()
        and a.masks == b.masks
        and a.boxes.equal(b.boxes)
        for a, b in pairs
    )
    files = [f"{name}.youtube-vis.json", *(f"{name}-masks/{i:05d}.png" for i in (0, 5))]
    return equal and all((one / f).read_bytes() == (other / f).read_bytes() for f in files)


def test_what_the_command_writes(capsys, place, model, videos):
    out = place / "command"
    words = ["segment", *videos, "--model", model, "--out", out, "--masks", "--coco", "--csv"]
    status, printed, complaints = trovid_command(capsys, *words, *OPTIONS)
    assert status == 0, complaints
    assert "a.youtube-vis.json" in printed
    names = {path.name for path in out.iterdir()}
    ends = (".mp4", ".json", ".csv", ".coco.json", ".youtube-vis.json", "-masks")
    assert names == {f"{stem}{end}" for stem in "ab" for end in ends}
    frames = results(out, "a")
    assert len(frames) == 8
    for frame in frames:
        assert len(frame) == 4 == len({*frame.track_ids.tolist()})
        assert frame.masks.size == (64, 96)
    check_tracks(json.loads((out / "a.youtube-vis.json").read_text()), frames)
    check_pictures(out / "a-masks", frames)


@pytest.fixture
def published_mask_rcnn(tmp_path, monkeypatch):
    """A mirror with torchvision's Mask R-CNN of random weights, and a recipe of small frames."""
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("batches_tracked")}
    torch.save(state, tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    name, digest = "coco-mask-r50-fpn", hashlib.sha256(content).hexdigest()[:8]
    checkpoint = replace(published.checkpoints()[name], sha256=digest, bytes=len(content))
    recipe = load_recipe(name)
    recipe = replace(recipe, image=replace(recipe.image, shorter=64, longer=96))
    monkeypatch.setattr("trovid.zoo.registry.checkpoints", lambda: {name: checkpoint})
    monkeypatch.setattr(published, "checkpoints", lambda: {name: checkpoint})
    monkeypatch.setattr(published, "load_recipe", lambda name: recipe)
    monkeypatch.setenv("TROVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TROVID_OFFLINE", raising=False)
    with serve() as server:
        server.answers[f"/models/{checkpoint.file_name}"] = [Answer(content)]
        monkeypatch.setenv("TROVID_MIRROR", server.address)
        yield server


@pytest.mark.slow
def test_the_default_model_from_its_download_to_its_files(
    capsys, tmp_path, videos, published_mask_rcnn
):
    out = tmp_path / "out"
    words = ["segment", videos[0], "--out", out, "--masks", "--end", "0.1", "--device", "cpu"]
    for _ in range(2):
        options = ["--score", "0.001", "--max-detections", "4", "--overwrite"]
        status, _, complaints = trovid_command(capsys, *words, *options)
        assert status == 0, complaints
    assert len(published_mask_rcnn.asked) == 1
    head, _ = read_predictions(out / "a.json")
    assert (head["model"], len(head["class_names"])) == ("coco-mask-r50-fpn", 80)
    frames = results(out, "a")
    assert len(frames) > 1
    for frame in frames:
        assert 0 < len(frame) == len({*frame.track_ids.tolist()}) <= 4
        assert frame.masks.size == (64, 96)
        assert frame.masks.dense().any()
    check_tracks(json.loads((out / "a.youtube-vis.json").read_text()), frames)
    check_pictures(out / "a-masks", frames)
    assert (out / "a.mp4").stat().st_size


def check_tracks(tracks, frames):
    ids = sorted({number for frame in frames for number in frame.track_ids.tolist()})
    assert len(tracks) == len(ids)
    for track, number in zip(tracks, ids, strict=True):
        rows = [(frame.track_ids == number).nonzero().flatten().tolist() for frame in frames]
        wanted = [
            frame.masks[row].to_coco()[0] if row else None
            for frame, row in zip(frames, rows, strict=True)
        ]
        assert track["segmentations"] == wanted
        assert track["video_id"] == 1
        scores = [float(f.scores[row[0]]) for f, row in zip(frames, rows, strict=True) if row]
        assert track["score"] == pytest.approx(np.mean(scores), abs=1e-5)


def check_pictures(folder, frames):
    for frame in frames:
        picture = np.asarray(Image.open(folder / f"{frame.frame_index:05d}.png"))
        shown = np.zeros_like(picture)
        for row in frame.scores.argsort().tolist():
            shown[frame.masks.dense(row)[0].numpy()] = int(frame.track_ids[row]) + 1
        assert (picture == shown).all()


def test_a_segmenter_of_single_frames_looks_at_others_without_training(capsys, tmp_path, videos):
    model = save_tiny_model(tmp_path / "single.safetensors", name="synthvid-masktrack")
    words = ["segment", videos[1], "--model", model, "--no-video", *OPTIONS]
    for name, temporal in (("alone", ()), ("free", ("--temporal", "training-free"))):
        status, _, complaints = trovid_command(capsys, *words, "--out", tmp_path / name, *temporal)
        assert status == 0, complaints
    head, _ = read_frames(tmp_path / "free" / "b.json")
    assert head["model"] == "single (training-free)"
    alone, free = (results(tmp_path / name, "b") for name in ("alone", "free"))
    assert any(not a.boxes.equal(b.boxes) for a, b in zip(alone, free, strict=True))
    assert all(len(frame.masks) == 4 for frame in free)


def test_files_that_are_missing_are_made_from_what_was_found(tmp_path, model, videos, whole):
    out = batch(model, tmp_path / "out", videos[:1])
    (out / "a.youtube-vis.json").unlink()
    shutil.rmtree(out / "a-masks")
    before = (out / "a.json").read_bytes()
    batch(model, out, videos[:1], resume=True)
    assert same(out, whole, "a")
    assert (out / "a.json").read_bytes() == before


def test_a_folder_of_masks_that_no_run_has_left_is_kept(capsys, tmp_path, model, videos):
    mask_file, out = tmp_path / "a-masks" / "00000.png", tmp_path
    words = ["segment", videos[0], "--model", model, "--out", out, "--masks", "--no-video"]
    words += ["--end", "0.1", "--overwrite", "--device", "cpu"]
    mask_file.parent.mkdir()
    mask_file.touch()
    status, _, complaints = trovid_command(capsys, *words)
    assert (status, mask_file.read_bytes()) == (2, b"")
    assert "a-masks: holds what no run of trovid has left" in complaints[0]
    mask_file.unlink()
    for _ in range(2):  # into an empty folder, then into that of a run
        assert trovid_command(capsys, *words)[0] == 0
        assert mask_file.stat().st_size


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_resumed_run_equals_an_uninterrupted_one_identities_included(
    tmp_path, model, videos, whole, after
):
    out = batch(model, tmp_path / "out", videos[:1], after=after + 1)
    assert 1 <= len(results(out, "a")) < 8
    batch(model, out, videos[:1], resume=True)
    assert same(out, whole, "a")


def test_two_videos_at_once_keep_their_identities_apart(tmp_path, model, videos, whole):
    out = batch(model, tmp_path / "out", videos, at_once=2)
    for name in "ab":
        pairs = zip(results(out, name), results(whole, name), strict=True)
        assert all(a.track_ids.tolist() == b.track_ids.tolist() for a, b in pairs)


def test_in_python_and_online(model, videos, whole):
    predictor = trovid.load(model, device="cpu")
    options = {"score": 0.02, "max_detections": 4}
    found = list(predictor.segment(videos[0], **options))
    for tracked, wanted in zip(found, results(whole, "a"), strict=True):
        assert tracked.track_ids.tolist() == wanted.track_ids.tolist()
        assert tracked.embeddings is None
    pictures = [frame.image for frame in open_video(videos[0])]
    online = list(predictor.segment(iter(pictures), online=True, **options))
    assert [len(tracked.masks) for tracked in online] == [4] * 8


def test_unsure_detections_continue_identities_online_and_after_an_interruption_too(
    tmp_path, model, videos
):
    predictor = trovid.load(model, device="cpu")
    every = list(predictor.segment(videos[0], score=0.02, max_detections=12))
    score = float(torch.cat([tracked.scores for tracked in every]).quantile(0.9))
    options = DetectOptions(score=score, max_detections=12, continue_score=0.02)

    def run(after=10**6, **how):
        frames = iter(range(after))
        runs = Batch(
            load=lambda: predictor,
            options=options,
            segment=True,
            out=tmp_path,
            kinds={"json"},
            stop=lambda: next(frames, None) is None,
            **how,
        )
        list(runs.run([str(videos[0])]))
        return results(tmp_path, "a")

    assert 1 <= len(run(after=5)) < 8
    resumed = run(resume=True)
    whole = list(predictor.segment(videos[0], options=options))
    alone = list(predictor.segment(videos[0], options=replace(options, continue_score=1.0)))
    assert sum(map(len, whole)) > sum(map(len, alone))
    pictures = iter([frame.image for frame in open_video(videos[0])])
    online = list(predictor.segment(pictures, options=replace(options, online=True)))
    for frames in (whole, resumed, online):
        begun: set[int] = set()
        for tracked in frames:
            sure = tracked.scores > score - 1e-5
            assert {*tracked.track_ids[~sure].tolist()} <= begun
            begun |= {*tracked.track_ids[sure].tolist()}
    for tracked, again in zip(whole, resumed, strict=True):
        assert tracked.track_ids.tolist() == again.track_ids.tolist()
        assert tracked.masks == again.masks


def test_identities_along_sequences(model, videos):
    """With Seq-NMS, which goes through the whole video first."""
    predictor = trovid.load(model, device="cpu")
    found = list(predictor.detect(videos[1], seq_nms=True, track="iou", score=0.02))
    assert len(found) == 6
    for tracked in found:
        assert len({*tracked.track_ids.tolist()}) == len(tracked) > 0
    with pytest.raises(OptionError, match="goes with `track` 'iou' alone"):
        predictor.segment(videos[1], seq_nms=True)


def test_masks_are_drawn_in_the_colour_of_their_identity():
    masks = np.zeros((3, 40, 60), dtype=bool)
    masks[0, 5:25, 5:25] = True
    found = detections(image_size=(40, 60), masks=Masks.from_dense(masks))
    overlay, image = IdentityOverlay(), np.full((40, 60, 3), 128, np.uint8)
    picture = overlay.draw(image, found)
    assert (image == 128).all()
    inside, edge, outside = picture[15, 15], picture[24, 10], picture[38, 55]
    assert outside.tolist() == [128] * 3
    assert inside.tolist() != [128] * 3
    assert edge.tolist() not in (outside.tolist(), inside.tolist())


@pytest.mark.parametrize("track", [["--track"], ["--track", "embedding"]])
def test_detect_gives_identities_to_boxes(capsys, place, videos, tmp_path, track):
    plain = place / "plain.safetensors"
    if not plain.exists():
        save_tiny_model(plain)
    words = ["detect", videos[1], "--model", plain, "--out", tmp_path, "--no-video", *track]
    status, _, complaints = trovid_command(capsys, *words, *OPTIONS)
    assert status == 0, complaints
    frames = results(tmp_path, "b")
    assert all(len({*frame.track_ids.tolist()}) == len(frame) == 4 for frame in frames)
    continued = [
        {*a.track_ids.tolist()} & {*b.track_ids.tolist()} for a, b in itertools.pairwise(frames)
    ]
    assert any(continued)


def test_a_model_of_boxes_alone_is_refused(capsys, place, videos, tmp_path):
    plain = save_tiny_model(tmp_path / "plain.safetensors")
    words = ["segment", videos[0], "--model", plain, "--out", tmp_path / "out", *OPTIONS]
    status, _, complaints = trovid_command(capsys, *words)
    assert status == 2
    assert (
        "plain finds boxes alone: take another --model, such as coco-mask-r50-fpn" in complaints[0]
    )


def test_results_as_mot_challenge_takes_them(capsys, tmp_path, model, videos):
    words = ("--model", model, "--out", tmp_path, "--no-video", "--mot", *OPTIONS)
    status, _, complaints = trovid_command(capsys, "detect", videos[1], *words)
    assert (status, complaints) == (2, ["trovid: --mot writes identities: give --track too"])
    status, _, complaints = trovid_command(capsys, "detect", videos[1], *words, "--track")
    assert (status, complaints) == (0, [])
    ((_, frames),) = read_frames(tmp_path / "b.json")[1].items()
    rows = [line.split(",") for line in (tmp_path / "b.txt").read_text().splitlines()]
    assert len(rows) == sum(map(len, frames)) > 6
    ids = [i for frame in frames for i in frame.track_ids.tolist()]
    assert [int(row[1]) for row in rows] == ids
    assert {int(row[0]) for row in rows} <= {*range(1, 7)}
