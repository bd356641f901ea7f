"""Training and validation videos, where nobody has said which are which."""

from __future__ import annotations

import hashlib
from collections import Counter

from trovid.datasets.contract import Dataset

VALIDATION_SHARE = 0.2


def split_videos(
    dataset: Dataset, *, share: float = VALIDATION_SHARE, seed: int = 0
) -> tuple[list[str], list[str]]:
    """A division by video: no video is in both parts, and every class stays in the first.

    The order in which videos are taken for the second part is that of a hash of seed and name, so
    that a video stays where it is when others are added. A video goes to the second part only if
    each of its classes is in another video of the first part too.

    Args:
        dataset: The videos; those without labelled frames stay in the first part.
        share: Of the videos, about, for the second part; at least one where there are two.
        seed: Another one gives another division.

    Returns:
        Names for training and for validation, in the data set's order. The second list is empty
        where no video can be spared.

    Example:
        >>> from trovid.datasets.objects import ObjectRows
        >>> from trovid.datasets.contract import VideoEntry
        >>> from trovid.structures import Video
        >>> videos = [VideoEntry(Video(name, 1, 9, 9), name, [0]) for name in "abcde"]
        >>> split_videos(Dataset(["dog"], videos, ObjectRows().objects()))
        (['a', 'b', 'c', 'e'], ['d'])
    """
    names = [v.name for v in dataset.videos if len(dataset.labelled_frames(v.name))]
    classes = {name: set(dataset.objects.labels[dataset.rows(name)].tolist()) for name in names}
    videos_of = Counter(label for found in classes.values() for label in found)
    wanted = max(1, round(share * len(names))) if len(names) > 1 else 0
    chosen: set[str] = set()
    for name in sorted(names, key=lambda n: hashlib.sha256(f"{seed}:{n}".encode()).digest()):
        if len(chosen) == wanted:
            break
        if all(videos_of[label] > 1 for label in classes[name]):
            chosen.add(name)
            videos_of.subtract(classes[name])
    every = [video.name for video in dataset.videos]
    return [n for n in every if n not in chosen], [n for n in every if n in chosen]
