"""All candidates of a model on labelled clips, kept in one file so that they are made once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trovid.datasets.contract import Dataset
from trovid.detectors.candidates import Candidates
from trovid.files import replacing
from trovid.structures import Detections, DetectOptions

ScoredVideos = Mapping[str, Sequence[Candidates]]
"""By the clip's name the candidates of its evaluated frames."""


def save_scores(path: Path, videos: ScoredVideos, head: dict) -> None:
    """Writes candidates as one .npz, under a temporary name first."""
    frames = [(name, frame) for name, candidates in videos.items() for frame in candidates]
    arrays: dict[str, Any] = {
        "head": np.array(json.dumps({**head, "videos": list(videos)})),
        "video": np.array([list(videos).index(name) for name, _ in frames], dtype=np.int32),
        "frame": np.array([frame.frame_index for _, frame in frames], dtype=np.int32),
        "count": np.array([len(frame) for _, frame in frames], dtype=np.int32),
        "boxes": torch.cat([frame.boxes for _, frame in frames]).numpy(),
        "class_scores": torch.cat([frame.class_scores for _, frame in frames]).numpy(),
    }
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def load_scores(path: Path, dataset: Dataset) -> tuple[dict[str, list[Candidates]], dict]:
    """What `save_scores` wrote of clips of a data set: the candidates and the head."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(str(file["head"]))
        counts = file["count"].tolist()
        boxes = torch.from_numpy(file["boxes"]).split(counts)
        scores = torch.from_numpy(file["class_scores"]).split(counts)
        keys = zip(file["video"].tolist(), file["frame"].tolist(), strict=True)
        videos: dict[str, list[Candidates]] = {name: [] for name in head["videos"]}
        for (number, frame), own_boxes, own_scores in zip(keys, boxes, scores, strict=True):
            video = dataset.video(head["videos"][number])
            size = video.height, video.width
            videos[video.name].append(
                Candidates(own_boxes, own_scores, dataset.class_names, frame, image_size=size)
            )
    return videos, head


def to_detections(
    videos: ScoredVideos, *, score: float = 0.01, nms: float = 0.5
) -> dict[str, list[Detections]]:
    """The detections that a model's candidates lead to, as `Predictor.detect` selects them."""
    options = DetectOptions(score=score, nms=nms, max_detections=100)
    return {
        name: [frame.select(options) for frame in candidates] for name, candidates in videos.items()
    }


def save_detections(path: Path, videos: Mapping[str, Sequence[Detections]], head: dict) -> None:
    """Writes detections as one .npz, under a temporary name first."""
    frames = [
        (number, frame) for number, detections in enumerate(videos.values()) for frame in detections
    ]
    nothing = torch.empty(0)
    arrays: dict[str, Any] = {
        "head": np.array(json.dumps({**head, "videos": list(videos)})),
        "video": np.array([number for number, _ in frames], dtype=np.int32),
        "frame": np.array([frame.frame_index for _, frame in frames], dtype=np.int32),
        "count": np.array([len(frame) for _, frame in frames], dtype=np.int32),
        "boxes": torch.cat([nothing.view(0, 4), *(frame.boxes for _, frame in frames)]).numpy(),
        "scores": torch.cat([nothing, *(frame.scores for _, frame in frames)]).numpy(),
        "labels": torch.cat([nothing.int(), *(f.labels.int() for _, f in frames)]).numpy(),
    }
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def load_detections(path: Path, dataset: Dataset) -> tuple[dict[str, list[Detections]], dict]:
    """What `save_detections` wrote of videos of a data set: the detections and the head."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(str(file["head"]))
        counts = file["count"].tolist()
        parts = [torch.from_numpy(file[name]).split(counts) for name in ("boxes", "scores")]
        labels = torch.from_numpy(file["labels"]).long().split(counts)
        keys = zip(file["video"].tolist(), file["frame"].tolist(), strict=True)
        videos: dict[str, list[Detections]] = {name: [] for name in head["videos"]}
        for (number, frame), boxes, scores, frame_labels in zip(keys, *parts, labels, strict=True):
            video = dataset.video(head["videos"][number])
            videos[video.name].append(
                Detections(
                    boxes,
                    scores,
                    frame_labels,
                    dataset.class_names,
                    frame,
                    image_size=(video.height, video.width),
                )
            )
    return videos, head
