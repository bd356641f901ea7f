"""`trovid bench video`: parts, records, pages; and once the whole, small."""

from __future__ import annotations

import json

import pytest
import torch

from tests.detectors.candidates import CANDIDATES
from trovid.benchmarks import video
from trovid.benchmarks.video import BACKBONE, PLAIN, VideoSettings, run_video
from trovid.benchmarks.video_memory import clip_in_child_process
from trovid.benchmarks.video_parts import PARTS, seconds_by_part
from trovid.benchmarks.video_report import write_video_report
from trovid.benchmarks.video_subject import (
    moving_frames,
    random_detector,
    subject_recipe,
    unmatched_rows,
)
from trovid.cli.main import main
from trovid.detectors.building import build_detector
from trovid.inference.runtime.precision import gains_from_bfloat16
from trovid.recipes import load_recipe


def test_parts_add_up_to_the_whole():
    detector = build_detector(load_recipe("synthvid-selsa-troi")).eval()
    images = torch.randn(3, 3, 96, 128)
    with torch.inference_mode():
        bank = detector.encode(images[:2])
        seconds = seconds_by_part(
            detector, lambda: detector.detect(images[2:], [bank], options=CANDIDATES), rounds=2
        )
    assert tuple(seconds) == PARTS
    assert all(value > 0 for value in seconds.values())
    assert not detector.backbone._forward_hooks


def test_random_networks_have_activations_in_bounds_and_frames_move():
    recipe = subject_recipe("paper/selsa-troi-r50", quick=True)
    detector = random_detector(recipe)
    frames = moving_frames(3, 96, 128)
    assert {frame.image.shape for frame in frames} == {(96, 128, 3)}
    assert (frames[0].image != frames[2].image).mean() > 0.5
    images = torch.stack([torch.from_numpy(f.image) for f in frames]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        level = detector.backbone(images.float() / 64 - 2)["conv5"]
    assert 0.01 < level.std() < 10


def test_rows_that_are_not_found_again_are_counted():
    wanted = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    found = torch.tensor([[5.005, 5.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.02]])
    assert unmatched_rows(found, wanted, 0.01) == 0.5


@pytest.mark.parametrize("gains", [True, False])
def test_bf16_is_measured_where_it_is_faster(monkeypatch, gains):
    monkeypatch.setattr(
        "trovid.inference.runtime.precision.gains_from_bfloat16", lambda device: gains
    )
    monkeypatch.setattr(video, "keep_freed_memory", lambda: False)
    monkeypatch.setattr(video, "_measure", lambda recipe, settings: {})
    monkeypatch.setattr(video, "clip_in_child_process", lambda name, **job: job["precision"])
    settings = VideoSettings(quick=True, clip=4, threads=torch.get_num_threads())
    (record,) = run_video(["paper/selsa-troi-r50"], settings)
    wanted = ("float32", "bf16") if gains else ("float32",)
    assert record["precisions"] == wanted
    assert record["clips"] == {precision: precision for precision in wanted}


@pytest.mark.slow
def test_the_command_measures_and_writes_records_and_a_page(tmp_path, capsys):
    precisions = {"float32", "bf16"} if gains_from_bfloat16("cpu") else {"float32"}
    words = ["bench", "video", "--quick", "--rounds", "2", "--threads", "1", "--clip", "4"]
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--out", str(tmp_path), "--folder", str(tmp_path / "page")])
    assert exit_.value.code == 0
    assert "Time, and ratio to the plain backbone" in capsys.readouterr().out
    records = json.loads((tmp_path / "quick-video.json").read_text())["records"]
    assert [r["case"] for r in records] == ["paper/selsa-troi-r50", "mmtracking/selsa-troi-r50"]
    for record in records:
        assert record["ratio"][BACKBONE] == 1
        parts = {
            f"{kind}, {precision}"
            for kind in ("frame", "support frame")
            for precision in precisions
        }
        assert set(record["minimum"]) == {BACKBONE, PLAIN, *parts}
        assert record["agreement"]["float32"]["passed"]
        assert set(record["clips"]) == precisions
        assert all(clip["peak_bytes"] > 10**8 for clip in record["clips"].values())
    page = (tmp_path / "page" / "report.md").read_text()
    assert page.count("| mmtracking/selsa-troi-r50 |") >= 8
    write_video_report(records, tmp_path / "again")
    assert (tmp_path / "again" / "report.md").read_text() == page


def test_a_clip_that_cannot_be_run_is_named():
    with pytest.raises(RuntimeError, match=r"running a clip with absent failed: .*no recipe"):
        clip_in_child_process("absent", precision="float32", frames=1, threads=1, backend="auto")
