"""`trovid data`: looking at labelled videos, and changing what form they have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from trovid.cli.columns import print_columns
from trovid.cli.messages import print_record
from trovid.cli.tables import table_console
from trovid.errors import printable
from trovid.progress import bar

if TYPE_CHECKING:
    from trovid.datasets.check import CheckReport
    from trovid.datasets.contract import Dataset

log = logging.getLogger("trovid")
data = cyclopts.App(
    name="data",
    help="Labelled videos: check, stats, split, convert, view.",
    help_epilogue="Examples:\n"
    "    trovid data check my-videos\n"
    "    trovid data stats my-videos --plots stats.png\n"
    "    trovid data convert my-videos tasks.json --to label-studio",
    help_format="plaintext",
)
FLAG = Parameter(negative="")
FAULTS_FOUND = 1


@data.command
def check(
    path: Path,
    /,
    *,
    decode: Annotated[bool, FLAG] = False,
    sheet: Path | None = None,
    out: Path | None = None,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Find what is wrong with labels and videos before a training does.

    All labels are looked at, and of every video the files, their sizes, the number of frames and
    the first and last frame. An error stops a training, a warning is only said.

    Exit status: 0 no error; 1 errors were found; 2 there is nothing to look at.

    Examples:
        trovid data check my-videos
        trovid data check my-videos --sheet labels.png
        trovid data check ILSVRC2015 --decode --json

    Args:
        path: A file of labels, or a folder of any format that trovid reads.
        decode: Decode every frame of every video, which takes long.
        sheet: PNG to write: frames of the videos with their labels drawn.
        out: File for the findings as JSON.
        json: Print the findings as JSON in place of the table.
    """
    from trovid.datasets.check import check_data
    from trovid.datasets.reading import format_of
    from trovid.zoo.published import cache_folder

    format_of(path)
    with bar("checking", unit="videos") as tick:
        report = check_data(path, decode=decode, cache=cache_folder() / "checks", progress=tick)
    if sheet is not None:
        _write_sheet(sheet, path)
    if out is not None:
        _write_json(out, report)
    if json:
        print_record(report.to_dict())
    else:
        _print_report(report)
        if sheet is not None:
            print(f"labels drawn: {sheet}")
    return FAULTS_FOUND if report.errors else 0


