import time

import numpy as np
import pytest

from tests.evaluation.oracle import figures, pycocotools_precision
from trovid.evaluation import bootstrap, match_clips, pool_frames
from trovid.evaluation.bootstrap import average_precision, resample_weights
from trovid.evaluation.pool import Pool


def _repeat_clips(pool: Pool, weights: np.ndarray, active: np.ndarray):
    """A pool in which clip v occurs `weights[v]` times, and its active objects."""
    own_images = [np.flatnonzero(pool.clips == clip) for clip in range(len(weights))]
    images = np.concatenate(
        [np.tile(clip_images, n) for clip_images, n in zip(own_images, weights, strict=True)]
    )
    detections = [np.flatnonzero(pool.images == image) for image in images]
    truths = [np.flatnonzero(pool.true_images == image) for image in images]
    d, g = np.concatenate(detections), np.concatenate(truths)
    repeated = Pool(
        class_names=pool.class_names,
        clip_names=pool.clip_names,
        clips=pool.clips[images],
        frames=pool.frames[images],
        boxes=pool.boxes[d],
        scores=pool.scores[d],
        labels=pool.labels[d],
        images=np.repeat(np.arange(len(images)), [len(x) for x in detections]),
        objects=pool.objects[g],
        true_images=np.repeat(np.arange(len(images)), [len(x) for x in truths]),
        strength_edges={},
        counts={},
    )
    return repeated, active[g]


@pytest.mark.parametrize("seed", [0, 1])
def test_each_resample_equals_plain_evaluation_of_the_repeated_clips(random_case, seed):
    predictions, labels = random_case(seed)
    pool = pool_frames(predictions, labels)
    active = np.random.default_rng(seed).random(len(pool.objects)) < 0.6
    weights = resample_weights(len(pool.clip_names), resamples=12, seed=seed)
    fast = average_precision(match_clips(pool, active=active), weights)
    for row, value in zip(weights, fast, strict=True):
        plain = figures(pycocotools_precision(*_repeat_clips(pool, row, active)))[0]
        assert value == pytest.approx(plain, abs=1e-12)
    assert np.ptp(fast) > 0.01


def test_a_class_that_a_resample_lacks_does_not_count(make_labels, make_frame):
    box = [10, 10, 50, 50]
    labels = make_labels({"a": [[{"box": box, "label": 0}]], "b": [[{"box": box, "label": 1}]]})
    found = {"a": [make_frame([(box, 0, 0.9)])], "b": [make_frame([])]}
    matches = match_clips(pool_frames(found, labels))
    weights = np.array([[1, 1], [2, 0], [0, 2]], dtype=np.int32)
    assert average_precision(matches, weights) == pytest.approx([0.5, 1.0, 0.0])


def test_gain_is_paired(random_case):
    """A model against itself has no gain in any resample, though its own interval is wide."""
    first, second, labels = random_case(5, models=2)
    matches = match_clips(pool_frames(first, labels))
    other = match_clips(pool_frames(second, labels))
    samples = bootstrap(
        {"a": [matches, other], "same": [other, matches], "b": [other]}, resamples=200
    )
    gain = samples.gain("a", "same")
    assert (gain.value, gain.low, gain.high) == pytest.approx((0, 0, 0))
    figure = samples.figure("a")
    assert figure.low < figure.value < figure.high
    assert figure.high - figure.low > 0.02
    assert figure.value == pytest.approx(samples.seeds["a"].mean())
    back, forth = samples.gain("a", "b"), samples.gain("b", "a")
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))


def test_the_interval_holds_the_truth_as_often_as_it_says(make_labels, make_frame):
    """Clips are right or wrong as a whole; then AP is a known function of a binomial count."""
    rng = np.random.default_rng(0)
    box, clips = [10, 10, 50, 50], 60
    labels = make_labels({f"{i}": [[{"box": box, "label": 0}]] for i in range(clips)})
    held = 0
    for _ in range(40):
        found = {
            f"{i}": [make_frame([(box, 0, float(rng.random()))] if rng.random() < 0.5 else [])]
            for i in range(clips)
        }
        matches = match_clips(pool_frames(found, labels))
        figure = bootstrap({"m": [matches]}, resamples=200).figure("m")
        held += figure.low <= 0.5 <= figure.high
    assert 33 <= held <= 40


def test_models_must_have_seen_the_same_clips(random_case):
    predictions, labels = random_case(1)
    everything = match_clips(pool_frames(predictions, labels))
    fewer = dict(list(predictions.items())[:-1])
    with pytest.raises(ValueError, match="same clips"):
        bootstrap({"a": [everything], "b": [match_clips(pool_frames(fewer, labels))]})
    half = {name: frames[::2] for name, frames in predictions.items()}
    with pytest.raises(ValueError, match="same frames"):
        bootstrap({"a": [everything], "b": [match_clips(pool_frames(half, labels))]})
    with pytest.raises(ValueError, match="at least one"):
        bootstrap({"a": []})


@pytest.mark.slow
def test_speed_at_full_size(random_case):
    """100 clips, 1000 resamples of one model and group take seconds, not minutes."""
    predictions, labels = random_case(0, clips=100)
    matches = match_clips(pool_frames(predictions, labels))
    began = time.perf_counter()
    bootstrap({"a": [matches]})
    assert time.perf_counter() - began < 10
