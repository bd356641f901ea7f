"""`devkit` and `voc` against loops (brute_force.py), and by hand."""

import numpy as np
import pytest

from tests.evaluation import brute_force
from tests.evaluation.arrays import make_dataset, make_pool
from trovid.evaluation import (
    bootstrap,
    coco_ap,
    epic_figures,
    match_clips,
    motion_iou,
    vid_figures,
)
from trovid.evaluation.motion import MOTION_RANGES
from trovid.evaluation.protocols import devkit

NUM_CLASSES = 20
MOTIONS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


def random_frames(seed: int, *, frames: int = 60):
    """Few places, so that equal overlaps and scores are many; some frames lack one side.

    Corners on a small grid: overlaps that differ do so in single precision too.
    """
    rng = np.random.default_rng(seed)

    def box():
        corner = rng.integers(0, 8, 2)
        return [float(x) for x in (*corner, *(corner + rng.integers(0, 9, 2)))]

    found = []
    for _ in range(frames):
        labels = rng.integers(0, NUM_CLASSES, 2)
        objects = [
            (box(), int(rng.choice(labels)), float(rng.choice(MOTIONS)))
            for _ in range(rng.integers(0, 5))
        ]
        near = [
            ([float(x) for x in np.array(corners) + rng.integers(0, 2, 4)], label)
            for corners, label, _ in objects
            for _ in range(rng.integers(0, 3))
        ]
        far = [(box(), int(rng.choice(labels))) for _ in range(rng.integers(0, 3))]
        rows = [(*row, round(float(rng.random()), 1)) for row in near + far]
        found.append((objects, [rows[i] for i in rng.permutation(len(rows))]))
    return found


def pool_of(frames):
    objects = [
        [(box, label, 0, {"motion_iou": m}) for box, label, m in truth] for truth, _ in frames
    ]
    names = [str(i) for i in range(NUM_CLASSES)]
    return make_pool([objects], [[found for _, found in frames]], names)


@pytest.mark.parametrize("clean", [False, True], ids=["published", "clean"])
@pytest.mark.parametrize("protocol", ["devkit", "voc"])
def test_equal_to_brute_force(protocol, clean):
    """3,200 average precisions: 10 data sets of 20 classes and 4 groups, 4 kinds."""
    slow = getattr(brute_force, protocol)
    known = 0
    for seed in range(10):
        frames = random_frames(seed)
        found = vid_figures(pool_of(frames), protocol, clean=clean)
        for name, (low, high) in {"all": (0.0, 1.0), **MOTION_RANGES}.items():
            expected = slow(frames, NUM_CLASSES, low, high, clean=clean)
            assert list(found[name].per_class.values()) == pytest.approx(
                expected, abs=1e-12, nan_ok=True
            )
            known += np.isfinite(expected).sum()
    assert known > 500


def test_the_habits_matter():
    pool = pool_of(random_frames(0))
    for protocol in ("devkit", "voc"):
        published, clean = (vid_figures(pool, protocol, clean=clean) for clean in (False, True))
        assert published["motion: fast"].mean != clean["motion: fast"].mean
        assert published["motion: slow"].num_objects > clean["motion: slow"].num_objects


def test_a_small_object_is_forgiven_more():
    """8 x 8 pixels: threshold 64 / 324 = .198."""
    assert devkit.thresholds(np.array([[0.0, 0, 7, 7], [0, 0, 99, 99]])) == pytest.approx(
        [64 / 324, 0.5]
    )
    pool = make_pool([[[([0.0, 0, 7, 7], 0, 1, {})]]], [[[([4.0, 0, 11, 7], 0, 0.9)]]], ["a"])
    assert vid_figures(pool, "devkit")["all"].mean == 1.0
    assert vid_figures(pool, "voc")["all"].mean == 0.0


def test_without_tracks_there_are_no_motion_groups():
    pool = make_pool([[[([0.0, 0, 7, 7], 0, 1, {})]]], [[[]]], ["a"])
    assert list(vid_figures(pool, "devkit")) == ["all"]


def test_motion_iou_by_hand():
    """A gap, two instances, and a reach of ten frames."""
    box, half = [0.0, 0, 9, 9], [0.0, 0, 4, 9]
    frames = [[] for _ in range(30)]
    for frame, corners in ((0, box), (2, half), (13, box)):
        frames[frame].append((corners, 0, 7, {}))
    frames[2].append((box, 0, 8, {}))
    dataset = make_dataset([frames], ["a"])
    assert motion_iou(dataset.objects) == pytest.approx([0.5, 0.5, 0.0, 0.0])
    shorter = make_dataset([frames[:2] + frames[4:]], ["a"])
    assert motion_iou(shorter.objects)[0] == 0.0


@pytest.mark.parametrize("protocol", ["coco", "devkit", "voc", "epic"])
def test_resampling_nothing_gives_the_figure(protocol):
    """Each protocol's own rules hold in the bootstrap too."""
    frames = random_frames(3)
    names = [str(i) for i in range(NUM_CLASSES)]
    parts = [frames[start : start + 10] for start in range(0, 60, 10)]
    pool = make_pool(
        [
            [[(b, c, 0, {"motion_iou": m}) for b, c, m in truth] for truth, _ in part]
            for part in parts
        ],
        [[found for _, found in part] for part in parts],
        names,
    )
    expected = {
        "coco": lambda: coco_ap(pool).overall.ap50,
        "epic": lambda: epic_figures(pool)["IoU 0.5"].mean,
    }.get(protocol, lambda: vid_figures(pool, protocol)["all"].mean)()
    samples = bootstrap({"m": [match_clips(pool, protocol=protocol)]}, resamples=50)
    assert samples.seeds["m"][0] == pytest.approx(expected, abs=1e-12)
    assert np.ptp(samples.resampled["m"]) > 0.01
