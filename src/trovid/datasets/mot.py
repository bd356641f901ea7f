"""MOT Challenge (MOT15, 16, 17, 20) as it is distributed, and results in its form."""

from __future__ import annotations

import configparser
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import torch

from trovid.datasets.contract import Dataset, VideoEntry
from trovid.datasets.imagenet_vid import Progress
from trovid.datasets.objects import ObjectRows
from trovid.datasets.ranges import MOST_MEASURE, MOST_RATE, is_number
from trovid.datasets.video_names import by_labels
from trovid.errors import TrovidError, shortened
from trovid.files import below, replacing
from trovid.structures import Detections, Video
from trovid.video.images import images_in, read_size

log = logging.getLogger("trovid")
CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
"""MOT16's numbers from 1."""
DISTRACTORS = frozenset(("person on vehicle", "static person", "distractor", "reflection"))
"""What the protocol forgives: detections on these are taken away before anything is counted."""
MOT20, MOT20_DISTRACTORS = "MOT20", DISTRACTORS | {"non motorized vehicle"}
"""How the sequences of that benchmark are called, and what is forgiven in them."""
DETECTORS = ("-FRCNN", "-SDP", "-DPM")
"""Endings by which MOT17 tells apart copies of one sequence; the first that is there is read."""
BOX_DECIMALS, SCORE_DECIMALS = 2, 5


def is_mot(path: Path) -> bool:
    """Whether a folder is a sequence (gt/gt.txt), or holds some, directly or in train."""
    return path.is_dir() and bool(_sequences(path) or _sequences(path / "train"))


def mot_splits(path: Path) -> tuple[str, ...]:
    """The splits that are folders of labelled sequences (the labels of test are not published)."""
    return tuple(split for split in ("train", "val", "test") if _sequences(path / split))


def read_mot(path: Path, split: str | None = None, *, progress: Progress | None = None) -> Dataset:
    """The labelled sequences of a folder.

    Every frame is labelled. Rows whose flag (the seventh field) is 0 are ignored: they need not be
    found. MOT17's copies of a sequence (one for each public detector) are read once. Of rows with
    at most nine fields the eighth is the class, by MOT16's names or, where tools write one, by the
    lines of gt/labels.txt, and the ninth the visibility, which becomes an attribute; longer ones
    (MOT15) have a position in the world there and are pedestrians. MOT16's classes that do not
    occur are left out.

    Args:
        path: A sequence (gt/gt.txt, img1, maybe seqinfo.ini), a folder of sequences, or a folder
            with train.
        split: "train", "val" or "test" of a folder that has them; None: all sequences.
        progress: Called with (sequences done, sequences in all).

    Raises:
        TrovidError: If a file cannot be read or a row does not fit; the message names file and
            line.
    """
    folders = _sequences(path / split) if split else _sequences(path) or _sequences(path / "train")
    if not folders:
        raise TrovidError(f"{path / (split or '.')}: holds no sequence (a folder with gt/gt.txt)")
    chosen = _without_copies(folders)
    names_of = [_class_names(folder) for folder in chosen]
    entries, found, called = [], [], {}
    for done, folder in enumerate(chosen, 1):
        entry, measures, called[folder.name] = _entry(folder)
        entries.append(entry)
        for where, row in _rows(folder / "gt/gt.txt", 6):
            if not 1 <= row[0] <= measures.num_frames:
                raise TrovidError(
                    f"{where}: frame must lie in 1..{measures.num_frames}, but is {row[0]:.0f}"
                )
            label = int(row[7]) if _has_class(row) and row[7] >= 1 else 1
            names = names_of[done - 1]
            if label > len(names):
                raise TrovidError(f"{where}: class must lie in 1..{len(names)}, but is {label}")
            if row[4] > 0 and row[5] > 0:
                found.append((done - 1, row, names[label - 1]))
        if progress:
            progress(done, len(chosen))
    there = {name for *_, name in found} | {CLASSES[0]}
    every = dict.fromkeys(name for names in names_of for name in names)
    used = [name for name in every if name in there or name not in CLASSES]
    rows = ObjectRows()
    for number, row, name in found:
        rows.add(
            number,
            int(row[0]) - 1,
            used.index(name),
            (row[2], row[3], row[2] + row[4], row[3] + row[5]),
            instance_id=int(row[1]) if row[1] >= 0 else None,
            ignore=len(row) > 6 and row[6] == 0,
            attributes={"visibility": row[8]} if _has_class(row) and len(row) > 8 else {},
        )
    others = {name: other for name, other in called.items() if other not in ("", name)}
    info = {
        "name": "MOT Challenge",
        **({"split": split} if split else {}),
        **({"sequence_names": others} if others else {}),
    }
    return Dataset(used, entries, rows.objects(), info=info)


