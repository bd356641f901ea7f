"""All scored boxes of a model on labelled clips, kept in one file so that they are made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from trovid.datasets.contract import Dataset
from trovid.detectors.candidates import Candidates
from trovid.detectors.faster_rcnn.support import Support
from trovid.files import replacing
from trovid.inference.predictor import Predictor
from trovid.structures import Detections, DetectOptions, Video
from trovid.structures.support_sampling import SupportSampling
from trovid.video.opening import open_video

SupportSource = Literal["clip", "other clip", "target"]
"""Where support frames come from: the clip, another clip, or the target frame T times."""


@dataclass(frozen=True, eq=False)
class ScoredFrame:
    """All boxes of one frame.

    Attributes:
        frame_index: Index of the frame in its video.
        scored: Boxes in source pixels and their class scores.
    """

    frame_index: int
    scored: Candidates


ScoredVideos = dict[str, list[ScoredFrame]]


def score_videos(
    predictor: Predictor,
    labels: Dataset,
    *,
    every: int,
    source: SupportSource = "clip",
    videos: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScoredVideos:
    """Runs a model over every `every`-th frame of the first clips.

    Args:
        predictor: The model.
        labels: The clips.
        every: Distance of evaluated frames.
        source: Where support frames come from (the controls of the experiment).
        videos: Number of clips; None for all.
        progress: Called with (clips done, clips in all).
    """
    chosen = labels.videos[:videos]
    result: ScoredVideos = {}
    for done, video in enumerate(chosen, 1):
        frames = range(0, video.num_frames, every)
        foreign = None
        if source == "other clip":
            foreign = _bank(predictor, labels, chosen[done % len(chosen)])
        with open_video(labels.path(video.name)) as reader:
            if source == "target":
                options = predictor.options(selection="candidates")
                pairs = (
                    (frame, found)
                    for frame in reader.walk(frames)
                    for found in predictor.detect_frames(
                        [frame], [_repeated(predictor, frame)], options
                    )
                )
            else:
                pairs = predictor.run(
                    reader, frames=frames, support=foreign, selection="candidates"
                )
            result[video.name] = [ScoredFrame(frame.index, scored) for frame, scored in pairs]
        if progress:
            progress(done, len(chosen))
    return result


def _bank(predictor: Predictor, labels: Dataset, video: Video) -> Support:
    sampling = SupportSampling.parse(predictor.recipe.inference.support)
    with open_video(labels.path(video.name)) as reader:
        return predictor.encode(reader.read(sampling.indices(video.num_frames)))


def _repeated(predictor: Predictor, frame) -> Support:
    count = SupportSampling.parse(predictor.recipe.inference.support).count
    return Support.cat([predictor.encode([frame])] * count)


def save_scores(path: Path, videos: ScoredVideos, head: dict) -> None:
    """Writes scored boxes as one .npz, under a temporary name first."""
    frames = [(name, frame) for name, own in videos.items() for frame in own]
    arrays: dict[str, Any] = {
        "head": np.array(json.dumps({**head, "videos": list(videos)})),
        "video": np.array([list(videos).index(name) for name, _ in frames], dtype=np.int32),
        "frame": np.array([frame.frame_index for _, frame in frames], dtype=np.int32),
        "count": np.array([len(frame.scored.boxes) for _, frame in frames], dtype=np.int32),
        "boxes": torch.cat([frame.scored.boxes for _, frame in frames]).numpy(),
        "class_scores": torch.cat([frame.scored.class_scores for _, frame in frames]).numpy(),
    }
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def load_scores(path: Path) -> tuple[ScoredVideos, dict]:
    """What `save_scores` wrote: the scored boxes and the head."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(str(file["head"]))
        counts = file["count"].tolist()
        boxes = torch.from_numpy(file["boxes"]).split(counts)
        scores = torch.from_numpy(file["class_scores"]).split(counts)
        keys = zip(file["video"].tolist(), file["frame"].tolist(), strict=True)
        videos: ScoredVideos = {name: [] for name in head["videos"]}
        for (video, frame), own_boxes, own_scores in zip(keys, boxes, scores, strict=True):
            scored = Candidates(own_boxes, own_scores, ())
            videos[head["videos"][video]].append(ScoredFrame(frame, scored))
    return videos, head


def to_detections(
    videos: ScoredVideos, labels: Dataset, *, score: float = 0.01, nms: float = 0.5
) -> dict[str, list[Detections]]:
    """The detections that a model's scored boxes lead to, as `Predictor.detect` chooses them."""
    sizes = {video.name: (video.height, video.width) for video in labels.videos}
    options = DetectOptions(score=score, nms=nms, max_detections=100)
    return {
        name: [
            replace(
                frame.scored,
                class_names=labels.class_names,
                frame_index=frame.frame_index,
                image_size=sizes[name],
            ).select(options)
            for frame in frames
        ]
        for name, frames in videos.items()
    }
