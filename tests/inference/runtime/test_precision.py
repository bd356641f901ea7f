"""bf16 finds what float32 finds: embedded weights on the test clips of SynthVID."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import box_iou

import trovid
from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.synthvid import write_split
from trovid.evaluation import evaluate
from trovid.nn import onednn

CLIPS, EVERY = 100, 3
SURE = 0.3
PRECISION = "trovid.inference.runtime.precision"


def found_again(found, others) -> tuple[int, int]:
    """Sure detections, and how many of them another run has too, within one pixel."""
    again = sure = 0
    for one, other in zip(found, others, strict=True):
        chosen = one[one.scores > SURE]
        near = torch.cdist(chosen.boxes, other.boxes, p=torch.inf) <= 1.0
        same = near & (chosen.labels[:, None] == other.labels[None])
        again += int(same.any(1).sum())
        sure += len(chosen)
    return sure, again


@pytest.mark.slow
@pytest.mark.usefixtures("with_bf16")
@pytest.mark.parametrize("name", ["synthvid-single", "synthvid-selsa-troi"])
def test_bf16_against_float32(name, tmp_path):
    if not onednn.computes_bfloat16():
        pytest.skip("this processor does not compute bfloat16")
    labels = read_coco_vid(write_split(tmp_path, split="test", videos=CLIPS))
    runs = {}
    for precision in ("float32", "bf16"):
        model = trovid.load(name, device="cpu", precision=precision)
        runs[precision] = {
            video.name: list(
                model.detect(
                    labels.path(video.name), score=0.01, frames=range(0, video.num_frames, EVERY)
                )
            )
            for video in labels.videos
        }
    exact, rounded = (evaluate(run, labels).overall.ap50 for run in runs.values())
    print(f"{name}: AP50 {100 * exact:.2f} in float32, {100 * rounded:.2f} in bf16")
    assert abs(exact - rounded) <= 0.003
    pairs = [found_again(runs["float32"][v], runs["bf16"][v]) for v in runs["float32"]]
    sure, again = (sum(counts) for counts in zip(*pairs, strict=True))
    print(f"{name}: {again} of {sure} sure detections within one pixel")
    assert again >= 0.99 * sure > 0


@pytest.fixture
def with_bf16(monkeypatch):
    """bf16 runs as it does where the processor computes it, here maybe emulated."""
    monkeypatch.setattr(f"{PRECISION}.gains_from_bfloat16", lambda device: True)


def test_bf16_that_is_slower_is_replaced(monkeypatch, caplog):
    monkeypatch.setattr(
        "trovid.inference.runtime.precision.gains_from_bfloat16", lambda device: False
    )
    model = trovid.load("synthvid-single", device="cpu", precision="bf16")
    assert model.precision == "float32"
    assert "bf16 is slower on this processor: float32 is used instead" in caplog.text


@pytest.mark.usefixtures("with_bf16")
def test_another_precision_gives_other_scores_and_nearly_the_same_boxes():
    frames = torch.randint(0, 256, (3, 96, 128, 3), dtype=torch.uint8).numpy()
    exact, rounded = (
        next(
            trovid.load("synthvid-selsa-troi", device="cpu", precision=precision).detect(
                frames, frames=[1], selection="candidates"
            )
        )
        for precision in ("float32", "bf16")
    )
    assert not torch.equal(exact.class_scores, rounded.class_scores)
    overlap = box_iou(exact.boxes[:, 0], rounded.boxes[:, 0]).amax(1)
    assert (overlap > 0.9).float().mean() > 0.5