@data.command
def stats(
    path: Path,
    /,
    *,
    split: str | None = None,
    plots: Path | None = None,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Say what labels hold: boxes, objects, videos, sizes, speeds and lengths of each class.

    Size is the root of a box's area, speed the way of its middle to the next frame as a share of
    its size, length the labelled frames of an object; all three are medians. Crowds and ignored
    objects do not count.

    Examples:
        trovid data stats my-videos
        trovid data stats ILSVRC2015 --split val --plots stats.png --json

    Args:
        path: A file of labels, or a folder of any format that trovid reads.
        split: Of a folder, where it has several: train, val or test; by default the first.
        plots: PNG to write.
        json: Print counts and quartiles as JSON in place of the table.
    """
    from trovid.datasets.statistics import statistics
    from trovid.viz.label_statistics import draw_statistics

    found = statistics(_read(path, split))
    if plots is not None:
        draw_statistics(found, plots)
    if json:
        print_record({name: class_statistics.to_dict() for name, class_statistics in found.items()})
        return
    rows = []
    for name, class_statistics in found.items():
        figures = class_statistics.to_dict()
        middle = [figures[key][1] if key in figures else "-" for key in ("sizes", "speeds")]
        length = figures["lengths"][1] if "lengths" in figures else "-"
        counts = [str(figures[key]) for key in ("objects", "instances", "videos")]
        rows.append([name, *counts, *(f"{m:.3g}" if m != "-" else m for m in (*middle, length))])
    heading = ["class", "boxes", "objects", "videos", "size", "speed", "length"]
    print_columns(heading, rows)
    if plots is not None:
        print(f"plots: {plots}")


@data.command
def split(
    path: Path,
    /,
    *,
    out: Path | None = None,
    share: float = 0.2,
    seed: int = 0,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Divide videos into training and validation, and write that down.

    A video is wholly in one part, and every class stays in training. Which videos are taken depends
    on their names alone.

    Examples:
        trovid data split my-videos
        trovid data split my-videos/labels.json --share 0.3 --out divided

    Args:
        path: A file of labels or a folder without validation videos of its own.
        out: Folder for train.json and val.json; by default that of the labels.
        share: Of the videos, about, for validation.
        seed: Another one gives another division.
        json: Print the files and their videos as JSON.
    """
    from trovid.datasets.reading import splits_of
    from trovid.datasets.splitting import split_videos
    from trovid.datasets.writing import write_dataset
    from trovid.errors import TrovidError

    if not 0 < share < 1:
        raise TrovidError(f"`share` must lie between 0 and 1, but is {share}")
    folder = out or (path if path.is_dir() else path.parent)
    targets = {name: folder / f"{name}.json" for name in ("train", "val")}
    for target in targets.values():
        if target.exists():
            raise TrovidError(f"{target}: is there already: choose another `out`")
    there = splits_of(path)
    if there and ("val" in there or "train" not in there):
        raise TrovidError(
            f"{path}: has splits of its own ({', '.join(there)}): use them, or first write the "
            "one to be divided by `trovid data convert --split`"
        )
    _say_left_out(path)
    dataset = _read(path, None)
    train, val = split_videos(dataset, share=share, seed=seed)
    if not val:
        raise TrovidError(
            f"{path}: no video can be spared for validation: each class must be in two videos"
        )
    for target, names in zip(targets.values(), (train, val), strict=True):
        write_dataset(target, dataset.subset(names), "coco-vid")
    if json:
        print_record({str(targets["train"]): train, str(targets["val"]): val})
        return
    for target, names in zip(targets.values(), (train, val), strict=True):
        print(f"{target}: {len(names)} videos")


@data.command
def convert(
    source: Path,
    target: Path,
    /,
    *,
    to: str | None = None,
    split: str | None = None,
    score: float = 0.3,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Write labels in another form, and say what that form cannot hold.

    Forms: own (labels.json as it is written by hand), coco-vid, yolo (a folder; the labelled frames
    are written as pictures), cvat (CVAT for video; a folder, or one .xml), label-studio (a JSON of
    tasks), youtube-vis (a JSON of tracks of masks, the labelled frames beside it as pictures), mot
    (a folder of MOT Challenge's sequences, all frames as pictures). Otherwise videos stay where
    they are. Predictions of `trovid detect` become labels too, to be corrected in CVAT or Label
    Studio.

    Examples:
        trovid data convert my-videos converted/labels.json --to coco-vid
        trovid data convert results/street.json tasks.json --to label-studio

    Args:
        source: A file of labels, a folder of any format that trovid reads, or predictions.
        target: The file or folder to write.
        to: The form; by default cvat for .xml, else own for .json.
        split: Of a folder, where it has several: train, val or test; by default the first.
        score: Lowest score of predictions that become labels.
        json: Print what was written and what is lost as JSON.
    """
    from trovid.datasets.writing import FORMS, write_dataset
    from trovid.errors import TrovidError
    from trovid.runs.predicted_labels import is_predictions, predicted_labels

    form = to or {".xml": "cvat", ".json": "own"}.get(target.suffix.lower())
    if form is None:
        raise TrovidError(f"{target}: name the form by `to`: {', '.join(FORMS)}")
    predicted = is_predictions(source)
    if split is None and not predicted:
        _say_left_out(source)
    dataset = predicted_labels(source, score=score) if predicted else _read(source, split)
    lost = write_dataset(target, dataset, form)
    counts = {"videos": len(dataset.videos), "boxes": len(dataset.objects)}
    if json:
        print_record({"file": str(target), "form": form, **counts, "lost": lost})
        return
    for kind in lost:
        print(f"lost: {kind}")
    print(f"{target}: {counts['videos']} videos, {counts['boxes']} boxes as {form}")


@data.command
def view(
    path: Path,
    video: str | None = None,
    /,
    *,
    out: Path | None = None,
    split: str | None = None,
    pictures: int = 12,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Draw labels: a video with them, or a sheet of frames of several videos.

    Examples:
        trovid data view my-videos
        trovid data view my-videos street.mp4 --out street-labels.mp4

    Args:
        path: A file of labels, or a folder of any format that trovid reads.
        video: Name of a video, which is written whole with its labels.
        out: The file to write: by default labels.png, or labels.mp4 with VIDEO.
        split: Of a folder, where it has several: train, val or test; by default the first.
        pictures: Frames on the sheet.
        json: Print the file as JSON.
    """
    from trovid.errors import TrovidError, nearest
    from trovid.viz.label_sheet import write_label_sheet, write_label_video

    dataset = _read(path, split)
    if video is None:
        target = out or Path("labels.png")
        write_label_sheet(target, dataset, count=pictures)
    else:
        if video not in dataset:
            names = [known.name for known in dataset.videos]
            raise TrovidError(f"{path}: no video {video!r}{nearest(video, names)}")
        target = out or Path("labels.mp4")
        with bar(video, unit="frames") as tick:
            write_label_video(target, dataset, video, progress=tick)
    if json:
        print_record({"file": str(target)})
    else:
        print(target)


def _read(path: Path, split: str | None) -> Dataset:
    """A split, by default the first; everything where there are none."""
    from trovid.datasets.reading import read_split, splits_of
    from trovid.errors import TrovidError, nearest

    there = splits_of(path)
    if split is not None and split not in there:
        raise TrovidError(f"{path}: has no split {split!r}{nearest(split, there)}")
    with bar("reading labels", unit="videos") as tick:
        return read_split(path, split or (there[0] if there else None), progress=tick)


def _say_left_out(path: Path) -> None:
    """A line on the splits that `_read` leaves out where none is named."""
    from trovid.datasets.reading import splits_of

    first, *others = splits_of(path) or ("",)
    if others:
        log.warning(
            "%s: only its videos of %s are taken, without %s; "
            "`trovid data convert --split %s` takes others",
            path,
            first,
            " and ".join(others),
            others[0],
        )


def _print_report(report: CheckReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = table_console()
    for split, counts in report.counts.items():
        words = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
        console.print(
            f"{printable(split or str(report.path))}: {words or 'nothing'}",
            highlight=False,
            markup=False,
        )
    if report.findings:
        table = Table()
        for column in ("level", "fault", "split", "number", "what and where"):
            table.add_column(column, overflow="fold")
        for found in report.findings:
            row = (found.level, found.name, found.split, str(found.count), found.message)
            table.add_row(*(escape(printable(cell)) for cell in row))
        console.print(table, highlight=False)
    errors, warnings = len(report.errors), len(report.warnings)
    said = f"{errors} errors, {warnings} warnings" if report.findings else "nothing is wrong"
    console.print(said, highlight=False)


def _write_json(path: Path, report: CheckReport) -> None:
    import json as json_text

    from trovid.files import replacing

    with replacing(path) as partial:
        partial.write_text(json_text.dumps(report.to_dict(), indent=1), encoding="utf-8")


def _write_sheet(sheet: Path, path: Path) -> None:
    from trovid.viz.label_sheet import write_label_sheet

    write_label_sheet(sheet, _lenient(path))


def _lenient(path: Path) -> Dataset:
    """The first split, without what does not fit."""
    from trovid.datasets.findings import Faults
    from trovid.datasets.reading import read_split, splits_of

    there = splits_of(path)
    return read_split(path, there[0] if there else None, faults=Faults(collect=True))