def distractors(dataset: Dataset, name: str) -> frozenset[str]:
    """The classes that MOT Challenge forgives in a sequence, by the benchmark that it is of.

    Args:
        dataset: Labels of MOT Challenge.
        name: Name of a video of it.
    """
    called = dataset.info.get("sequence_names")
    given = called.get(name) if isinstance(called, dict) else None
    of_mot20 = any(str(word).startswith(MOT20) for word in (PurePath(name).name, given))
    return MOT20_DISTRACTORS if of_mot20 else DISTRACTORS


def write_mot_results(folder: Path, videos: Iterable[tuple[str, Sequence[Detections]]]) -> None:
    """Writes FOLDER/NAME.txt for each video: frame from 1, identity, x, y, width, height, score.

    Args:
        folder: Made where absent.
        videos: Name and frames of each video; classes are not written, the form has no place for
            them.

    Raises:
        TrovidError: If a file cannot be written, a video's name leads out of the folder, or
            detections have no `track_ids`.
    """
    for name, frames in videos:
        text = "".join(mot_lines(frame) for frame in frames)
        with replacing(below(folder, f"{name}.txt")) as partial:
            partial.write_text(text, encoding="ascii")


def mot_lines(detections: Detections) -> str:
    """The lines of one frame.

    Raises:
        TrovidError: If the detections have no `track_ids`.
    """
    if detections.track_ids is None and len(detections):
        raise TrovidError(
            f"the detections of frame {detections.frame_index} have no identities: predict with "
            "`trovid detect --track`"
        )
    ids = [] if detections.track_ids is None else detections.track_ids.tolist()
    lines = []
    for track, (x1, y1, x2, y2), score in zip(
        ids, detections.boxes.double().tolist(), detections.scores.tolist(), strict=True
    ):
        sides = (max(side, 10**-BOX_DECIMALS) for side in (x2 - x1, y2 - y1))
        box = (round(value, BOX_DECIMALS) for value in (x1, y1, *sides))
        fields = (detections.frame_index + 1, track, *box, round(score, SCORE_DECIMALS))
        lines.append(",".join(map(str, (*fields, -1, -1, -1))) + "\n")
    return "".join(lines)


def read_mot_results(path: Path, dataset: Dataset) -> dict[str, list[Detections]]:
    """Reads results of any program in this form; every detection is of the class that counts.

    Args:
        path: A folder with NAME.txt for each sequence, or one such file.
        dataset: The data set that they are of. Of a folder a sequence without a file has no
            detections; of a file its video alone counts.

    Returns:
        By the video's name all its frames.

    Raises:
        TrovidError: If a file cannot be read, is of no video, or a row does not fit (no identity,
            one that is in its frame already, no width or height), or the labels count several
            classes, which results in this form do not tell.
    """
    labels = sorted({*dataset.objects.labels[dataset.objects.counted].tolist()})
    if len(labels) > 1:
        names = ", ".join(dataset.class_names[label] for label in labels[:3])
        raise TrovidError(
            f"{path}: tells no classes, but the labels count {len(labels)} ({names}): give "
            "NAME.json of `trovid detect --track`, or labels of one class"
        )
    label = labels[0] if labels else 0
    files = _result_files(path)
    if not files:
        raise TrovidError(f"{path}: holds no results (NAME.txt for each sequence)")
    try:
        of = by_labels({_known(file.stem, dataset) or file.stem: file for file in files}, dataset)
    except TrovidError as error:
        raise TrovidError(f"{path}: {error}") from error
    counted = dataset.videos if path.is_dir() else [dataset.video(name) for name in of]
    return {v.name: _detections(of.get(v.name), v, label, dataset.class_names) for v in counted}


def results_within(path: Path, dataset: Dataset) -> bool:
    """Whether results in this form are of no other video than those of a data set."""
    return all(_known(file.stem, dataset) is not None for file in _result_files(path))


def _result_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.txt")) if path.is_dir() else [path]


