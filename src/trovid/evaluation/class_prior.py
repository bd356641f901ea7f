"""A control: how much of a gain is only "which classes are in this clip"?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from trovid.detectors.candidates import Candidates

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def clip_prior(frames: Sequence[Candidates]) -> Tensor:
    """How surely each class is somewhere in the clip: the mean over frames of its best score.

    The best score of a frame and not the mean of its boxes, which the background would rule.

    Args:
        frames: All boxes of the evaluated frames of one clip.

    Returns:
        Tensor[num_classes], the surest class is 1.
    """
    best = [frame.class_scores.amax(0) for frame in frames if len(frame.class_scores)]
    if not best:
        classes = frames[0].class_scores.shape[1] if frames else 0
        return torch.ones(classes)
    prior = torch.stack(best).mean(0)
    return prior / prior.amax().clamp(min=torch.finfo(prior.dtype).tiny)


def apply_class_prior(frames: Sequence[Candidates], *, exponent: float = 1.0) -> list[Candidates]:
    """Multiply each box's class scores by the clip's prior, and give the box its old mass back.

    s'_c = s_c p_c^a (sum_k s_k) / (sum_k s_k p_k^a) with `clip_prior` p: Bayes' rule over the
    classes, while how surely there is an object at all stays what the detector said. An unsure box
    so goes wholly to the classes that the clip shows elsewhere, which makes the control strong.

    Args:
        frames: All boxes of the evaluated frames of one clip.
        exponent: a, the weight of the prior, to be chosen on other clips (`choose_exponent`); with
            0 nothing changes.
    """
    if exponent < 0:
        raise ValueError(f"`exponent` must not be negative, but is {exponent}")
    factor = clip_prior(frames) ** exponent
    weighed = []
    for frame in frames:
        scores = frame.class_scores * factor.to(frame.class_scores)
        mass = scores.sum(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
        scores = scores / mass * frame.class_scores.sum(1, keepdim=True)
        weighed.append(dataclasses.replace(frame, class_scores=scores))
    return weighed


def choose_exponent(
    clips: Mapping[str, Sequence[Candidates]],
    quality: Callable[[dict[str, list[Candidates]]], float],
    *,
    exponents: Sequence[float] = EXPONENTS,
) -> tuple[float, dict[float, float]]:
    """The exponent that serves the control best, and the quality of each that was tried.

    Args:
        clips: Boxes of validation clips, never of those that the control is reported on.
        quality: What to make large, such as AP50, of the clips with the prior applied.
        exponents: What to try; of equals the first wins.
    """
    found = {
        exponent: quality(
            {name: apply_class_prior(frames, exponent=exponent) for name, frames in clips.items()}
        )
        for exponent in exponents
    }
    return max(found, key=lambda exponent: found[exponent]), found
