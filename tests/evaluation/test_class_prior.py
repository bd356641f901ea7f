import pytest
import torch

from trovid.detectors.candidates import Candidates
from trovid.evaluation import apply_class_prior, choose_exponent
from trovid.evaluation.class_prior import clip_prior


def _frame(scores: list[list[float]]) -> Candidates:
    return Candidates(torch.zeros(len(scores), 1, 4), torch.tensor(scores), ())


CLIP = [
    _frame([[0.9, 0.0, 0.0], [0.0, 0.0, 0.6]]),
    _frame([[0.3, 0.3, 0.3], [0.0, 0.0, 0.6], [0.01, 0.0, 0.0]]),
]


def test_prior_is_the_mean_over_frames_of_the_best_score():
    torch.testing.assert_close(clip_prior(CLIP), torch.tensor([0.6, 0.15, 0.6]) / 0.6)


def test_an_unsure_box_goes_to_the_classes_of_the_clip_and_keeps_its_mass():
    weighed = apply_class_prior(CLIP, exponent=2.0)
    unsure = weighed[1].class_scores[0]
    assert unsure.sum().item() == pytest.approx(0.9)
    torch.testing.assert_close(unsure, torch.tensor([1.0, 0.0625, 1.0]) * 0.9 / 2.0625)
    torch.testing.assert_close(weighed[0].class_scores, CLIP[0].class_scores)


def test_exponent_zero_changes_nothing():
    for before, after in zip(CLIP, apply_class_prior(CLIP, exponent=0.0), strict=True):
        torch.testing.assert_close(after.class_scores, before.class_scores)
    with pytest.raises(ValueError, match="negative"):
        apply_class_prior(CLIP, exponent=-1.0)


def test_nothing_seen_and_no_boxes_stay_finite():
    empty = Candidates(torch.zeros(0, 1, 4), torch.zeros(0, 3), ())
    assert apply_class_prior([]) == []
    assert apply_class_prior([empty])[0].class_scores.shape == (0, 3)
    zero = apply_class_prior([_frame([[0.0, 0.0, 0.0]])])[0]
    assert zero.class_scores.tolist() == [[0.0, 0.0, 0.0]]


def test_the_best_exponent_is_chosen_by_the_quality_of_all_clips():
    def quality(clips: dict[str, list[Candidates]]) -> float:
        return -abs(clips["a"][1].class_scores[0, 1].item() - 0.0625 * 0.9 / 2.0625)

    best, tried = choose_exponent({"a": CLIP}, quality, exponents=(0, 1, 2, 3))
    assert best == 2
    assert list(tried) == [0, 1, 2, 3]
