"""`trovid blur`: persons, cars and other classes covered in videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import trovid
from trovid.cli.frame_rate import FALLBACK_RATE, check_frame_rate
from trovid.cli.names import DeviceName, ModelName
from trovid.cli.options import FLAG, detect_options
from trovid.cli.running import check_videos, counted_ahead, known_support, run_videos
from trovid.zoo.default import DEFAULT_MODEL


def blur(
    *videos: str | Path,
    classes: str,
    out: Path = Path("trovid-blur"),
    model: ModelName = DEFAULT_MODEL,
    by: Literal["box", "ellipse", "mask"] = "box",
    fill: Literal["blur", "pixelate", "solid"] = "blur",
    fill_gaps: int = 15,
    margin: float = 0.1,
    keep_sound: Annotated[bool, FLAG] = False,
    keep_metadata: Annotated[bool, FLAG] = False,
    score: float = 0.3,
    support: str | None = None,
    temporal: Literal["training-free"] | None = None,
    max_detections: int | None = None,
    track: Literal["iou", "embedding"] | None = None,
    start: str = "0",
    end: str | None = None,
    overwrite: Annotated[bool, FLAG] = False,
    resume: Annotated[bool, FLAG] = False,
    frame_rate: float = FALLBACK_RATE,
    allow_playlist: Annotated[bool, FLAG] = False,
    device: DeviceName = "auto",
    precision: Literal["float32", "bf16", "fp16"] = "float32",
    compile: Annotated[bool, FLAG] = False,
    deterministic: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
) -> int:
    """Cover persons, cars and other classes in videos, also where they were missed: MP4, report.

    For each VIDEO, OUT receives NAME.mp4, the video with every object of CLASSES covered;
    NAME.md, a report with the moments that a person should look at; and NAME.json, what was found
    in each frame, what was filled in, and the report. Each video is gone through twice: objects
    are found and followed, the frames where one was missed are filled in, then all is covered.

    Look through the moments of the report before you show the video to anybody. Faces and number
    plates are no classes of the models: whole persons and vehicles are covered, and where one is
    not found, its face or plate stays visible. Frames that cannot be decoded for sure become
    black. Sound, subtitles and metadata (place, device, time) are left out unless asked for.

    Results that exist are kept: say --overwrite or --resume. Ctrl-C, SIGTERM and SIGHUP
    complete the files with what was done; the same command with --resume goes on there.

    Exit status: 0 all done; 1 done with losses (a line names each: a video failed, is damaged or
    was interrupted); 2 nothing done.

    Examples:
        trovid blur street.mp4 --classes person,car
        trovid blur *.mp4 --classes person --fill solid --out to-publish
        trovid blur street.mp4 --classes person --fill-gaps 30 --keep-sound
        trovid blur street.mp4 --classes person --by mask --model coco-mask-r50-fpn
        trovid blur long.mkv --classes car --start 1:30 --end 2:00

    Args:
        videos: Video files, images, folders of images (in the order of the numbers in their
            names), folders of these, patterns in quotes, http(s) addresses of files.
        classes: Names of the classes to cover, with commas between them.
        out: Folder for the results; made where absent.
        model: Name of a model that comes with trovid, or a weights file.
        by: box, ellipse (within the box: corners stay visible), or mask (models with masks; where
            an object was filled in, its box is covered).
        fill: blur and pixelate leave at most 8 x 8 mean colours of an object; solid leaves nothing.
        fill_gaps: Frames that are covered on each side of a sighting where the object is not found:
            between two sightings, before the first and after the last.
        margin: Share of a box's width and height that is covered beyond it on each side.
        keep_sound: Let the sound go along: voices too tell who somebody is.
        keep_metadata: Let the file's texts go along: title, place, device, time.
        score: Lowest score at which an object is covered.
        support: Frames that support each other: uniform:14 (or 14), consecutive:6, stride:8x26;
            by default the model's own; a model of single frames has none.
        temporal: training-free: Temporal RoI Align without trained weights, for a model of single
            frames (or in place of the model's own).
        max_detections: Detections a frame at most; by default the model's own.
        track: How objects are known again: iou, by the overlap of their boxes from frame to frame;
            embedding, by how they look; by default (and with --track alone) iou, with masks what
            the model is made for.
        start: Time of the first frame: 12.5 seconds, or 1:30. What lies before is left out.
        end: Time at which to end. What lies after is left out.
        overwrite: Replace results that exist.
        resume: Go on where an interrupted run has stopped; skip what is complete.
        frame_rate: Frames per second of folders, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        device: Where to run: auto (the GPU where there is one), cpu, cuda, cuda:1, mps.
        precision: Of the backbone's later convolutions: bf16 is faster where the processor knows
            it; fp16 needs a GPU.
        compile: Let torch.compile make the backbone: slow at the first frame, faster then.
        deterministic: Use deterministic algorithms alone, for equal numbers in every run.
        json: Print the summary as JSON.
    """
    check_videos("blur", videos, overwrite=overwrite, resume=resume, batch=1, one_by_one=None)
    check_frame_rate(frame_rate)
    known = known_support(model, support)
    with counted_ahead(videos, allow_playlist=allow_playlist, support=known) as begun:
        from trovid.redaction import Redaction, redaction_batch

        redaction = Redaction(
            by=by,
            fill=fill,
            fill_gaps=fill_gaps,
            margin=margin,
            keep_sound=keep_sound,
            keep_metadata=keep_metadata,
        )
        options = detect_options(
            score=score,
            classes=classes,
            support=support,
            max_detections=max_detections,
            track=track,
            start=start,
            end=end,
        )
        runs = redaction_batch(
            lambda: trovid.load(
                model,
                device=device,
                precision=precision,
                compile=compile,
                deterministic=deterministic,
                temporal=temporal,
            ),
            out=out,
            options=options,
            redaction=redaction,
            overwrite=overwrite,
            resume=resume,
            frame_rate=frame_rate,
            allow_playlist=allow_playlist,
            begun=begun,
        )
        return run_videos(runs, videos, json=json)
