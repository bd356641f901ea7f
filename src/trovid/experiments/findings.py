"""What was found in runs of experiments: told on the page of that very run, and on no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What a run showed.

    Attributes:
        run: Which run: its key (`run_key`).
        texts: Paragraphs.
    """

    run: str
    texts: tuple[str, ...]


FINDINGS = {
    "table1": Finding(
        "da118c2cf365b6e1",
        (
            "Of SynthVID with seeds 1 to 3 (trainings of commit e795c58cb88f) two pairs are not in "
            "the paper's order; MS + attention is above MD + attention by 0.2, 1.0 and 1.6. Motion "
            "decides: of fast objects, 3847 of 5351, MS is above MD with every seed, with "
            "attention by 3.8 to 5.0, averaged by 7.4 to 8.7; of slow and medium ones MD is far "
            "above (with attention 95.6 and 95.9, MS 78.9 and 81.7). MD looks where the box lies "
            "in the target frame and shifts its bins by a "
            "tenth of the box for an offset of 1, so it needs no search where the object stays, "
            "and loses it where it leaves; MS searches by likeness, which fails between "
            "different states of one object (correspondence.json). Open: why MD + averaging is "
            "below single-frame on ImageNet VID, and whether a search that prefers near places "
            "would have both.",
        ),
    ),
    "fig5": Finding(
        "efecfde84273a502",
        (
            "Of SynthVID with the weights that come with trovid (commit 790a9d2bdad7) three pairs "
            "are not in the paper's order. Two are ties (-0.0 points, where each figure's interval "
            "reaches about 2 to either side): uniform, T = 6 and consecutive, T = 26; uniform, "
            "T = 14 and T = 26, stride 8. The third is not: uniform, T = 2 is 2.0 points below "
            "consecutive, T = 26 (87.2 [84.7, 89.1] and 89.2 [87.3, 90.9]; no interval of the "
            "difference was drawn), 5.5 on deteriorated objects and not on clean ones (+0.1). A "
            "likely cause is the data: an object is deteriorated for 4 to 8 frames at a time and "
            "for about half of all, so that 26 consecutive frames nearly always hold clear ones "
            "and two far apart often do not. Open: why slow objects lose 5.5 and fast ones 0.1, "
            "and how long objects stay deteriorated in ImageNet VID.",
        ),
    ),
    "table5": Finding(
        "72134d0dbe5aae30",
        (
            "Of SynthVID with seeds 1 to 3 (commit 73ddfaf681f1) two pairs are not in the paper's "
            "order. In both the row with Temporal RoI Align is, in the mean over seeds, "
            "below on clean objects and above on deteriorated ones.",
            "Single-frame + TROI is below SELSA with every seed (2.0, 0.2 and 0.9 points). So it "
            "is on clean objects (1.5, 0.4, 0.8) and on fast ones (2.4, 0.4, 1.0), which are 3847 "
            "of 5351; on deteriorated ones it is above by 0.4 (-1.7, +2.5, +0.4), on occluded ones "
            "with every seed (+4.3, +7.6, +8.6), on slow ones by 2.1. The same trainings on other "
            "clips (unseen.json, seen) have all -1.5, clean -1.2, fast -1.8, slow +4.2, occluded "
            "+4.9, but deteriorated -0.4. The distance grows with the strength (strength.json, "
            "other weights, one seed): -0.1 and +0.1 at 0.5 and 1, -0.9 at the benchmark's 1.5, "
            "-3.1 at 2.5.",
            "SELSA + TROI and SELSA are -1.0, +0.5 and +0.1 apart by seed, so that trainings "
            "differ by more than the distance (-0.1 [-0.4, +0.2]). With every seed it loses on "
            "clean objects (1.1, 0.1, 0.4) and wins on occluded ones (1.9, 6.8, 6.9). Where clips "
            "show a class twice it is above, +1.9 [+1.2, +2.7] (selsa.json, one seed).",
            "What the loss on clean objects may come from: from a clean target to a deteriorated "
            "support frame the most similar cell lies on the object in 33 % (correspondence.json; "
            "70 % where it is clean there too), and without training the loss on clean objects is "
            "gone (from -1.1 to -0.1) where a support frame counts by its similarity "
            "(training-free-val.json). Open: whether that holds for trained rows, why fast objects "
            "lose, and what a larger network or a longer training would give.",
        ),
    ),
}
"""By experiment what the run that is reported in docs/results showed."""


def run_key(result: Mapping[str, Any]) -> str:
    """Another one for other weights, clips or seeds.

    Args:
        result: See `experiment_result`.
    """
    weights = {one["sha256"] for row in result["rows"] for one in row["trained"]}
    clips = [dataset["clips"] for dataset in result["data"]]
    what = json.dumps([sorted(weights), clips, result["seeds"]])
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def findings(result: Mapping[str, Any]) -> tuple[str, ...]:
    """What is to be told of a run, paragraph by paragraph; nothing of one that was not looked at.

    Args:
        result: See `experiment_result`.
    """
    found = FINDINGS.get(result["experiment"])
    return found.texts if found is not None and found.run == run_key(result) else ()
