"""The forms that labels can be written in, and what each cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trovid.datasets.contract import Dataset
from trovid.datasets.writing import coco_vid, cvat, label_studio, mot, plain_json, yolo, youtube_vis
from trovid.errors import TrovidError, nearest

KINDS: Mapping[str, str] = {
    "masks": "masks",
    "visible": "what of each object can be seen (masks are whole shapes: amodal)",
    "crowd": "crowd flags (their boxes are left out)",
    "ignore": "ignore flags (their boxes are left out)",
    "ids": "instance ids",
    "attributes": "attributes",
    "sparse": "which frames were looked at (unlabelled frames count as empty)",
}


@dataclass(frozen=True)
class Form:
    """A form of labels.

    Attributes:
        name: What it is called.
        keeps: Of `KINDS` what it can hold; classes and boxes are always kept.
        write: Writes a data set; the path is a file or a folder, see each file.
    """

    name: str
    keeps: frozenset[str]
    write: Callable[[Path, Dataset], None]


FORMS = {
    form.name: form
    for form in (
        Form("own", frozenset(("masks", "crowd", "ignore", "ids", "sparse")), plain_json.write),
        Form("coco-vid", frozenset(KINDS), coco_vid.write),
        Form("yolo", frozenset(("sparse",)), yolo.write),
        Form("cvat", frozenset(("ids",)), cvat.write),
        Form("youtube-vis", frozenset(("masks", "crowd", "ids", "sparse")), youtube_vis.write),
        Form("mot", frozenset(("ids", "ignore")), mot.write),
        Form("label-studio", frozenset(("ids",)), label_studio.write),
    )
}


def write_dataset(path: Path, dataset: Dataset, form: str) -> list[str]:
    """Writes a data set in another form.

    Args:
        path: The file or folder.
        dataset: The labels; videos stay where they are, and are named by their path from there.
        form: A key of `FORMS`.

    Returns:
        What is there and the form cannot hold, each in a few words.

    Raises:
        TrovidError: If there is no such form, or something cannot be read or written.
    """
    if form not in FORMS:
        raise TrovidError(f"labels cannot be written as {form!r}{nearest(form, FORMS)}")
    FORMS[form].write(path, dataset)
    return [KINDS[kind] for kind in lost(dataset, form)]


def lost(dataset: Dataset, form: str) -> list[str]:
    """What a data set holds and a form cannot, as keys of `KINDS`."""
    objects = dataset.objects
    whole = all(len(dataset.labelled_frames(v.name)) == v.num_frames for v in dataset.videos)
    there = {
        "masks": objects.masks is not None,
        "visible": objects.visible_masks is not None,
        "crowd": bool(objects.crowd.any()),
        "ignore": bool(objects.ignore.any()),
        "ids": bool(len(np.unique(objects.instance_ids)) < len(objects)),
        "attributes": bool(objects.attributes),
        "sparse": not whole,
    }
    return [kind for kind, found in there.items() if found and kind not in FORMS[form].keeps]
