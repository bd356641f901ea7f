"""`trovid evaluate`: predictions, or a model, against labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import trovid
from trovid.allocator import keep_freed_memory
from trovid.cli.messages import print_record
from trovid.cli.names import ModelName
from trovid.cli.options import (
    FLAG,
    RUNNING,
    SELECTION,
    RunningOptions,
    SelectionOptions,
    defaults_of,
)
from trovid.cli.protocols import protocol_names
from trovid.cli.tracks import (
    check_labels,
    check_results,
    measure_tracks,
    print_tracks,
    read_tracks,
    track_protocol,
    with_identities,
    write_results,
)
from trovid.errors import TrovidError

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset
    from trovid.evaluation.report import Report
    from trovid.inference import Predictor
    from trovid.progress import Tick
    from trovid.structures import Detections, DetectOptions, VideoDetections

log = logging.getLogger("trovid")
OF_MODEL = (
    "split",
    "results",
    "support",
    "temporal",
    "every",
    "videos",
    "score",
    *vars(SELECTION),
    "batch",
    "shard",
    *vars(RUNNING),
)
"""Options that have no effect on predictions that are there already."""


def evaluate(
    predictions: Path | None = None,
    /,
    *,
    labels: Path | None = None,
    model: ModelName | None = None,
    data: Path | None = None,
    split: Literal["train", "val", "test"] | None = None,
    out: Path | None = None,
    report: Path | None = None,
    results: Path | None = None,
    support: str | None = None,
    temporal: Literal["training-free"] | None = None,
    every: Annotated[int, Parameter(help="Run the model on every N-th labelled frame.")] = 1,
    videos: Annotated[int | None, Parameter(help="Only the first N videos of --data.")] = None,
    score: float | None = None,
    selection: SelectionOptions = SELECTION,
    seq_nms: Annotated[bool, FLAG] = False,
    protocols: Annotated[str | None, Parameter(name=("--protocols", "--protocol"))] = None,
    resamples: int = 0,
    batch: int = 1,
    shard: str | None = None,
    running: RunningOptions = RUNNING,
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Measure predictions, or a model, against labels.

    COCO's AP50, AP75 and AP: of all objects, of each class, and of each group of objects: by size,
    by speed, and what else the labels tell apart (clean and deteriorated, kind, strength). Objects
    outside a group are ignored, false positives anywhere count. Only frames that were predicted
    are evaluated. With ImageNet VID's classes also its two other AP50 (--protocols). What a model
    that is run would do (--score, --support, --device, ...) is not asked of PREDICTIONS.

    Examples:
        trovid evaluate results/clip.json --labels labels.json --out report.json
        trovid evaluate --model synthvid-selsa-troi --data data/test.json --every 2
        trovid evaluate --model selsa-troi-r101-vid --data ILSVRC2015 --score 0.0001
        trovid evaluate found.json --labels labels.json --report report
        trovid evaluate found.json --labels labels.json --protocols devkit,voc
        trovid evaluate results.zip --labels ytvis2019 --protocol youtube-vis
        trovid evaluate results/ --labels MOT17/train --protocol mot
        trovid evaluate --model mine.safetensors --data data --protocol youtube-vis
        trovid evaluate --model m.safetensors --data d.json --shard 0/4 --out r.json
        trovid evaluate --model M --data D --protocol youtube-vis --results r.zip

    Args:
        predictions: JSON or Parquet of `trovid detect` or `trovid segment`, a folder of such files
            of one run, or a list of COCO results with the labels' ids; with --protocol youtube-vis
            also results in the form of YouTube-VIS (JSON or zip), with mot NAME.txt of one class or
            a folder of these.
        labels: JSON of the ground truth (COCO-VID style) that PREDICTIONS are held against, or a
            folder as with --data, of which the predicted videos of whatever split count.
        model: Name of an embedded model or a weights file, to be run over the videos of --data.
        data: JSON of the ground truth, whose videos lie beside it, all of them measured where it
            names none for validation; a folder with val.json; or the folder ILSVRC2015 of ImageNet
            VID, whose validation videos are taken.
        split: Videos of the folder --data that are taken: train, val or test, as they lie there;
            by default the validation videos.
        out: File for the figures, as JSON; replaced where it exists.
        report: Folder for report.json, report.md and report.html: tables, curves, bars, and the
            frames with most errors as pictures, where the videos are beside the labels; of tracks
            tables and bars.
        results: With --protocol youtube-vis: a .zip for its server (or .json) of the tracks in all
            frames, with the labels' ids of videos and classes. The labels may be hidden, as those
            of its val and test videos are; then there are no figures.
        support: Support frames of the model, such as uniform:14 (or 14); by default its recipe's.
        temporal: training-free: Temporal RoI Align without trained weights, for a model of single
            frames (or in place of the model's own).
        every: Run the model on every N-th labelled frame.
        videos: Only the first N videos of --data.
        score: Lowest score of the model's detections; by default 0.01, and 0.5 with --protocol mot.
        selection: See `SelectionOptions`.
        seq_nms: Suppress along sequences of boxes through the whole video (Seq-NMS); with
            PREDICTIONS among those that the file holds.
        protocols: Whose figures besides COCO's, with commas between: devkit and voc (ImageNet VID
            as FGFA and as MEGA measure it, each also without its code's habits), epic; by default
            those of ImageNet VID where the labels have its classes. In place of COCO's those of
            tracks, of detections with identities: youtube-vis (AP of tracks, of masks where the
            labels have any) or mot (HOTA, MOTA, IDF1, identity switches).
        resamples: How often the videos are drawn for 95 % intervals, say 1000, of AP50, of AP and
            AP50 with youtube-vis, of HOTA, MOTA, IDF1 and switches with mot; 0 for none.
        batch: Videos that are run at once and share the batch; faster on a GPU.
        shard: This process's part of the videos of --data, as i/n with i from 0, or auto in a Slurm
            array or under torchrun. What each finds is kept beside OUT (OUT.shards); the process
            that finds all of it there writes OUT, the same as one process alone.
        running: See `RunningOptions`.
        json: Print the figures as JSON in place of the tables.
    """
    given = {**locals(), **vars(selection), **vars(running)}
    if (predictions is None) == (model is None):
        raise TrovidError("give either a PREDICTIONS file with --labels, or --model with --data")
    tracks = track_protocol(protocols)
    if resamples < 0:
        raise TrovidError("--resamples must not be negative")
    if tracks and (seq_nms or shard is not None):
        raise TrovidError(f"--seq-nms and --shard do not go with --protocol {tracks}")
    files = Files(out, report, results)
    names = None if protocols is None or tracks else protocol_names(protocols)
    measuring: dict[str, Any] = {"protocols": names, "resamples": resamples}
    if tracks:
        measuring = {"tracks": tracks, "resamples": resamples}
    if predictions is not None:
        if labels is None or data is not None:
            raise TrovidError("PREDICTIONS need --labels GT.json (--data goes with --model)")
        _check_without_model(given)
        _of_file(predictions, labels, seq_nms, measuring, files, json)
    else:
        if data is None or labels is not None:
            raise TrovidError("--model needs --data GT.json (--labels goes with PREDICTIONS)")
        if every < 1 or batch < 1 or (videos is not None and videos < 1):
            raise TrovidError("--every, --videos and --batch must be at least 1")
        if shard is not None and out is None:
            raise TrovidError("--shard needs --out REPORT.json, beside which the parts are kept")
        if split is not None and not data.is_dir():
            raise TrovidError(f"--split goes with a folder, but --data is the file {data}")
        if results is not None:
            check_results(results, tracks, every)
        if batch > 1 and seq_nms:
            raise TrovidError("--seq-nms goes through one video at a time: leave out --batch")
        options = {
            "support": support,
            "score": (0.5 if tracks == "mot" else 0.01) if score is None else score,
            **vars(selection),
            "seq_nms": seq_nms,
        }
        loading = {**vars(running), "temporal": temporal}
        frames = {"every": every, "videos": videos, "at_once": batch}
        _of_model(str(model), data, split, frames, loading, options, measuring, shard, files, json)


