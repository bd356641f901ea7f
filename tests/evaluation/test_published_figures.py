"""Figures that the original evaluation codes of FGFA, MEGA and COCO returned on stored cases."""

import functools
import gzip
import itertools
import json

import numpy as np
import pytest

from tests import shared
from tests.evaluation.arrays import make_dataset, make_predictions
from trovid.evaluation import coco_figures, motion_iou, pool_frames, vid_figures
from trovid.evaluation.pool import Pool
from trovid.evaluation.protocols import coco, devkit

PARITY = shared.SHARED / "parity" / "evaluation"
SIZES = ("small", "medium", "large")

pytestmark = pytest.mark.skipif(
    not PARITY.is_dir(), reason="the parity data (shared/parity/evaluation) is not there"
)


@functools.cache
def stored(seed: int) -> tuple[dict, Pool]:
    """A case and its pool, with the motion IoU that our own code finds."""
    file = PARITY / f"vid_detection_seed{seed}.json.gz"
    case = json.loads(gzip.decompress(file.read_bytes()))
    names = tuple(f"class {i}" for i in range(case["num_classes"]))
    starts = np.cumsum([0, *case["video_lengths"]])
    truth, found = case["ground_truth"], case["detections"]
    objects = [[] for _ in range(case["num_frames"])]
    for row in zip(*(truth[key] for key in ("frame", "box", "class", "track")), strict=True):
        objects[row[0]].append((*row[1:], {}))
    detections = [[] for _ in range(case["num_frames"])]
    for row in zip(*(found[key] for key in ("frame", "box", "class", "score")), strict=True):
        detections[row[0]].append(row[1:])
    cuts = list(itertools.pairwise(starts))
    dataset = make_dataset([objects[a:b] for a, b in cuts], names)
    predictions = make_predictions([detections[a:b] for a, b in cuts], names)
    return case, pool_frames(predictions, dataset)


def expected(values) -> list[float]:
    return [np.nan if value in (None, -1) else value for value in values]


@pytest.mark.parametrize("seed", [1, 2])
def test_motion_iou(seed):
    case, pool = stored(seed)
    theirs = case["ground_truth"]["motion_iou"]
    np.testing.assert_allclose(motion_iou(pool.objects), theirs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pool.attribute("motion_iou"), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("protocol", ["devkit", "voc"])
def test_imagenet_vid(seed, protocol):
    case, pool = stored(seed)
    theirs = case["figures"][protocol]
    ours = vid_figures(pool, protocol)
    for name in ("all", "slow", "medium", "fast"):
        group = ours["all" if name == "all" else f"motion: {name}"]
        figures = theirs[name]["per_class"]
        assert list(group.per_class.values()) == pytest.approx(
            expected(figures), abs=1e-9, nan_ok=True
        )
        assert group.mean == pytest.approx(theirs[name]["mean"], abs=1e-9)
    with_objects = ~np.isnan(list(ours["all"].per_class.values()))
    plain = expected(theirs["plain"]["per_class"])
    assert np.array(list(ours["all"].per_class.values()))[with_objects] == pytest.approx(
        np.array(plain)[with_objects], abs=1e-9
    )
    mean = devkit.plain_mean(pool, ours["all"].per_class)
    if protocol == "voc":
        mean = ours["all"].mean
    assert mean == pytest.approx(*expected([theirs["plain"]["mean"]]), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_coco(seed):
    case, pool = stored(seed)
    theirs = case["figures"]["coco"]
    groups = {"all": coco.Group(pool.objects.counted), **coco.size_groups(pool)}
    ours = coco_figures(pool, groups)
    every = ours["all"]
    sizes = {name: ours[f"size: {name}"] for name in SIZES}
    figures = {
        "AP": every.overall.ap,
        "AP50": every.overall.ap50,
        "AP75": every.overall.ap75,
        **{f"AP_{name}": group.overall.ap for name, group in sizes.items()},
        **dict(zip(("AR1", "AR10", "AR100"), every.recalls, strict=True)),
        **{f"AR_{name}": group.recalls[2] for name, group in sizes.items()},
    }
    assert figures == pytest.approx({name: theirs[name] for name in figures}, abs=1e-9)
    for name, column in (("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75")):
        values = [getattr(each, name) for each in every.per_class.values()]
        assert values == pytest.approx(expected(theirs["per_class"][column]), abs=1e-9, nan_ok=True)
    assert list(every.recall_per_class.values()) == pytest.approx(
        expected(theirs["per_class"]["AR100"]), abs=1e-9, nan_ok=True
    )
