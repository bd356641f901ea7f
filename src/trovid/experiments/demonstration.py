"""The computing of `trovid demo`: clips, and the detections of each model as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.synthvid import VERSION, write_split
from trovid.inference.predictor import load
from trovid.progress import bar
from trovid.runs.sinks.writers import JsonWriter
from trovid.structures import Detections


def write_clips(folder: Path, clips: int) -> Dataset:
    """The first test clips of SynthVID, written anew where another number or version is there."""
    path = folder / "test.json"
    if path.exists():
        labels = read_coco_vid(path)
        if len(labels.videos) == clips and labels.info.get("version") == VERSION:
            return labels
    with bar("writing clips", unit="clips") as tick:
        write_split(folder, split="test", videos=clips, progress=lambda done: tick(done, clips))
    return read_coco_vid(path)


def run_models(
    names: Sequence[str], labels: Dataset, out: Path, *, score: float = 0.01
) -> dict[str, dict[str, list[Detections]]]:
    """Detections of each model in every frame, also written to OUT/detections-<name>.json."""
    found: dict[str, dict[str, list[Detections]]] = {}
    for name in names:
        model = load(name)
        found[name] = {}
        file = out / f"detections-{name}.json"
        options = {"score": score, "support": model.recipe.inference.support}
        with (
            bar(name, unit="clips") as tick,
            JsonWriter(file, model=name, class_names=model.class_names, options=options) as writer,
        ):
            for done, video in enumerate(labels.videos, 1):
                found[name][video.name] = list(model.detect(labels.path(video.name), score=score))
                writer.write_video(video, labels.path(video.name), found[name][video.name])
                tick(done, len(labels.videos))
    return found
