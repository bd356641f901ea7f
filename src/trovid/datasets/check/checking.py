"""All that is wrong with the labels and videos of a path, before a training finds it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trovid.datasets.check.files import RecordCache, file_findings
from trovid.datasets.check.labels import label_findings
from trovid.datasets.contract import Dataset
from trovid.datasets.findings import Faults, Finding, grouped
from trovid.datasets.reading import read_split, splits_of
from trovid.datasets.splitting import split_videos
from trovid.errors import TrovidError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        path: What was looked at.
        findings: Errors first.
        counts: By split ("" where there are none) videos, labelled frames, objects, classes.
    """

    path: Path
    findings: tuple[Finding, ...]
    counts: Mapping[str, Mapping[str, int]]

    @property
    def errors(self) -> list[Finding]:
        """What must be mended before anything is trained."""
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What may be meant so."""
        return [finding for finding in self.findings if finding.level == "warning"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it."""
        return {
            "path": str(self.path),
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "splits": dict(self.counts),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def check_data(
    path: Path,
    *,
    splits: Sequence[str] | None = None,
    decode: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Looks at all labels, and of all videos at the files' sizes, first and last frames.

    Args:
        path: A file of labels or a folder, of any format that `read_dataset` reads.
        splits: Those to look at; None for all that there are.
        decode: Whether every frame is decoded.
        cache: Folder that keeps what was seen of files, by their sizes and times.
        progress: Called with (videos done, videos in all), split by split.
    """
    path = Path(path)
    findings: list[Finding] = []
    datasets: dict[str, Dataset] = {}
    contents: dict[str, dict[str, str]] = {}
    try:
        there = splits_of(path)
    except TrovidError as error:
        return CheckReport(path, (Finding("unreadable-labels", str(error)),), {})
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    records = RecordCache(cache / f"{name}.json" if cache else None)
    for split in [s for s in there if splits is None or s in splits] or [None]:
        faults, word = Faults(collect=True), split or ""
        try:
            dataset = read_split(path, split, faults=faults)
        except TrovidError as error:
            findings.append(Finding("unreadable-labels", str(error), word))
            findings += faults.findings(word)
            continue
        datasets[word] = dataset
        findings += faults.findings(word)
        looked = file_findings(dataset, word, decode=decode, cache=records, progress=progress)
        if dataset.videos or not faults.findings():
            findings += label_findings(dataset, word, swapped=looked.swapped)
        findings += looked.findings
        contents[word] = looked.contents
    records.save()
    findings += _between(datasets, contents) + _validation(path, datasets)
    ordered = sorted(findings, key=lambda finding: finding.level)
    return CheckReport(path, tuple(ordered), {s: _counts(d) for s, d in datasets.items()})


def _counts(dataset: Dataset) -> dict[str, int]:
    return {
        "videos": len(dataset.videos),
        "labelled_frames": sum(len(dataset.labelled_frames(v.name)) for v in dataset.videos),
        "objects": len(dataset.objects),
        "ignored": int((~dataset.objects.counted).sum()),
        "classes": len(dataset.class_names),
    }


def _between(
    datasets: Mapping[str, Dataset], contents: Mapping[str, Mapping[str, str]]
) -> list[Finding]:
    """What the splits contradict each other in."""
    found = []
    first, *others = datasets or [""]
    for split in others:
        one, other = datasets[first].class_names, datasets[split].class_names
        if one != other:
            found.append(Finding("classes-differ", _classes(one, other, first, split), split))
    seen: dict[str, tuple[str, str]] = {}
    between: list[tuple[str, str]] = []
    within: dict[str, list[tuple[str, str]]] = {}
    for split, split_contents in contents.items():
        for video, content in split_contents.items():
            other, name = seen.setdefault(content, (split, video))
            if other != split:
                between.append((video, f"is {name} of {other} too: take it out of one of them"))
            elif name != video:
                within.setdefault(split, []).append((video, f"has the same frames as {name}"))
        for video in datasets[split].videos:
            for other in datasets:
                known = other != split and video.name in datasets[other]
                if known and datasets[other].source(video.name) == datasets[split].source(
                    video.name
                ):
                    text = f"is in {other} too: take it out of one of them"
                    if (video.name, text) not in between and other < split:
                        between.append((video.name, text))
    if between:
        unique = list({place: (place, text) for place, text in between}.values())
        found.append(grouped("duplicate-video", "", unique))
    return found + [grouped("repeated-video", split, places) for split, places in within.items()]


def _classes(one: Sequence[str], other: Sequence[str], first: str, second: str) -> str:
    if set(one) == set(other):
        places = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        return (
            f"the same classes as in {first}, but in another order: class {places[0]} is "
            f"{one[places[0]]!r} there and {other[places[0]]!r} here; use one order"
        )
    lacking = [name for name in one if name not in other]
    new = [name for name in other if name not in one]
    words = [f"only in {first}: {', '.join(lacking[:5])}"] if lacking else []
    words += [f"only in {second}: {', '.join(new[:5])}"] if new else []
    return "; ".join(words) + "; use one list of classes for all splits"


def _validation(path: Path, datasets: Mapping[str, Dataset]) -> list[Finding]:
    if not datasets or set(datasets) - {"", "train"}:
        return _unseen(datasets)
    if not path.is_dir() and set(datasets) == {""}:
        return []
    train, val = split_videos(next(iter(datasets.values())))
    if val:
        text = (
            f"no videos are named for validation: a training takes {len(val)} of "
            f"{len(train) + len(val)} by their names; `trovid data split` writes that down"
        )
    else:
        text = "no videos are there for validation: add some, or a training is not measured"
    return [Finding("no-val", text)]


def _unseen(datasets: Mapping[str, Dataset]) -> list[Finding]:
    train = datasets.get("train")
    found = []
    for split, dataset in datasets.items():
        if train is None or split == "train" or dataset.class_names != train.class_names:
            continue
        labels, known = (set(np.unique(d.objects.labels).tolist()) for d in (dataset, train))
        new = [dataset.class_names[label] for label in sorted(labels - known)]
        if new:
            text = f"{', '.join(new[:5])}: labelled here, but in no training video"
            found.append(Finding("class-not-in-train", text, split, tuple(new), len(new)))
    return found
