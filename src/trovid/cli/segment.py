"""`trovid segment`: masks and identities of the objects in videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import trovid
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
from trovid.cli.running import check_videos, counted_ahead, known_support, run_videos, window_for


def segment(
    *videos: str | Path,
    out: Path = Path("trovid-segment"),
    model: ModelName = "coco-mask-r50-fpn",
    score: float = 0.5,
    classes: str | None = None,
    track: Literal["iou", "embedding"] | None = None,
    support: str | None = None,
    temporal: Literal["training-free"] | None = None,
    selection: SelectionOptions = SELECTION,
    frames: FrameOptions = FRAMES,
    video: bool = True,
    youtube_vis: bool = True,
    masks: Annotated[bool, FLAG] = False,
    csv: Annotated[bool, FLAG] = False,
    coco: Annotated[bool, FLAG] = False,
    mot: Annotated[bool, FLAG] = False,
    label_size: int | None = None,
    no_labels: Annotated[bool, FLAG] = False,
    show: Annotated[bool, FLAG] = False,
    overwrite: Annotated[bool, FLAG] = False,
    resume: Annotated[bool, FLAG] = False,
    frame_rate: float = FALLBACK_RATE,
    allow_playlist: Annotated[bool, FLAG] = False,
    batch: int = 1,
    running: RunningOptions = RUNNING,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Give every object in videos a mask and an identity: overlay MP4, JSON, PNG.

    For each VIDEO, OUT receives NAME.mp4, the video with each object in a colour of its own;
    NAME.json, for each frame its detections with class, score, box, mask (COCO's run-length code)
    and track; and NAME.youtube-vis.json, one entry a track. Videos may be of any length: memory
    does not grow with it.

    The default model knows COCO's 80 classes; it is downloaded once. Models with a track head
    (`trovid models`: masktrack) know objects again by how they look, others by where they are.

    Results that exist are kept: say --overwrite or --resume. Ctrl-C, SIGTERM and SIGHUP
    complete the files with what was done; the same command with --resume goes on there, identities
    included.

    Exit status: 0 all done; 1 done with losses (a line names each: a video failed, is damaged or
    was interrupted); 2 nothing done.

    Examples:
        trovid segment street.mp4
        trovid segment *.mp4 frames/ --out results --score 0.3 --masks
        trovid segment street.mp4 --classes person,dog --track embedding
        trovid segment long.mkv --model mine.safetensors --resume
        trovid segment webcam --online --out live

    Args:
        videos: Video files, images, folders of images (in the order of the numbers in their
            names), folders of these, patterns in quotes, http(s) addresses of files, and
            with --online cameras (webcam, webcam:1) and addresses of streams.
        out: Folder for the results; made where absent.
        model: Name of a model with masks, or a weights file.
        score: Lowest score that begins an identity; see --continue-score.
        classes: Names of the classes to keep, with commas between them.
        track: How objects are known again: iou, by the overlap of their boxes from frame to frame;
            embedding, by how they look; by default (and with --track alone) embedding where the
            model has a track head, else iou.
            Of boxes of several classes on one object the surest is kept, and an object's class is
            the one that most of its frames speak for.
        support: Frames that support each other: uniform:14 (or 14), consecutive:6, stride:8x26;
            by default the model's own; a model of single frames has none.
        temporal: training-free: Temporal RoI Align without trained weights, for a model of single
            frames (or in place of the model's own).
        selection: See `SelectionOptions`.
        frames: See `FrameOptions`.
        video: Whether to write the overlay video.
        youtube_vis: Whether to write the tracks in YouTube-VIS's form.
        masks: Write NAME-masks too, a palette PNG a frame as DAVIS has them, which has room for a
            video's first 254 identities; a line says how many others were left out.
        csv: Write NAME.csv too, one line a detection, without its mask.
        coco: Write NAME.coco.json too, a list of COCO results with masks.
        mot: Write NAME.txt too, one line a detection as MOT Challenge takes results, with
            identities and pixels from 0.
        label_size: Height of the text at the boxes in pixels; by default it grows with the picture.
        no_labels: Draw boxes without text.
        show: Show the pictures in a window while they are made; closing it stops nothing.
        overwrite: Replace results that exist.
        resume: Go on where an interrupted run has stopped; skip what is complete.
        frame_rate: Frames per second of folders, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        batch: Videos that are run at once and share the batch; faster on a GPU. Scores may differ
            by rounding.
        running: See `RunningOptions`.
        json: Print the summary as JSON.
    """
    one_by_one = "--online" if frames.online else None
    check_videos(
        "segment", videos, overwrite=overwrite, resume=resume, batch=batch, one_by_one=one_by_one
    )
    check_frame_rate(frame_rate)
    options = detect_options(
        score=score,
        classes=classes,
        support=support,
        **vars(selection),
        **vars(frames),
        masks=True,
        track=track,
    )
    kinds = {
        "video": video,
        "csv": csv,
        "coco": coco,
        "mot": mot,
        "youtube-vis": youtube_vis,
        "masks": masks,
        "json": True,
    }
    known = None if frames.online else known_support(model, support)
    with counted_ahead(videos, allow_playlist=allow_playlist, support=known) as begun:
        from trovid.runs.batch import Batch
        from trovid.runs.sinks.making import Pictures
        from trovid.viz.canvas import LabelStyle

        runs = Batch(
            load=lambda: trovid.load(
                model,
                temporal=temporal,
                **vars(running),
            ),
            options=options,
            segment=True,
            out=out,
            kinds={kind for kind, wanted in kinds.items() if wanted},
            pictures=Pictures(style=LabelStyle(not no_labels, label_size), window=window_for(show)),
            overwrite=overwrite,
            resume=resume,
            frame_rate=frame_rate,
            allow_playlist=allow_playlist,
            at_once=batch,
            begun=begun,
        )
        return run_videos(runs, videos, json=json)
