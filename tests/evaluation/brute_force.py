"""`devkit` and `voc` by loops over frames, detections and objects, one line a rule."""

import itertools
import math


def average_precision(judged: list[tuple[float, bool, float]], num_objects: int) -> float:
    """Area under the falling curve of (score, right, weight) rows, best first; stable in ties."""
    if not num_objects:
        return math.nan
    right, wrong, curve = 0, 0.0, []
    for _, is_right, weight in sorted(judged, key=lambda row: -row[0]):
        right += is_right
        wrong += 0 if is_right else weight
        if is_right:
            curve.append(right / (right + wrong))
    return sum(max(curve[i:]) for i in range(len(curve))) / num_objects


def iou(a, b, wider: int) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + wider
    height = min(a[3], b[3]) - max(a[1], b[1]) + wider
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + wider) * (c[3] - c[1] + wider) for c in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def devkit(frames, num_classes: int, low: float, high: float, *, clean: bool) -> list[float]:
    """AP of each class of the objects whose motion lies in low..high.

    Args:
        frames: For each frame its objects (box, class, motion) and detections (box, class, score).
        num_classes: Number of classes.
        low: Lowest motion IoU.
        high: Highest.
        clean: Without the code's habits.
    """
    entries = [m for objects, _ in frames for m in ([o[2] for o in objects] or [0.0])]
    empty = sum(low <= m <= high for m in entries) / len(entries)
    judged, counts = [[] for _ in range(num_classes)], [0] * num_classes
    for objects, detections in frames:
        inside = [_inside(o[2], low, high, clean) for o in objects]
        for (_, label, _), counted in zip(objects, inside, strict=True):
            counts[label] += counted
        taken = set()
        for box, label, score in sorted(detections, key=lambda row: -row[2]):
            best, chosen = -1.0, None
            nearest = {True: -1.0, False: -1.0}
            for k, (other, its, _) in enumerate(objects):
                overlap = iou(box, other, 1)
                nearest[inside[k]] = max(nearest[inside[k]], overlap)
                w, h = other[2] - other[0] + 1, other[3] - other[1] + 1
                enough = overlap >= min(0.5, w * h / ((w + 10) * (h + 10)))
                if enough and overlap > best and k not in taken and its == label:
                    best, chosen = overlap, k
            if chosen is not None:
                taken.add(chosen)
                judged[label].append((score, inside[chosen], 0.0))
            elif clean or nearest[True] > nearest[False]:
                judged[label].append((score, False, 1.0))
            elif nearest[True] < nearest[False]:
                judged[label].append((score, False, 0.0))
            else:
                share = inside.count(False) / len(objects) if objects else empty
                judged[label].append((score, False, share))
    return [average_precision(rows, n) for rows, n in zip(judged, counts, strict=True)]


def voc(frames, num_classes: int, low: float, high: float, *, clean: bool) -> list[float]:
    """The same by the rules of `voc`; `frames` hold numbers that single precision holds exactly."""
    entries = [m for objects, _ in frames for m in ([o[2] for o in objects] or [0.0])]
    empty = sum(low <= m <= high for m in entries) / len(entries)
    judged, counts = [[] for _ in range(num_classes)], [0] * num_classes
    for (objects, detections), label in itertools.product(frames, range(num_classes)):
        true_boxes = [
            (box, _inside(m, low, high, clean)) for box, its, m in objects if its == label
        ]
        counts[label] += sum(inside for _, inside in true_boxes)
        taken = set()
        rows = [d for d in detections if d[1] == label]
        for box, _, score in sorted(rows, key=lambda row: -row[2]):
            best, chosen = 0.5, None
            nearest = {True: -1.0, False: -1.0}
            for k, (other, inside) in enumerate(true_boxes):
                overlap = iou(box, other, 0 if clean else 2)
                nearest[inside] = max(nearest[inside], overlap)
                if k in taken or overlap < best:
                    continue
                if overlap > best or chosen is None or not true_boxes[chosen][1]:
                    best, chosen = overlap, k
            if chosen is not None:
                taken.add(chosen)
                judged[label].append((score, true_boxes[chosen][1], 0.0))
            elif clean:
                judged[label].append((score, False, 1.0))
            elif not true_boxes:
                judged[label].append((score, False, empty or 1.0))
            elif nearest[True] != nearest[False]:
                judged[label].append((score, False, float(nearest[True] > nearest[False])))
            else:
                share = sum(not inside for _, inside in true_boxes) / len(true_boxes)
                judged[label].append((score, False, share))
    return [average_precision(rows, n) for rows, n in zip(judged, counts, strict=True)]


def _inside(motion: float, low: float, high: float, clean: bool) -> bool:
    """Clean: slow is above .9, fast below .7, medium between and at both ends."""
    if clean and (low, high) == (0.9, 1.0):
        return motion > low
    if clean and (low, high) == (0.0, 0.7):
        return motion < high
    return low <= motion <= high
