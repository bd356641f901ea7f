"""The experiments of the paper, each as the rows that it compares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trovid.experiments.description import Clips, Experiment, Row
from trovid.recipes import TrainingFreeRecipe
from trovid.recipes.variants import TABLE_3, TABLE_4

TABLES = Clips(first=600)
"""Clips 0 to 299 were read while the detectors were made, 300 to 599 are those of the four
detectors' own report."""
LONG = Clips(first=900, count=100, frames=208, every=26)
STRONGER = Clips(first=1300, count=100)
SEEN = Clips(first=1400, count=150)

SINGLE = Row(name="single-frame", recipe="single", published=74.0)
TROI = Row(name="MS + attention", recipe="single-troi", published=80.5)


def table1() -> Experiment:
    """What finds the RoI in support frames, and what puts the frames together."""
    return Experiment(
        name="table1",
        title="Table 1: Most Similar RoI Align and temporal attention",
        clips=TABLES,
        rows=(
            SINGLE,
            Row(name="MD + averaging", recipe="single-md-average", published=68.5),
            Row(name="MD + attention", recipe="single-md-attention", published=76.6),
            Row(name="MS + averaging", recipe="single-ms-average", published=78.5),
            TROI,
        ),
        comparisons=(
            (TROI.name, SINGLE.name),
            (TROI.name, "MD + attention"),
            (TROI.name, "MS + averaging"),
            ("MS + averaging", SINGLE.name),
            ("MD + attention", SINGLE.name),
        ),
        notes=(
            "MD: modulated deformable RoI Align, whose offsets and mask are predicted from target "
            "and support RoI features of the same box; MS: Most Similar RoI Align.",
        ),
    )


def table2() -> Experiment:
    """Most similar places against attention over all of them."""
    return Experiment(
        name="table2",
        title="Table 2: Temporal RoI Align and Non-Local",
        clips=TABLES,
        rows=(
            SINGLE,
            Row(name="RoIAlign + Non-Local", recipe="single-non-local", published=77.9),
            Row(name="RoIAlign + Non-Local top-K", recipe="single-non-local-top-k", published=78.4),
            replace(TROI, name="Temporal RoI Align"),
        ),
        comparisons=(
            ("Temporal RoI Align", "RoIAlign + Non-Local top-K"),
            ("Temporal RoI Align", "RoIAlign + Non-Local"),
            ("RoIAlign + Non-Local top-K", "RoIAlign + Non-Local"),
            ("RoIAlign + Non-Local", SINGLE.name),
        ),
        notes=("Non-Local starts as RoIAlign (W_z = 0), and so needs longer to be of use.",),
    )


def _ending(letter: str, value: int) -> str:
    return "single-troi" if value == 4 else f"single-troi-{letter.lower()}{value}"


def table3() -> Experiment:
    """How many most similar places."""
    trained = [
        Row(name=f"K = {k}", recipe=_ending("K", k), published=figure, curve="trained with K", x=k)
        for k, figure in TABLE_3.items()
    ]
    used = [
        Row(
            name=f"trained with K = 4, used with {k}",
            recipe="single-troi",
            top_k=None if k == 4 else k,
            curve="trained with 4, used with K",
            x=k,
        )
        for k in TABLE_3
    ]
    return Experiment(
        name="table3",
        title="Table 3: K, the most similar places of each support frame",
        clips=TABLES,
        rows=(*trained, *used),
        comparisons=tuple(("K = 4", f"K = {k}") for k in TABLE_3 if k != 4),
        axis="K",
    )


def table4() -> Experiment:
    """How many groups of channels in the attention."""
    return Experiment(
        name="table4",
        title="Table 4: N, the groups of channels in the temporal attention",
        clips=TABLES,
        rows=tuple(
            Row(
                name=f"N = {n}",
                recipe=_ending("N", n),
                published=figure,
                curve="trained with N",
                x=n,
            )
            for n, figure in TABLE_4.items()
        ),
        comparisons=tuple(("N = 4", f"N = {n}") for n in TABLE_4 if n != 4),
        axis="N",
    )


