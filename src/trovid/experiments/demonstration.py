"""The computing of `trovid demo`: clips, and the detections of each model as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.datasets.contract import Dataset
from trovid.datasets.synthvid import VERSION, write_split
from trovid.evaluation.dataset_runner import run_dataset
from trovid.inference.loading import load
from trovid.progress import bar
from trovid.runs.batch import Batch
from trovid.runs.sinks.json import JsonWriter
from trovid.structures import Detections, DetectOptions

SHOWN_MASKS = 0.5
"""Lowest score of the masks that the demo shows."""


def write_clips(folder: Path, clips: int) -> Dataset:
    """The first test clips of SynthVID, written anew where another number or version is there."""
    path = folder / "test.json"
    if path.exists():
        dataset = read_coco_vid(path)
        if len(dataset.videos) == clips and dataset.info.get("version") == VERSION:
            return dataset
    with bar("writing clips", unit="clips") as tick:
        write_split(folder, split="test", videos=clips, progress=lambda done: tick(done, clips))
    return read_coco_vid(path)


def run_models(
    names: Sequence[str], dataset: Dataset, out: Path, *, score: float = 0.01
) -> dict[str, dict[str, list[Detections]]]:
    """Detections of each model in every frame, also written to OUT/detections-<name>.json."""
    found: dict[str, dict[str, list[Detections]]] = {}
    for name in names:
        model = load(name)
        found[name] = {}
        file = out / f"detections-{name}.json"
        options = {"score": score, "support": model.options().support}
        with (
            bar(name, unit="clips") as tick,
            JsonWriter(file, model=name, class_names=model.class_names, options=options) as writer,
        ):
            frames = run_dataset(model, dataset, progress=tick, score=score)
            for video, pairs in groupby(frames, key=itemgetter(0)):
                found[name][video.name] = [detections for _, detections in pairs]
                writer.write_video(video, dataset.path(video.name), found[name][video.name])
    return found


def segmented_clip(folder: Path, model: str | Path, *, show_progress: bool) -> Path:
    """A clip in which two objects of a class cross, with masks and identities.

    Args:
        folder: Where it goes, and the clip without them, and masks and identities as JSON.
        model: One with masks, by name or as a file.
        show_progress: Whether a bar is shown.

    Returns:
        The video.
    """
    clips = folder / "clips"
    dataset = read_coco_vid(write_split(clips, videos=1, setting="twins"))
    clip = dataset.path(dataset.videos[0].name)
    batch = Batch(
        load=lambda: load(model),
        options=DetectOptions(score=SHOWN_MASKS),
        out=folder,
        segment=True,
        kinds={"video", "youtube-vis"},
        overwrite=True,
        show_progress=show_progress,
    )
    for result in batch.run([str(clip)]):
        if result.error is not None:
            raise result.error
    return folder / f"{clip.stem}.mp4"
