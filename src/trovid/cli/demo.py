"""`trovid demo`: the same detector with and without Temporal RoI Align, on built-in clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from trovid.cli.messages import complain, print_record, say
from trovid.cli.names import ModelName
from trovid.cli.tables import print_tables, table_console
from trovid.zoo.default import DEFAULT_MODEL, EVERYDAY, SEGMENTER

if TYPE_CHECKING:
    from trovid.evaluation.report import Report

SINGLE, TEMPORAL = "synthvid-single", "synthvid-selsa-troi"
CLIPS, SHOWN_CLIPS = 24, 4
SHOWN_SCORE = 0.4


def demo(
    out: Path = Path("trovid-demo"),
    /,
    *,
    video: str | None = None,
    model: ModelName = DEFAULT_MODEL,
    single: ModelName | None = None,
    clips: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compare a single-frame detector with SELSA + Temporal RoI Align on SynthVID test clips.

    Takes a few minutes on 2 cores. Writes into OUT:
      comparison.mp4     the first four test clips, on the right with the method
      contact-sheet.png  frames of the same clips
      explanation.png    where one deteriorated object was found again
      detections-*.json  all detections of both models
      clips/             the clips and their labels
    where a model with masks comes with trovid, segmented/*.mp4: a clip with masks and identities;
    and, where a model of everyday things comes with trovid, a page of clips panned over
    photographs: everyday/index.html (with scikit-image, which carries them).

    With --video on a video of one's own instead: OUT/NAME.mp4, left single frames, right with the
    other frames, the scores over time below (of a picture NAME.png, without them); and what both
    found as JSON. What an earlier demo wrote is replaced, and nothing else.

    Examples:
        trovid demo
        trovid demo /tmp/demo --clips 40
        trovid demo /tmp/demo --video holiday.mp4 --model coco-r50-fpn

    Args:
        out: Folder for the results.
        video: A video of one's own, in place of the built-in clips.
        model: With --video: the model with Temporal RoI Align, by name or as a file; a model of
            single frames gets it without training (training-free).
        single: With --video: its single-frame rival; by default the default model's own, or
            the model itself without its support frames.
        clips: Number of test clips that the table is made of, at least 20; by default 24.
        json: Print the figures and files as JSON.
    """
    from trovid.errors import TrovidError
    from trovid.evaluation import evaluate
    from trovid.experiments.demonstration import run_models, segmented_clip, write_clips
    from trovid.viz.demonstration import save_comparison, save_contact_sheet, save_demo_explanation
    from trovid.zoo.weights import embedded_models

    if video is not None:
        if clips is not None:
            raise TrovidError("--clips belongs to the built-in clips: leave it out with --video")
        _own_video(video, out, model, single, json=json)
        return
    if model != DEFAULT_MODEL or single is not None:
        raise TrovidError("--model and --single belong to --video: the built-in clips have theirs")
    clips = CLIPS if clips is None else clips
    if clips < 20:
        raise TrovidError(f"--clips must be at least 20 for a table worth reading, but is {clips}")
    out.mkdir(parents=True, exist_ok=True)
    labels = write_clips(out / "clips", clips)
    found = run_models((SINGLE, TEMPORAL), labels, out)
    left, right = found[SINGLE], found[TEMPORAL]
    shown = [video.name for video in labels.videos[:SHOWN_CLIPS]]
    save_comparison(out / "comparison.mp4", labels, shown, left, right, score=SHOWN_SCORE)
    save_contact_sheet(out / "contact-sheet.png", labels, shown, left, right, score=SHOWN_SCORE)
    save_demo_explanation(out / "explanation.png", labels, left, right, model=TEMPORAL)
    reports = {name: evaluate(predictions, labels) for name, predictions in found.items()}
    segmented = None
    if SEGMENTER in embedded_models():
        segmented = segmented_clip(out / "segmented", SEGMENTER, show_progress=not json)
    page = everyday_page(out / "everyday", show_progress=not json)
    more = {"segmented": segmented, "everyday": page}
    if json:
        figures = {name: report.to_dict() for name, report in reports.items()}
        made = {name: str(path) for name, path in more.items() if path is not None}
        print_record({"folder": str(out), "reports": figures, **made})
        return
    _print_table(reports)
    print(f"\nLook at {out / 'comparison.mp4'}")
    for name in ("contact-sheet.png", "explanation.png", "detections-*.json"):
        print(f"        {out / name}")
    for path in more.values():
        if path is not None:
            print(f"        {path}")


def _own_video(video: str, out: Path, model: str, single: str | None, *, json: bool) -> None:
    from trovid.experiments.video_demo import compare_on_video, load_pair

    made = compare_on_video(video, out, load_pair(model, single), show_progress=not json)
    for loss in made.losses:
        complain(loss)
    if json:
        files = {name: str(getattr(made, name)) for name in ("video", "temporal", "single")}
        counts = dict(zip(("single", "temporal"), made.detections, strict=True))
        print_record({**files, "frames": made.frames, "detections": counts})
        return
    alone, both = made.detections
    print(f"{made.frames} frames: {alone} detections in single frames, {both} with the others")
    print(f"\nLook at {made.video}")
    for path in (made.temporal, made.single):
        print(f"        {path}")


def everyday_page(
    folder: Path,
    *,
    show_progress: bool,
    models: tuple[str, str] = EVERYDAY,
    photographs: Path | None = None,
    frames: int | None = None,
) -> Path | None:
    """The page made with the model of everyday things; None where there is none to show.

    Args:
        folder: Where it goes.
        show_progress: Whether bars are shown.
        models: The single-frame model and the other one, by embedded name or file.
        photographs: Folder of the photographs; None for scikit-image's.
        frames: Of each clip; None for those of a whole pan.
    """
    from trovid.errors import TrovidError
    from trovid.experiments.photographs import (
        FRAMES,
        photographs_folder,
        write_clips,
        write_page,
    )
    from trovid.experiments.video_demo import compare_on_video, load_pair
    from trovid.zoo.weights import embedded_models

    embedded = embedded_models()
    if not all(name in embedded or Path(name).is_file() for name in models):
        return None
    single, temporal = models
    try:
        photographs = photographs or photographs_folder()
    except TrovidError as error:
        say(str(error))
        return None
    pair = load_pair(temporal, single)
    clips = write_clips(folder / "clips", photographs, frames or FRAMES)
    made = [
        compare_on_video(str(clip), folder, pair, show_progress=show_progress) for clip in clips
    ]
    page = folder / "index.html"
    write_page(page, made, "Everyday things in frames that show them badly")
    return page


def _print_table(reports: dict[str, Report]) -> None:
    from trovid.evaluation.tables import Table

    head = next(iter(reports.values())).head
    title = f"COCO AP50 (%) over {head['videos']} test clips, {head['frames']} frames"
    groups = list(next(iter(reports.values())).groups)
    names = ["all", *(g for g in groups if not g.startswith(("strength", "motion")))]
    rows = []
    for name in names:
        figures = [
            report.overall if name == "all" else report.groups[name] for report in reports.values()
        ]
        rows.append((name, *(f"{100 * figure.ap50:.1f}" for figure in figures)))
    print_tables([Table(title, ("objects", *reports), rows)], table_console())
