"""`trovid explain`: where Temporal RoI Align found an object again, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

import trovid
from trovid.cli.frame_rate import FALLBACK_RATE, check_frame_rate
from trovid.cli.messages import print_record
from trovid.cli.names import DeviceName, ModelName
from trovid.errors import TrovidError, without_password
from trovid.zoo.default import DEFAULT_MODEL

if TYPE_CHECKING:
    from trovid.inference.explanation import Explanation, FrameExplanation
    from trovid.inference.predictor import Predictor
    from trovid.video.opening import VideoReader

FLAG = Parameter(negative="")
UNTRAINED = " (the temporal attention is not trained, its weights say nothing)"
SHOWN_WITHOUT_NAME = "explanation of the box given"


def explain(
    video: str | Path,
    /,
    *,
    frame: int | None = None,
    time: str | None = None,
    box: str | None = None,
    detection: int | None = None,
    classes: str | None = None,
    score: float = 0.3,
    position: str | None = None,
    support: str = "uniform:4",
    model: ModelName = DEFAULT_MODEL,
    temporal: Literal["training-free"] | None = None,
    out: Path | None = None,
    overwrite: Annotated[bool, FLAG] = False,
    frame_rate: float = FALLBACK_RATE,
    allow_playlist: Annotated[bool, FLAG] = False,
    device: DeviceName = "auto",
    json: Annotated[bool, FLAG] = False,
) -> None:
    """Draw where Temporal RoI Align found an object again in other frames.

    As Fig. 6 of the paper: the target frame with the object's box (dashed) and one position of
    its RoI grid (solid); each support frame with the point most similar to it and the cosine;
    under each frame its weight in the temporal attention. The object is the surest detection of
    the frame, unless --detection or --box names another.

    Beside the picture NAME.html, one file that needs nothing else: choose a detection, point at a
    position of its RoI grid (or move over it with the arrow keys), see its K most similar places
    and its weight in every support frame, for each group of channels and averaged.

    Examples:
        trovid explain street.mp4
        trovid explain street.mp4 --time 1:30 --classes dog --support uniform:6
        trovid explain street.mp4 --frame 40 --detection 2
        trovid explain street.mp4 --frame 40 --box 120,80,260,210 --out why.png

    Args:
        video: A video file, its http(s) address, or a folder of images.
        frame: Index of the target frame, from 0; by default the one in the middle.
        time: Its time in place of its index: 12.5 seconds, or 1:30.
        box: The object's place, x1,y1,x2,y2 in pixels of the video; nothing is detected then.
        detection: Number of the detection in the picture, 1 the surest; the page has all.
        classes: Names of the classes that the object may have, with commas between them.
        score: Lowest score of the object.
        position: Row and column in the RoI grid, from 0; by default its middle.
        support: Support frames to show: uniform:4 (or 4), consecutive:6, stride:8x26; the target
            frame itself is left out.
        model: Name of a model that looks at support frames, or a weights file.
        temporal: training-free: Temporal RoI Align without trained weights, for a model of single
            frames (or in place of the model's own).
        out: The PNG file; by default VIDEO-explained.png in the current folder. The page lies
            beside it.
        overwrite: Replace the files where they exist.
        frame_rate: Frames per second of folders of images, which do not know it.
        allow_playlist: Take a playlist (.m3u8, ffconcat, SDP) too, for which the files that it
            names are read.
        device: Where to run: auto, cpu, cuda, cuda:1, mps.
        json: Print box, points, cosines and weights as JSON.
    """
    from trovid.inference import explanation as explanations
    from trovid.runs.jobs import result_stem
    from trovid.video.opening import open_video
    from trovid.viz.explanation import save_explanation
    from trovid.viz.explanation_page import save_explanation_page

    check_frame_rate(frame_rate)
    if frame is not None and time is not None:
        raise TrovidError("--frame and --time both choose the frame: give one of them")
    if box is not None and (classes is not None or detection is not None):
        other = "--classes" if classes is not None else "--detection"
        raise TrovidError(f"--box names the place and {other} what to find: give one of them")
    place_in_grid = None if position is None else _position(position)
    place = None if box is None else _box(box)
    names = None if classes is None else tuple(name.strip() for name in classes.split(","))
    target = out or Path(f"{result_stem(str(video))}-explained.png")
    page = target.with_suffix(".html")
    for file in (target, page):
        if file.exists() and not overwrite:
            raise TrovidError(f"{file}: exists; give --overwrite or another --out")

    predictor = trovid.load(model, device=device, temporal=temporal)
    with open_video(video, frame_rate=frame_rate, allow_playlist=allow_playlist) as reader:
        index, num_frames = _index(reader, frame, time), reader.video.num_frames
        number = 0
        if place is None:
            found = explanations.detections_of(
                predictor, reader, frame=index, score=score, classes=names
            )
            number = _number(detection, len(found))
            scores = found.scores.tolist()
            titles = [f"{n} {s:.2f}" for n, s in zip(found.names, scores, strict=True)]
            boxes = found.boxes
        else:
            import torch

            boxes, titles = torch.tensor([place]), [SHOWN_WITHOUT_NAME]
        whole = explanations.explain_frame(
            predictor, reader, frame=index, boxes=boxes, support=support
        )
        row, column = explanations.checked_position(place_in_grid, predictor)
        explanation = explanations.position_of(whole, number, row, column)
    words = "" if predictor.detector.temporal_trained else UNTRAINED
    shown = without_password(str(video))
    title, heading = f"{titles[number]}{words}", f"{Path(shown).name}{words}"
    save_explanation(explanation, target, title=f"{Path(shown).name}: {title}")
    save_explanation_page(
        whole,
        page,
        names=titles,
        title=heading,
        detection=number,
        position=(row, column),
        notes=_notes(predictor, whole, num_frames, detected=place is None),
    )
    if json:
        print_record({**_record(explanation, shown, title, target), "page": str(page)})
    else:
        print(target)
        print(page)


def _notes(
    predictor: Predictor, whole: FrameExplanation, num_frames: int, *, detected: bool
) -> list[str]:
    """What a reader of the page has to know of its weights."""
    from trovid.structures import SupportSampling

    notes = []
    if predictor.detector.roi_features.extractor.residual:
        notes.append(
            "The target's own features are added whole: this residual is outside of the weights."
        )
    used = predictor.options().support
    if detected and used is not None:
        target, shown = whole.target.index, {frame.index for frame in whole.support}
        seen = {*SupportSampling.parse(used).indices(num_frames, target)} - {target}
        if seen != shown:
            count = "as many others" if len(seen) == len(shown) else len(seen)
            notes.append(
                f"The weights are those among the support frames shown ({len(shown)}); the "
                f"detections themselves were made with {count} ({used})."
            )
    return notes


def _number(detection: int | None, found: int) -> int:
    """The index of the detection asked for."""
    if detection is None:
        return 0
    if not 1 <= detection <= found:
        raise TrovidError(
            f"--detection must lie in 1..{found}, the detections of the frame, but is {detection}; "
            "a lower --score gives more"
        )
    return detection - 1


def _position(text: str) -> tuple[int, int]:
    try:
        row, column = (int(word) for word in text.split(","))
    except ValueError as error:
        raise TrovidError(f"--position {text!r} is not understood: write it as 2,5") from error
    return row, column


def _box(text: str) -> tuple[float, ...]:
    try:
        x1, y1, x2, y2 = (float(word) for word in text.split(","))
    except ValueError as error:
        raise TrovidError(
            f"--box {text!r} is not understood: write it as 120,80,260,210"
        ) from error
    return x1, y1, x2, y2


def _index(reader: VideoReader, frame: int | None, time: str | None) -> int:
    if frame is not None:
        return frame
    if time is None:
        return reader.video.num_frames // 2
    from bisect import bisect_left

    from trovid.structures.times import seconds

    found = bisect_left(reader.times, seconds(time))
    if found >= len(reader.times):
        raise TrovidError(
            f"{reader.source}: --time {time} lies behind the last frame, "
            f"which is at {reader.times[-1]:.2f} s"
        )
    return found


def _record(explanation: Explanation, video: str, title: str, file: Path) -> dict[str, Any]:
    rows = zip(
        explanation.support,
        explanation.points.tolist(),
        explanation.similarities.tolist(),
        explanation.weights[1:].tolist(),
        strict=True,
    )
    return {
        "video": video,
        "object": title,
        "frame": explanation.target.index,
        "time": explanation.target.time,
        "box": explanation.box.tolist(),
        "cell": explanation.cell.tolist(),
        "level": explanation.level,
        "searched_level": explanation.searched_level,
        "weight": float(explanation.weights[0]),
        "support": [
            {"frame": f.index, "time": f.time, "point": p, "cosine": c, "weight": w}
            for f, p, c, w in rows
        ],
        "file": str(file),
    }