def _check_without_model(given: Mapping[str, object]) -> None:
    """That nothing is asked for that only a model that is run can do."""
    usual = defaults_of(evaluate)
    for name in OF_MODEL:
        if given[name] != usual[name]:
            raise TrovidError(
                f"`{name}` goes with `model`: PREDICTIONS hold what was found, and are measured "
                "as they are; leave it out"
            )


@dataclass(frozen=True)
class Files:
    """Where the figures go: a JSON file, a folder with a page; and results for a server."""

    out: Path | None
    report: Path | None
    results: Path | None = None


def _of_file(
    predictions: Path,
    labels: Path,
    seq_nms: bool,
    measuring: Mapping[str, Any],
    files: Files,
    json: bool,
) -> None:
    from trovid.datasets.reading import read_labels
    from trovid.inference.seq_nms import seq_nms as suppress_along_sequences
    from trovid.runs.derived import check_not_derived
    from trovid.runs.predictions import read_frames, read_predictions

    check_not_derived(predictions)
    if "tracks" in measuring:
        everything, truth, report_head = read_tracks(measuring["tracks"], predictions, labels)
        _print_report(everything, truth, report_head, measuring, predictions, files, json)
        return
    head, found = read_predictions(predictions, labels=labels)
    truth = read_labels(labels, lambda val: all(name in val for name in found))
    report_head = {
        "model": head.get("model"),
        "predictions": predictions.name,
        "labels": labels.name,
    }
    if seq_nms:
        _, frames = read_frames(predictions)
        found = {name: suppress_along_sequences(detections) for name, detections in frames.items()}
        report_head["seq_nms"] = True
    _print_report(found, truth, report_head, measuring, predictions, files, json)


