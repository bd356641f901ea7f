"""AP50 with `search: coarse-to-fine` beside that of the exact search, on real videos.

The everyday model with both searches, the same weights and support frames, on the sequences of
DAVIS 2016 on which settings are chosen; a sequence's one object may be found by any class of its
group. Every fourth frame is looked at, spoilt by the strength of `trovid experiment everyday`,
while its support frames are clear. Intervals are drawn over sequences. One thread.

    python tools/coarse_search.py DAVIS --shorter 360 --level p3 --kinds motion_blur
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from trovid.datasets.davis import read_davis
from trovid.evaluation import bootstrap
from trovid.experiments.conditions import GRID, Condition
from trovid.experiments.davis_sequences import CHOOSING, of_classes
from trovid.experiments.everyday_jobs import loaded, scene_of
from trovid.experiments.everyday_methods import TEMPORAL, Method, look
from trovid.experiments.object_matches import match_objects
from trovid.experiments.scoring import to_detections
from trovid.inference.predictor import Predictor
from trovid.zoo.published import model_file
from trovid.zoo.weights import load_weights

EXACT, COARSE = "exact", "coarse-to-fine"
CHOICE = Path(__file__).parents[1] / "docs/results/everyday/everyday-choice.json"
METHOD = Method(name="Temporal RoI Align", model=TEMPORAL)


def make_predictor(search: str, shorter: int, level: str) -> Predictor:
    detector, card = load_weights(model_file(TEMPORAL))
    detector.roi_features.extractor.search = search
    detector.roi_features.searched = level
    detector.searched_levels = (level,)
    image = replace(card.recipe.image, shorter=shorter, longer=16 * shorter // 9)
    return Predictor(detector, replace(card.recipe, image=image), device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("davis", type=Path)
    parser.add_argument("--shorter", type=int, default=360, help="pixels of the shorter side")
    parser.add_argument("--level", default="p3", choices=["p3", "p4"], help="what is searched")
    parser.add_argument("--kinds", nargs="+", default=["motion_blur"], choices=GRID)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    strengths = json.loads(CHOICE.read_text(encoding="utf-8"))["strengths"]
    conditions = [Condition(kind, strengths[kind]) for kind in asked.kinds]
    models = {s: make_predictor(s, asked.shorter, asked.level) for s in (EXACT, COARSE)}
    truth, names = read_davis(asked.davis), of_classes(CHOOSING)
    truth.class_names = models[EXACT].class_names
    frames = {(condition.key, search): {} for condition in conditions for search in models}
    for done, name in enumerate(names, 1):
        sequence, supports = loaded(truth, name), {}
        for search, model in models.items():
            for condition in conditions:
                found = look(model, METHOD, sequence, condition, None, supports).frames
                frames[condition.key, search] |= to_detections({name: found})
        (support, _) = supports["clean"]
        size = "x".join(map(str, support.maps[asked.level].size))
        print(f"{done}/{len(names)} sequences, maps of {size}", flush=True)
    scenes = {name: scene_of(name) for name in names}
    for condition in conditions:
        drawn = bootstrap(
            {
                search: [match_objects(frames[condition.key, search], truth, scenes).clip_matches()]
                for search in models
            }
        )
        exact, coarse = (100 * drawn.figure(search).value for search in (EXACT, COARSE))
        gain = drawn.gain(COARSE, EXACT)
        print(
            f"{condition.key}: AP50 {coarse:.1f} coarse to fine, {exact:.1f} exactly, difference "
            f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
        )


if __name__ == "__main__":
    main()
