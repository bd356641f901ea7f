"""HOTA, MOTA and IDF1 of SynthVID's mask models by the score that detections begin from.

What `trovid.experiments.mask_runs.BEST_SCORE` was chosen by: val clips of `twins`, the default
memory, every score of SCORES. OUT is the folder of `trovid experiment synthvid-masks`, with the
weights; clips that are missing are written there. A score of a training takes some minutes.

    python tools/best_score.py runs --seeds 1 2 3
"""

from __future__ import annotations

import argparse
from functools import reduce
from itertools import groupby
from operator import add, itemgetter
from pathlib import Path

from trovid.datasets.coco_vid import read_coco_vid
from trovid.evaluation.dataset_runner import run_dataset
from trovid.evaluation.protocols.mot import tracking_figures
from trovid.evaluation.tracking import sequence_counts
from trovid.experiments.clips import clips_file, written_clips
from trovid.experiments.description import Clips
from trovid.experiments.mask_runs import MODELS
from trovid.inference.loading import load
from trovid.training.run import weights_file

SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=100, help="from clip 200 on")
    words = parser.parse_args()
    clips = Clips(split="val", first=200, count=words.clips, every=1, setting="twins")
    written_clips(words.out, clips, workers=2)
    dataset = read_coco_vid(clips_file(words.out, clips))
    options = {"masks": True, "track": "embedding", "continue_score": 1.0}
    for model in MODELS:
        for seed in words.seeds:
            predictor = load(weights_file(words.out, model, seed))
            for score in SCORES:
                found = run_dataset(predictor, dataset, score=score, **options)
                by_video = {
                    video.name: [frame for _, frame in frames]
                    for video, frames in groupby(found, key=itemgetter(0))
                }
                counts = sequence_counts(by_video, dataset, masks=True, class_agnostic=True)[""]
                figures = tracking_figures(reduce(add, counts.values()))
                print(
                    f"{model} seed {seed} score {score:g}: HOTA {100 * figures.hota:.1f} "
                    f"MOTA {100 * figures.mota:.1f} IDF1 {100 * figures.idf1:.1f} "
                    f"switches {figures.switches}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