CONSECUTIVE = (0, 2, 6, 10, 14, 20, 26)
STRIDES = (1, 3, 5, 7, 8)
UNIFORM = (2, 6, 10, 14, 20, 26)


def fig5() -> Experiment:
    """Which support frames, and how many, at inference."""
    published = {("consecutive", 0): 74.0, ("consecutive", 26): 78.0}
    published |= {("uniform", 2): 78.7, ("uniform", 6): 79.5, ("uniform", 14): 80.5}
    rows = [
        Row(
            name=f"{kind}, T = {count}",
            recipe="single-troi",
            support=f"{kind}:{count}",
            published=published.get((kind, count)),
            curve=kind,
            x=count,
        )
        for kind, counts in (("consecutive", CONSECUTIVE), ("uniform", UNIFORM))
        for count in counts
    ]
    strides = [
        Row(
            name=f"T = 26, stride {step}",
            recipe="single-troi",
            support=f"stride:{step}x26",
            published=79.5 if step in (7, 8) else None,
            curve="T = 26",
            x=step,
            axis="stride, frames from one support frame to the next",
        )
        for step in STRIDES[1:]
    ]
    nearest = next(row for row in rows if row.support == "consecutive:26")
    strides.insert(
        0,
        replace(strides[0], name="T = 26, stride 1", support=nearest.support, x=STRIDES[0]),
    )
    return Experiment(
        name="fig5",
        title="Figure 5: support frames at inference",
        clips=LONG,
        rows=(*rows, *strides),
        comparisons=(
            ("T = 26, stride 8", "consecutive, T = 26"),
            ("uniform, T = 26", "T = 26, stride 8"),
            ("uniform, T = 26", "consecutive, T = 26"),
            ("uniform, T = 14", "uniform, T = 2"),
            ("uniform, T = 26", "uniform, T = 14"),
            ("consecutive, T = 26", "consecutive, T = 0"),
        ),
        axis="T, support frames",
        notes=(
            "One training with K = 4 and N = 4. Clips of 208 frames, in which 26 support frames at "
            "a stride of 8 are all frames of the clip at that distance.",
        ),
    )


SELSA = Row(name="SELSA", recipe="selsa", published=80.3)
BOTH = Row(name="SELSA + TROI", recipe="selsa-troi", published=82.0)


def table5() -> Experiment:
    """On top of another detector."""
    troi = replace(TROI, name="single-frame + TROI")
    return Experiment(
        name="table5",
        title="Table 5: Temporal RoI Align on top of SELSA",
        clips=TABLES,
        rows=(SINGLE, troi, SELSA, BOTH),
        comparisons=(
            (BOTH.name, SELSA.name),
            (troi.name, SINGLE.name),
            (SELSA.name, SINGLE.name),
            (BOTH.name, troi.name),
        ),
    )


def table6() -> Experiment:
    """Beside aggregation of whole images, and post-processing."""
    fgfa = Row(name="FGFA without flow", recipe="fgfa", published=78.4)
    sequences = replace(SINGLE, name="single-frame + Seq-NMS", seq_nms=True, published=None)
    both = replace(BOTH, name="SELSA + TROI + Seq-NMS", seq_nms=True, published=None)
    return Experiment(
        name="table6",
        title="Table 6: beside aggregation of whole images, and post-processing",
        clips=TABLES,
        rows=(SINGLE, sequences, fgfa, SELSA, BOTH, both),
        comparisons=(
            (fgfa.name, SINGLE.name),
            (BOTH.name, fgfa.name),
            (sequences.name, SINGLE.name),
            (both.name, BOTH.name),
        ),
        notes=(
            "FGFA's published figure is with optical flow. Seq-NMS goes through all frames, the "
            "figures are of the evaluated ones.",
        ),
    )


