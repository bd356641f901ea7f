"""What of each labelled object of SynthVID can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trovid.datasets.synthvid.deteriorations import Manner, bar_corners
from trovid.datasets.synthvid.glyphs import SUBPIXEL, mask
from trovid.datasets.synthvid.script import Actor, Annotation, drawing_order, overlay


def visible_parts(
    actors: Sequence[Actor],
    annotations: Sequence[Annotation],
    manners: Sequence[Sequence[Manner]],
    *,
    height: int,
    width: int,
) -> list[np.ndarray]:
    """What of each label's mask lies under no other object and under no bar ("occlusion").

    Blur, defocus, noise and darkness take nothing away.

    Args:
        actors: The clip's objects.
        annotations: Their labels.
        manners: For each object the manner of each of its stretches.
        height: Of the picture in pixels.
        width: Of the picture in pixels.

    Returns:
        For each label bool [h, w] within its box.
    """
    covered: dict[tuple[int, int], np.ndarray] = {}
    for frame in sorted({annotation.frame_index for annotation in annotations}):
        above = np.zeros((height, width), dtype=bool)
        for instance in reversed(drawing_order(list(actors), frame)):
            actor = actors[instance]
            pose, stretch = actor.poses[frame], actor.stretch(frame)
            assert pose is not None
            if stretch.kind == "occlusion":
                manner = manners[instance][actor.stretches.index(stretch)]
                corners = bar_corners(pose, stretch.strength, manner)
                _add(above, (np.rint(corners * SUBPIXEL).astype(np.int64),))
            covered[frame, instance] = above.copy()
            _add(above, pose.silhouette)
    parts = []
    for annotation in annotations:
        x, y, w, h = annotation.box
        window = covered[annotation.frame_index, annotation.instance][y : y + h, x : x + w]
        parts.append(annotation.mask & ~window)
    return parts


def _add(picture: np.ndarray, polygons: tuple[np.ndarray, ...]) -> None:
    part, window = overlay(picture, *mask(polygons))
    window |= part
