"""The splits of a data set as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.objects import Attribute, Objects


def joined(splits: Mapping[str, Dataset]) -> Dataset:
    """The videos of all splits, with the classes of all.

    A video that is in two of them is taken from the first; another one of the same name is called
    SPLIT/NAME.
    """
    class_names = list(
        dict.fromkeys(name for dataset in splits.values() for name in dataset.class_names)
    )
    entries: list[VideoEntry] = []
    columns: list[Objects] = []
    taken: dict[str, Path] = {}
    for split, whole in splits.items():
        subset = whole.subset(
            v.name for v in whole.videos if taken.get(v.name) != whole.path(v.name)
        )
        labels = np.array([class_names.index(name) for name in subset.class_names], dtype=np.int32)
        columns.append(
            replace(
                subset.objects,
                videos=subset.objects.videos + np.int32(len(entries)),
                labels=labels[subset.objects.labels]
                if len(subset.objects)
                else subset.objects.labels,
            )
        )
        for video in subset.videos:
            name = f"{split}/{video.name}" if video.name in taken else video.name
            taken.setdefault(video.name, subset.path(video.name))
            entries.append(
                VideoEntry(
                    replace(video, name=name),
                    str(subset.path(video.name)),
                    subset.labelled_frames(video.name).tolist(),
                    subset.named_files(video.name),
                )
            )
    first = next(iter(splits.values()))
    return Dataset(
        class_names,
        entries,
        _in_a_row(columns),
        info={key: first.info[key] for key in ("name", "amodal") if key in first.info},
        box_layout=first.box_layout,
    )


def _in_a_row(columns: Sequence[Objects]) -> Objects:
    together = {
        name: np.concatenate([getattr(objects, name) for objects in columns])
        for name in ("videos", "frames", "boxes", "labels", "instance_ids", "crowd", "ignore")
    }
    names = dict.fromkeys(name for objects in columns for name in objects.attributes)
    return Objects(
        **together,
        attributes={name: _attribute(name, columns) for name in names},
        masks=_codes([objects.masks for objects in columns], columns),
        visible_masks=_codes([objects.visible_masks for objects in columns], columns),
    )


def _attribute(name: str, columns: Sequence[Objects]) -> Attribute:
    """Not known where a split does not have it."""
    kinds = {
        objects.attributes[name].dtype.kind for objects in columns if name in objects.attributes
    }
    unknown = "" if "U" in kinds else np.float32(np.nan)
    return np.concatenate(
        [objects.attributes.get(name, np.full(len(objects), unknown)) for objects in columns]
    )


def _codes(
    masks: Sequence[NDArray[np.object_] | None], columns: Sequence[Objects]
) -> NDArray[np.object_] | None:
    if all(codes is None for codes in masks):
        return None
    return np.concatenate(
        [
            np.full(len(objects), b"", dtype=object) if codes is None else codes
            for codes, objects in zip(masks, columns, strict=True)
        ]
    )
