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
    class_names = list(dict.fromkeys(name for own in splits.values() for name in own.class_names))
    entries: list[VideoEntry] = []
    columns: list[Objects] = []
    taken: dict[str, Path] = {}
    for split, whole in splits.items():
        own = whole.subset(v.name for v in whole.videos if taken.get(v.name) != whole.path(v.name))
        labels = np.array([class_names.index(name) for name in own.class_names], dtype=np.int32)
        columns.append(
            replace(
                own.objects,
                videos=own.objects.videos + np.int32(len(entries)),
                labels=labels[own.objects.labels] if len(own.objects) else own.objects.labels,
            )
        )
        for video in own.videos:
            name = f"{split}/{video.name}" if video.name in taken else video.name
            taken.setdefault(video.name, own.path(video.name))
            entries.append(
                VideoEntry(
                    replace(video, name=name),
                    str(own.path(video.name)),
                    own.labelled_frames(video.name).tolist(),
                    own.named_files(video.name),
                )
            )
    first = next(iter(splits.values()))
    return Dataset(
        class_names,
        entries,
        _in_a_row(columns),
        info={"name": first.info["name"]} if "name" in first.info else None,
        box_layout=first.box_layout,
    )


def _in_a_row(columns: Sequence[Objects]) -> Objects:
    together = {
        name: np.concatenate([getattr(own, name) for own in columns])
        for name in ("videos", "frames", "boxes", "labels", "instance_ids", "crowd", "ignore")
    }
    names = dict.fromkeys(name for own in columns for name in own.attributes)
    return Objects(
        **together,
        attributes={name: _attribute(name, columns) for name in names},
        masks=_codes([own.masks for own in columns], columns),
        visible_masks=_codes([own.visible_masks for own in columns], columns),
    )


def _attribute(name: str, columns: Sequence[Objects]) -> Attribute:
    """Not known where a split does not have it."""
    kinds = {own.attributes[name].dtype.kind for own in columns if name in own.attributes}
    unknown = "" if "U" in kinds else np.float32(np.nan)
    return np.concatenate([own.attributes.get(name, np.full(len(own), unknown)) for own in columns])


def _codes(
    masks: Sequence[NDArray[np.object_] | None], columns: Sequence[Objects]
) -> NDArray[np.object_] | None:
    if all(own is None for own in masks):
        return None
    return np.concatenate(
        [
            np.full(len(objects), b"", dtype=object) if own is None else own
            for own, objects in zip(masks, columns, strict=True)
        ]
    )
