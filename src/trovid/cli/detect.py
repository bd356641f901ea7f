"""`trovid detect`: objects in video files, folders of frames, cameras and streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import trovid
from trovid.cli.detect_shard import check_alone, detect_shard
from trovid.cli.frame_rate import FALLBACK_RATE, check_frame_rate
from trovid.cli.names import ModelName
from trovid.cli.options import (
    FLAG,
    FRAMES,
    RUNNING,
    SELECTION,
    FrameOptions,
    RunningOptions,
    SelectionOptions,
    detect_options,
)
from trovid.cli.running import (
    check_videos,
    counted_ahead,
    introduce,
    known_support,
    run_videos,
    window_for,
)
from trovid.errors import TrovidError
from trovid.zoo.default import DEFAULT_MODEL

if TYPE_CHECKING:
    from trovid.datasets.contract import Dataset
    from trovid.inference import Predictor
    from trovid.structures import Detections


def detect(
    *videos: str | Path,
    out: str | Path = Path("trovid-detect"),
    model: ModelName = DEFAULT_MODEL,
    score: float | None = None,
    classes: str | None = None,
    support: str | None = None,
    temporal: Literal["training-free"] | None = None,
    selection: SelectionOptions = SELECTION,
    seq_nms: Annotated[bool, FLAG] = False,
    track: Literal["iou", "embedding"] | None = None,
    frames: FrameOptions = FRAMES,
    video: bool = True,
    csv: bool = True,
    coco: Annotated[bool, FLAG] = False,
    mot: Annotated[bool, FLAG] = False,
    parquet: Annotated[bool, FLAG] = False,
    sheet: Annotated[bool, FLAG] = False,
    timeline: Annotated[bool, FLAG] = False,
    side_by_side: Annotated[bool, FLAG] = False,
    beside: Annotated[tuple[Path, ...], FLAG] = (),
    labels: Path | None = None,
    label_size: int | None = None,
    no_labels: Annotated[bool, FLAG] = False,
    show: Annotated[bool, FLAG] = False,
    overwrite: Annotated[bool, FLAG] = False,
    resume: Annotated[bool, FLAG] = False,
    shard: str | None = None,
    frame_rate: float = FALLBACK_RATE,
    allow_playlist: Annotated[bool, FLAG] = False,
    batch: int = 1,
    running: RunningOptions = RUNNING,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Find objects in videos: annotated MP4, JSON and CSV.

    For each VIDEO, OUT receives NAME.mp4, the video with boxes, classes and scores (its frame
    rate, its sound); NAME.json, the same as numbers: for each frame its index and time and its
    detections with class, score and box (x1 y1 x2 y2 in pixels of the source); and NAME.csv, one
    line a detection. Videos may be of any length: memory does not grow with it.

    The default model knows 20 everyday classes (persons, vehicles, animals, furniture) and needs
    no connection; `trovid models` lists others.

    Results that exist are kept: say --overwrite or --resume. Ctrl-C, SIGTERM and SIGHUP
    complete the files with what was done; the same command with --resume goes on there.

    Exit status: 0 all done; 1 done with losses (a line names each: a video failed, is damaged or
    was interrupted); 2 nothing done.

    Examples:
        trovid detect street.mp4
        trovid detect *.mp4 frames/ --out results --score 0.3 --classes dog,person
        trovid detect long.mkv --model mine.safetensors --support uniform:30
        trovid detect holiday.mp4 --model coco-r50-fpn --temporal training-free
        trovid detect long.mkv --start 1:30 --end 2:00 --stride 5 --sheet
        trovid detect street.mp4 --track
        trovid detect street.mp4 --side-by-side --labels labels.json
        trovid detect street.mp4 --beside other/street.json --timeline
        trovid detect webcam --online --show --out live
        trovid detect rtsp://192.0.2.7/door --online --lookahead 5 --end 60
        trovid detect videos/ --shard 0/4 --out results

    Args:
        videos: Video files, images, folders of images (in the order of the numbers in their
            names), folders of these, patterns in quotes, http(s) addresses of files, and
            with --online cameras (webcam, webcam:1) and addresses of streams.
        out: Folder for the results; made where absent. With --shard also an address (s3://...).
        model: Name of a model that comes with trovid, or a weights file.
        score: Lowest score that is kept; by default the one that was best in the model's own
            validation where its card says it (models trained on one's own data), else 0.5. With
            --track that of what begins an identity; see --continue-score.
        classes: Names of the classes to keep, with commas between them.
        support: Frames that support each other: uniform:14 (or 14), consecutive:6, stride:8x26;
            by default the model's own; a model of single frames has none.
        temporal: training-free: Temporal RoI Align without trained weights, for a model of single
            frames (or in place of the model's own).
        selection: See `SelectionOptions`.
        seq_nms: Suppress along sequences of boxes through the whole video (Seq-NMS), so that sure
            boxes lift unsure ones of the same object; a video is then gone through twice.
        track: Give the objects identities: iou, by the overlap of their boxes from frame to frame
            (so does --track alone); embedding, by how they look. They are drawn in a colour each.
            Of boxes of several classes on one object the surest is kept, and an object's class is
            the one that most of its frames speak for.
        frames: See `FrameOptions`.
        video: Whether to write the annotated video.
        csv: Whether to write the CSV file.
        coco: Write NAME.coco.json too, a list of COCO results.
        mot: Write NAME.txt too, with --track: one line a detection as MOT Challenge takes results,
            with identities and pixels from 0.
        parquet: Write NAME.parquet too, one row a detection.
        sheet: Write NAME.png too, evenly spaced frames on one picture (of a single picture the
            picture, as ever).
        timeline: Draw the score of each object over time under the video; single pictures and
            streams have none.
        side_by_side: Show the source beside the detections in the annotated video.
        beside: JSON of an earlier run over the same videos, to be shown beside this one; may be
            given several times (from four panels on they form a grid).
        labels: JSON of the ground truth (COCO-VID style, or a folder as `trovid evaluate` takes),
            drawn in thin white dashes.
        label_size: Height of the text at the boxes in pixels; by default it grows with the picture.
        no_labels: Draw boxes without text.
        show: Show the pictures in a window while they are made; closing it stops nothing.
        overwrite: Replace results that exist.
        resume: Go on where an interrupted run has stopped; skip what is complete.
        shard: This process's part of the videos below one folder (or address, such as s3://...),
            as i/n with i from 0, or auto in a Slurm array or under torchrun. For each video OUT
            receives PATH.parquet and nothing else; the same command again does what is missing,
            and `trovid merge` makes one file of all.
        frame_rate: Frames per second of folders, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        batch: Videos that are run at once and share the batch; faster on a GPU. Scores may differ
            by rounding.
        running: See `RunningOptions`.
        json: Print the summary as JSON.
    """
    one_by_one = "--seq-nms" if seq_nms else "--online" if frames.online else None
    check_videos(
        "detect", videos, overwrite=overwrite, resume=resume, batch=batch, one_by_one=one_by_one
    )
    check_frame_rate(frame_rate)
    if mot and track is None:
        raise TrovidError("--mot writes identities: give --track too")
    options = detect_options(
        score=score,
        classes=classes,
        support=support,
        **vars(selection),
        seq_nms=seq_nms,
        **vars(frames),
        track=track,
    )

    def load() -> Predictor:
        predictor = trovid.load(
            model,
            **vars(running),
            temporal=temporal,
        )
        if model == DEFAULT_MODEL and not predictor.notice.synthvid_alone:
            introduce(predictor)
        return predictor

    if shard is not None:
        other = {
            "--resume": resume,
            "--online": frames.online,
            "--coco": coco,
            "--mot": mot,
            "--sheet": sheet,
            "--timeline": timeline,
            "--side-by-side": side_by_side,
            "--beside": beside,
            "--labels": labels,
            "--label-size": label_size,
            "--no-labels": no_labels,
            "--show": show,
            "--batch": batch > 1,
            "--track": track is not None,
            "--allow-playlist": allow_playlist,
        }
        check_alone([name for name, given in other.items() if given], videos)
        return detect_shard(load, options, videos[0], out, shard, overwrite, frame_rate, json)
    kinds = {
        "video": video,
        "csv": csv,
        "coco": coco,
        "mot": mot,
        "sheet": sheet,
        "parquet": parquet,
        "json": True,
    }
    known = None if frames.online else known_support(model, support)
    with counted_ahead(videos, allow_playlist=allow_playlist, support=known) as begun:
        from trovid.runs.batch import Batch
        from trovid.runs.sinks.making import Pictures
        from trovid.viz.canvas import LabelStyle

        pictures = Pictures(
            timeline=timeline,
            side_by_side=side_by_side,
            labels=_labels(labels, videos),
            beside=_beside(beside),
            style=LabelStyle(not no_labels, label_size),
            window=window_for(show),
        )
        runs = Batch(
            load=load,
            options=options,
            out=Path(out),
            kinds={kind for kind, wanted in kinds.items() if wanted},
            pictures=pictures,
            overwrite=overwrite,
            resume=resume,
            frame_rate=frame_rate,
            allow_playlist=allow_playlist,
            at_once=batch,
            begun=begun,
        )
        return run_videos(runs, videos, json=json)


def _labels(path: Path | None, videos: Sequence[str | Path]) -> Dataset | None:
    if path is None:
        return None
    from trovid.datasets.reading import read_labels
    from trovid.runs.jobs import result_stem

    names = [result_stem(str(word)) for word in videos]
    return read_labels(path, lambda val: all(name in val for name in names))


def _beside(paths: Sequence[Path]) -> dict[str, dict[str, list[Detections]]]:
    """By the name of its model (numbered where it repeats) what each run found."""
    from trovid.runs.predictions import read_frames

    results: dict[str, dict[str, list[Detections]]] = {}
    for path in paths:
        head, found = read_frames(path)
        title = str(head.get("model", path.stem))
        same = sum(known == title or known.startswith(f"{title} (") for known in results)
        results[f"{title} ({same + 1})" if same else title] = found
    return results
