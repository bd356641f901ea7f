"""Words that several commands of the fuzz share."""

from __future__ import annotations

MODEL = ["--model", "model.safetensors", "--device", "cpu"]
DETECT = [*MODEL, "--out", "out", "--score", "0.2"]
CONVERT = ["weights", "convert", "published.pth", "--out", "out/x.safetensors", "--recipe"]
TRAIN = ["--data", "data", "--out", "out", "--validate", "0", "--workers", "0", "--device", "cpu"]
EVALUATE = ["--every", "12", "--batch", "1", *MODEL, "--out", "out/figures.json"]
SEGMENT = ["--model", "masks.safetensors", "--device", "cpu", "--out", "out", "--score", "0.2"]
BLUR = [*DETECT, "--classes", "cup"]
