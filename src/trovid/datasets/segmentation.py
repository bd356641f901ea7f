"""COCO's three ways to write a mask, as one: the compressed run-length code."""

from __future__ import annotations

from typing import Any


def compressed(segmentation: Any, size: tuple[int, int]) -> bytes:
    """The compressed run-length code of a mask.

    Args:
        segmentation: Polygons [[x1, y1, x2, y2, ...], ...], of which the union is taken, or
            {"size": [height, width], "counts": a list of runs, or their compressed text}.
        size: Height and width of the frame.

    Raises:
        ValueError: If it is none of these, or of another size.

    Example:
        >>> compressed([[0, 0, 4, 0, 4, 2, 0, 2]], (4, 4))
        b'02222020'
    """
    from faster_coco_eval.core import mask

    height, width = size
    if isinstance(segmentation, list):
        fits = all(
            isinstance(polygon, list)
            and len(polygon) >= 6
            and len(polygon) % 2 == 0
            and all(
                isinstance(side, int | float) and not isinstance(side, bool) and abs(side) < 1e6
                for side in polygon
            )
            for polygon in segmentation
        )
        if not fits or not segmentation:
            raise ValueError("must hold polygons of at least three points x, y")
        codes: Any = mask.frPyObjects([[float(v) for v in p] for p in segmentation], height, width)
        return _bytes(mask.merge(codes)["counts"])
    if not isinstance(segmentation, dict) or segmentation.get("size") != [height, width]:
        raise ValueError(f"must be polygons, or a run-length code of size {[height, width]}")
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        whole = all(isinstance(run, int) and run >= 0 for run in counts)
        if not whole or sum(counts) != height * width:
            raise ValueError(f"must have runs that add up to {height * width} pixels")
        code: Any = mask.frPyObjects(segmentation, height, width)
        return _bytes(code["counts"])
    if not isinstance(counts, str | bytes):
        raise ValueError("must have `counts`: a text or a list of runs")
    text = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    if not all(48 <= byte < 112 for byte in text):
        raise ValueError("has `counts` that are no run-length code")
    return text


def _bytes(counts: str | bytes) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else counts