METHODS = (
    SINGLE,
    Row(name="training-free", recipe="single", temporal=TrainingFreeRecipe()),
    replace(TROI, name="single-frame + TROI"),
    SELSA,
    BOTH,
)


def strength() -> Experiment:
    """Accuracy over the strength of the deteriorations."""
    strengths = (0.5, 1.0, 1.5, 2.0, 2.5)
    rows = [
        replace(
            row,
            name=f"{row.name}, strength {value:g}",
            published=None,
            curve=row.name,
            x=value,
            clips=replace(STRONGER, strength=value),
        )
        for value in strengths
        for row in METHODS
    ]
    comparisons = [
        (f"{row.name}, strength {value:g}", f"{SINGLE.name}, strength {value:g}")
        for value in strengths
        for row in METHODS[1:]
    ]
    return Experiment(
        name="strength",
        title="Accuracy over the strength of deteriorations",
        clips=STRONGER,
        rows=tuple(rows),
        comparisons=tuple(comparisons),
        axis="factor on all deteriorations (1.5 is the benchmark's)",
    )


def unseen() -> Experiment:
    """In the manner of Table 7: conditions as in training, and others."""
    places = {"seen": SEEN, "unseen": replace(SEEN, setting="unseen")}
    rows = [
        replace(row, name=f"{row.name}, {word}", published=None, clips=clips)
        for word, clips in places.items()
        for row in METHODS
    ]
    pairs = [*((row.name, SINGLE.name) for row in METHODS[1:]), (BOTH.name, SELSA.name)]
    return Experiment(
        name="unseen",
        title="Conditions that training has not (in the manner of Table 7)",
        clips=SEEN,
        rows=tuple(rows),
        comparisons=tuple((f"{a}, {word}", f"{b}, {word}") for word in places for a, b in pairs),
        notes=(
            "Unseen: checks and rings of hard edges with three times the clutter in place of noise "
            "and gratings, and objects smaller and larger than any in training. The paper's Table "
            "7 (EPIC-KITCHENS, mAP at IoU 0.5, seen / unseen kitchens): SELSA 38.8 / 36.7, with "
            "Temporal RoI Align 42.2 / 39.6.",
        ),
    )


SETTINGS: dict[str, dict[str, Any]] = {
    "benchmark": {},
    "twins": {"setting": "twins"},
    "unseen": {"setting": "unseen"},
    "stronger": {"strength": 2.25},
}
"""Where SELSA might leave more to gain: a class twice in a clip, other conditions, less to see."""


def selsa() -> Experiment:
    """What Temporal RoI Align adds to SELSA, by the data: looked at on val, reported on test."""
    splits = {"val": Clips(split="val", first=200, count=100), "test": Clips(first=1550, count=150)}
    rows, comparisons = [], []
    for split, clips in splits.items():
        for setting, changes in SETTINGS.items():
            names = [f"{row.name}, {setting}, {split}" for row in (SELSA, BOTH)]
            rows += [
                replace(row, name=name, published=None, clips=replace(clips, **changes))
                for row, name in zip((SELSA, BOTH), names, strict=True)
            ]
            comparisons.append((names[1], names[0]))
    return Experiment(
        name="selsa",
        title="What Temporal RoI Align adds to SELSA, by the data",
        clips=splits["test"],
        rows=tuple(rows),
        comparisons=tuple(comparisons),
        notes=(
            "The paper's gain is +1.7 (Table 5). The trainings are those of the benchmark; all "
            "settings that were looked at are here, on validation and on test clips.",
        ),
    )


EXPERIMENTS = {
    "table1": table1,
    "table2": table2,
    "fig5": fig5,
    "table5": table5,
    "table3": table3,
    "table4": table4,
    "table6": table6,
    "strength": strength,
    "unseen": unseen,
    "selsa": selsa,
}
"""Name and function of each, in the order of "all"."""
