"""Weights of a box head for other classes: rows of classes with the same name are kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

HEAD, MASKS = "box_head.", "mask_head.mask_logits."
LAYERS = (f"{HEAD}class_logits.", f"{HEAD}box_deltas.", MASKS)


def transfer_classes(
    tensors: dict[str, Tensor],
    state: dict[str, Tensor],
    classes: Sequence[str],
    own_classes: Sequence[str],
) -> dict[str, Tensor]:
    """The tensors with the last layers of box and mask head as another list of classes needs them.

    A class that both know by the same name keeps its rows, the background its own; all other rows
    are those of `state`, the new detector's. Where one has a box for each class and the other one
    box for all, the box layer is new. A layer of another width is left as it is.

    Args:
        tensors: Weights of the detector to start from.
        state: State of the new detector.
        classes: Classes of `tensors`.
        own_classes: Classes of `state`.

    Example:
        >>> import torch
        >>> old = {f"box_head.class_logits.{n}": torch.tensor([1.0, 2.0, 9.0]) for n in ("bias",)}
        >>> new = {f"box_head.class_logits.{n}": torch.zeros(3) for n in ("bias",)}
        >>> transfer_classes(old, new, ["cat", "dog"], ["dog", "emu"])
        {'box_head.class_logits.bias': tensor([2., 0., 9.])}
    """
    if list(classes) == list(own_classes):
        return tensors
    places = {name: index for index, name in enumerate(classes)}
    shared = [(i, places[name]) for i, name in enumerate(own_classes) if name in places]
    result = dict(tensors)
    for layer, background in (("class_logits", True), ("box_deltas", False)):
        for part in ("weight", "bias"):
            key = f"{HEAD}{layer}.{part}"
            if key in tensors and key in state and tensors[key].shape[1:] == state[key].shape[1:]:
                pairs = list(shared)
                if background:
                    pairs.append((len(own_classes), len(classes)))
                result[key] = _with_rows(tensors[key], state[key], pairs, 1 if background else 4)
    for key in (f"{MASKS}weight", f"{MASKS}bias"):
        old, new = tensors.get(key), state.get(key)
        if old is None or new is None or old.shape[1:] != new.shape[1:]:
            continue
        if len(old) == len(classes) > 1 and len(new) == len(own_classes):
            result[key] = _with_rows(old, new, shared, 1)
    return result


def numbers_left(
    tensors: dict[str, Tensor],
    state: dict[str, Tensor],
    classes: Sequence[str],
    own_classes: Sequence[str],
) -> dict[str, int]:
    """How many numbers of a tensor stay the new detector's in `transfer_classes`, where any do.

    Args:
        tensors: Weights of the detector to start from; the shapes alone count.
        state: State of the new detector; the shapes alone count.
        classes: Classes of `tensors`.
        own_classes: Classes of `state`.

    Example:
        >>> import torch
        >>> old, new = ({"box_head.class_logits.bias": torch.zeros(n)} for n in (3, 4))
        >>> numbers_left(old, new, ["cat", "dog"], ["dog", "emu", "gnu"])
        {'box_head.class_logits.bias': 2}
    """
    names = [key for key in tensors if key in state and key.startswith(LAYERS)]
    given = {key: torch.ones(tensors[key].shape, dtype=torch.bool) for key in names}
    new = {key: torch.zeros(state[key].shape, dtype=torch.bool) for key in names}
    found = transfer_classes(given, new, classes, own_classes)
    return {key: int((~value).sum()) for key, value in found.items() if not value.all()}


def _with_rows(old: Tensor, target: Tensor, pairs: list[tuple[int, int]], width: int) -> Tensor:
    """`target` with some blocks of `width` rows taken from `old`; (target, old) positions."""
    if width > 1 and (len(old) == width or len(target) == width):
        return old if len(old) == len(target) else target.clone()
    new = target.clone()
    for to, start in pairs:
        new[to * width : (to + 1) * width] = old[start * width : (start + 1) * width].to(new.dtype)
    return new