def _detections(
    file: Path | None, video: Video, label: int, class_names: tuple[str, ...]
) -> list[Detections]:
    rows: dict[int, list[list[float]]] = {}
    seen: set[tuple[float, float]] = set()
    for where, row in _rows(file, 6) if file else ():
        if not 1 <= row[0] <= video.num_frames:
            raise TrovidError(
                f"{where}: frame must lie in 1..{video.num_frames}, but is {row[0]:.0f}"
            )
        if row[1] < 0:
            raise TrovidError(
                f"{where}: a detection of frame {row[0]:.0f} has no identity ({row[1]:.0f}): give "
                "results of a tracker, as of `trovid detect --track --mot`"
            )
        if (row[0], row[1]) in seen:
            raise TrovidError(
                f"{where}: identity {row[1]:.0f} is in frame {row[0]:.0f} twice: keep one row of "
                "an identity in a frame"
            )
        if row[4] <= 0 or row[5] <= 0:
            raise TrovidError(
                f"{where}: width and height must be above 0, but are {row[4]:g} and {row[5]:g}: "
                "correct or remove the row"
            )
        seen.add((row[0], row[1]))
        rows.setdefault(int(row[0]) - 1, []).append(row)
    frames = []
    for index in range(video.num_frames):
        frame_rows = rows.get(index, [])
        boxes = torch.tensor([row[2:6] for row in frame_rows], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        frames.append(
            Detections(
                boxes,
                torch.tensor([row[6] if len(row) > 6 else 1.0 for row in frame_rows]),
                torch.full((len(frame_rows),), label),
                class_names,
                index,
                image_size=(video.height, video.width),
                track_ids=torch.tensor([int(row[1]) for row in frame_rows], dtype=torch.int64),
            )
        )
    return frames


def _known(stem: str, dataset: Dataset) -> str | None:
    """The video of that name, or that is the same sequence with another public detector."""
    if stem in dataset:
        return stem
    base = _base(stem)
    return next((video.name for video in dataset.videos if _base(video.name) == base), None)


def _base(name: str) -> str:
    return next((name.removesuffix(end) for end in DETECTORS if name.endswith(end)), name)


def _without_copies(folders: Sequence[Path]) -> list[Path]:
    copies: dict[str, list[Path]] = {}
    for folder in folders:
        copies.setdefault(_base(folder.name), []).append(folder)
    chosen = [
        min(
            versions,
            key=lambda p: next((i for i, e in enumerate(DETECTORS) if p.name.endswith(e)), 9),
        )
        for versions in copies.values()
    ]
    if len(chosen) < len(folders):
        log.warning(
            "%s: %d sequences are copies with other public detections, and are read once",
            folders[0].parent,
            len(folders) - len(chosen),
        )
    return chosen


def _sequences(path: Path) -> list[Path]:
    if (path / "gt/gt.txt").is_file():
        return [path]
    return sorted(file.parent.parent for file in path.glob("*/gt/gt.txt"))


def _entry(folder: Path) -> tuple[VideoEntry, Video, str]:
    """A sequence, its measures, and its name in seqinfo.ini ("" where that has none)."""
    entries: Mapping[str, str] = {}
    if (folder / "seqinfo.ini").is_file():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(folder / "seqinfo.ini", encoding="utf-8")
            entries = dict(parser["Sequence"])
        except (configparser.Error, KeyError, UnicodeDecodeError) as error:
            reason = str(error).replace("\n", " ")
            raise TrovidError(f"{folder / 'seqinfo.ini'}: cannot be read: {reason}") from error
    images = folder / re.sub(r"[^\w.-]", "", entries.get("imdir", "img1"))
    try:
        measures = [int(entries[name]) for name in ("seqlength", "imheight", "imwidth")]
        rate = float(entries.get("framerate", 0))
    except KeyError:
        files = images_in(images)
        measures, rate = [len(files), *read_size(files[0])], 0.0
    except ValueError as error:
        raise TrovidError(f"{folder / 'seqinfo.ini'}: holds no number: {error}") from error
    if not all(1 <= measure <= MOST_MEASURE for measure in measures) or not 0 <= rate <= MOST_RATE:
        given = f"{shortened(measures)}, {rate}"
        raise TrovidError(f"{folder / 'seqinfo.ini'}: a measure is out of range: {given}")
    video = Video(folder.name, *measures, rate)
    entry = VideoEntry(video, str(images), range(video.num_frames))
    return entry, video, entries.get("name", "")


def _has_class(row: Sequence[float]) -> bool:
    return len(row) in (8, 9) and row[7] == int(row[7])


def _class_names(folder: Path) -> tuple[str, ...]:
    """What the numbers from 1 of a sequence's classes mean."""
    file = folder / "gt/labels.txt"
    if not file.is_file():
        return CLASSES
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrovidError(f"{file}: cannot be read: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _rows(path: Path, fewest: int) -> Iterator[tuple[str, list[float]]]:
    """The rows of a file, each with its place."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TrovidError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = [float(field) for field in re.split(r"[,\s]+", line.strip().rstrip(","))]
        except ValueError as error:
            raise TrovidError(f"{where}: must hold numbers, but is {line[:60]!r}") from error
        if len(row) < fewest or not all(map(is_number, row)):
            raise TrovidError(
                f"{where}: must hold frame, identity, x, y, width, height, but is {line[:60]!r}"
            )
        if row[0] != int(row[0]) or row[1] != int(row[1]):
            raise TrovidError(f"{where}: frame and identity must be whole numbers")
        yield where, row