def _of_model(
    model: str,
    data: Path,
    split: str | None,
    frames: dict[str, Any],
    loading: dict[str, Any],
    options: dict[str, Any],
    measuring: Mapping[str, Any],
    shard: str | None,
    files: Files,
    json: bool,
) -> None:
    from trovid.datasets.reading import learned_from, read_dataset, read_split
    from trovid.evaluation import by_video, run_dataset
    from trovid.progress import bar
    from trovid.structures import DetectOptions

    keep_freed_memory()
    wanted = DetectOptions(**options)
    with bar("reading labels", unit="videos") as tick:
        if split is None and (files.results is None or not data.is_dir()):
            truth = read_dataset(data, progress=tick)
        else:
            truth = read_split(data, split or "val", progress=tick)
    labelled = "tracks" not in measuring or check_labels(truth, data, files.results, files.out)
    told = learned_from(data, truth) if Path(model).is_file() else None
    if told is not None:
        log.warning("%s", told)
    predictor = trovid.load(model, **loading)
    if "tracks" in measuring:
        masks = files.results is not None
        wanted = with_identities(measuring["tracks"], predictor, truth, wanted, masks=masks)
        frames = {**frames, "unlabelled": masks}
    found: Mapping[str, Sequence[Detections] | VideoDetections] | None
    with bar(f"evaluating {predictor.name}", unit="videos") as tick:
        if shard is None:
            found = by_video(run_dataset(predictor, truth, **frames, progress=tick, options=wanted))
        else:
            assert files.out is not None
            found = _of_shards(predictor, truth, wanted, frames, shard, files.out, tick)
    if found is None:
        return
    if files.results is not None:
        tracks = write_results(files.results, found, truth)
        counts = {"results": str(files.results), "videos": len(found), "tracks": tracks}
        if not labelled and json:
            print_record(counts)
        elif not json:
            print("results: {results}: {tracks} tracks in {videos} videos".format_map(counts))
    if not labelled:
        return
    chosen = {name: value for name, value in options.items() if value not in (None, False)}
    report_head = {
        "model": predictor.name,
        "labels": data.name,
        "support": predictor.options().support,
        "every": frames["every"],
        "precision": predictor.precision,
        **chosen,
    }
    _print_report(found, truth, report_head, measuring, data, files, json)


def _of_shards(
    predictor: Predictor,
    truth: Dataset,
    options: DetectOptions,
    frames: dict[str, Any],
    shard: str,
    out: Path,
    tick: Tick,
) -> Mapping[str, VideoDetections] | None:
    """What all shards have found; None, and a word, where some is missing yet."""
    from trovid.runs.dataset_shards import DatasetShards
    from trovid.runs.shard import Shard

    parsed_shard = Shard.parse(shard)
    folder = out.with_suffix(".shards")
    shards = DatasetShards(folder, predictor, truth, options, **frames)
    shards.run(parsed_shard, progress=tick)
    missing = shards.missing
    if missing:
        print(
            f"shard {parsed_shard} is done; {len(missing)} videos of other shards are missing: "
            f"{folder}"
        )
        return None
    return shards.predictions()


def _print_report(
    found: Mapping[str, Any],
    truth: Dataset,
    report_head: Mapping[str, object],
    measuring: Mapping[str, Any],
    source: Path,
    files: Files,
    json: bool,
) -> None:
    from trovid.evaluation import TrackReport
    from trovid.evaluation import evaluate as measure

    try:
        if "tracks" in measuring:
            protocol, resamples = measuring["tracks"], measuring["resamples"]
            report = measure_tracks(protocol, found, truth, report_head, resamples=resamples)
        else:
            report = measure(found, truth, head=report_head, **measuring)
    except TrovidError as error:
        raise TrovidError(f"{source}: {error}") from error
    if files.out is not None:
        report.save(files.out)
    if files.report is not None:
        from trovid.cli.evaluate_report import write_report, write_track_report

        if isinstance(report, TrackReport):
            write_track_report(files.report, report)
        else:
            write_report(files.report, report, found, truth)
    if json:
        print_record(report.to_dict())
    elif isinstance(report, TrackReport):
        print_tracks(report)
    else:
        _print_tables(report)
    if not json:
        for path in (files.out, files.report and files.report / "report.html"):
            if path is not None:
                print(f"figures: {path}")


def _print_tables(report: Report) -> None:
    from trovid.cli.tables import print_tables, table_console
    from trovid.evaluation.tables import report_tables

    console = table_console()
    print_tables(report_tables(report), console)
    for key, word in (
        ("predicted_classes_left_out", "predicted classes that the labels do not have"),
        ("unlabelled_frames_left_out", "predicted frames without labels"),
        ("ignored_objects", "objects that the labels call a crowd or ignored"),
    ):
        if report.head[key]:
            console.print(f"left out: {word}: {report.head[key]}", highlight=False)
