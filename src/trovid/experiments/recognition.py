"""Are damaged objects of real frames recognised better with the other frames?

The labelled box of a target frame, Temporal RoI Align on EfficientNet-Lite0's maps of stride 16,
and the network's own last stages and classifier as the head; the target frame alone is damaged.
Right is a first class among those of the sequence's group (`recognition_classes.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trovid.experiments.lite0 import Lite0
from trovid.experiments.premise import MaskedSequence
from trovid.experiments.recognition_classes import GROUPS, SEQUENCES
from trovid.experiments.recognition_damage import damaged
from trovid.experiments.same_place import SamePlace
from trovid.nn.extractors import TemporalRoIAlign
from trovid.nn.extractors.training_free import frame_weights
from trovid.ops import PackedSupport, most_similar_roi_align, pack_support, roi_align

TARGETS = 4
"""Target frames of a sequence."""
SUPPORT = 8
"""T, support frames, uniformly of all frames but the target."""
GRID = 14
STRIDE = 16
SINGLE = "single frame"


@dataclass(frozen=True)
class Setting:
    """How the support frames are used.

    Attributes:
        attention: "mean", "dot" or "cosine" (`frame_weights`), or "trained".
        scale: Of the logits.
        top_k: K.
        source: "video": other frames of the same; "itself": the target alone, as its own support
            frame; "other": frames of another video; "place": the same box in the other frames,
            without a search (what was trained, was trained with one).
        seed: Of a trained embedding.
    """

    attention: str
    scale: float = 1.0
    top_k: int = 1
    source: str = "video"
    seed: int = 0

    @property
    def name(self) -> str:
        """As the reports call it."""
        scale = "" if self.attention in ("mean", "trained") else f" {self.scale:g}"
        searches = self.source != "place" or self.attention == "trained"
        top_k = f", K = {self.top_k}" if searches else ""
        seed = f", seed {self.seed}" if self.attention == "trained" else ""
        return f"{self.attention}{scale}{top_k}{SOURCES[self.source]}{seed}"


SOURCES = {
    "video": "",
    "itself": ", the target searched in itself",
    "other": ", another video",
    "place": ", same place without search",
}


@dataclass(frozen=True, eq=False)
class Target:
    """A frame whose object is to be recognised.

    Attributes:
        frame: [H, W, 3] of uint8.
        box: Tensor[1, 4], the extent of its mask in pixels.
        support: Indices of its support frames.
    """

    frame: NDArray[np.uint8]
    box: Tensor
    support: tuple[int, ...]


@dataclass(eq=False)
class SequenceMaps:
    """Maps of a sequence's frames, read when they are asked for.

    Args:
        network: Whose maps.
        sequence: The pictures and masks.
    """

    network: Lite0
    sequence: MaskedSequence
    _maps: dict[int, Tensor] = field(default_factory=dict)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """A frame, [H, W, 3]."""
        return np.array(Image.open(self.sequence.images[index]).convert("RGB"))

    def maps(self, indices: Iterable[int]) -> Tensor:
        """Tensor[T, C, H, W]."""
        for index in indices:
            if index not in self._maps:
                self._maps[index] = self.network(self.frame(index))[STRIDE]
        return torch.cat([self._maps[index] for index in indices])

    def targets(self) -> Iterator[Target]:
        """Up to `TARGETS` frames in which the object is there, evenly over the sequence."""
        count = len(self.sequence.images)
        for number in range(TARGETS):
            index = int((number + 0.5) * count / TARGETS)
            mask = np.asarray(Image.open(self.sequence.masks[index]).convert("L")) > 0
            if mask.any():
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                corners = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
                box = torch.tensor([corners], dtype=torch.float32)
                yield Target(self.frame(index), box, uniform(count, without=index))


def uniform(count: int, *, without: int | None = None) -> tuple[int, ...]:
    """Up to `SUPPORT` of `count` frames, evenly, without one of them."""
    frames = [index for index in range(count) if index != without]
    wanted = min(SUPPORT, len(frames))
    return tuple(frames[int((number + 0.5) * len(frames) / wanted)] for number in range(wanted))


@torch.inference_mode()
def fused(roi_features: Tensor, sets: Tensor, similarities: Tensor, setting: Setting) -> Tensor:
    """RoI features Tensor[1, C, GRID, GRID] of a box with its support frames, without training.

    Args:
        roi_features: Tensor[1, C, GRID, GRID], of the target frame.
        sets: Tensor[T, 1, C, GRID, GRID], found in the support frames.
        similarities: Tensor[T, 1, GRID, GRID].
        setting: How the frames are weighted.
    """
    weights = frame_weights(
        roi_features, sets, similarities, attention=setting.attention, scale=setting.scale
    )
    return (weights * torch.cat([roi_features[None], sets])).sum(0)


def read(maps: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    """RoI features of boxes on maps of stride 16."""
    return roi_align(maps, boxes, GRID, 1 / STRIDE, 2)


def recognised(
    maps: SequenceMaps,
    other: SequenceMaps,
    damages: Sequence[str],
    settings: Sequence[Setting],
    trained: Mapping[Setting, TemporalRoIAlign],
) -> dict[str, dict[str, float]]:
    """By damage and setting the share of a sequence's targets that are recognised.

    Args:
        maps: The sequence.
        other: A sequence of another group, for settings whose source is "other".
        damages: See `recognition_damage`; "clean" too.
        settings: What is compared, besides the single frame.
        trained: The extractors of those whose attention is "trained", by those of source "video".
    """
    classes = torch.tensor(GROUPS[SEQUENCES[maps.sequence.name]])
    right: dict[str, dict[str, list[bool]]] = {
        damage: {name: [] for name in (SINGLE, *(setting.name for setting in settings))}
        for damage in damages
    }
    sources = {setting.source for setting in settings}
    packed: dict[str, PackedSupport] = {}
    if "other" in sources:
        packed["other"] = pack_support(other.maps(uniform(len(other.sequence.images))))
    for target in maps.targets():
        frames = maps.maps(target.support)
        packed["video"] = pack_support(frames)
        place = None
        if "place" in sources:
            place = read(frames, [target.box] * len(frames))[:, None]
        for damage in damages:
            features = maps.network(damaged(target.frame, damage))[STRIDE]
            if "itself" in sources:
                packed["itself"] = pack_support(features)
            roi_features = read(features, [target.box])
            searched: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
            found = [roi_features]
            for setting in settings:
                if setting.attention == "trained":
                    extractor = trained[replace(setting, source="video")]
                    support = packed["video" if setting.source == "place" else setting.source]
                    with torch.inference_mode():
                        found.append(
                            SamePlace(extractor).extract(
                                features, [target.box], 1 / STRIDE, support
                            )
                            if setting.source == "place"
                            else extractor(features, support, [target.box])
                        )
                    continue
                if setting.source == "place":
                    assert place is not None
                    likeness = torch.cosine_similarity(roi_features, place, dim=2)
                    found.append(fused(roi_features, place, likeness, setting))
                    continue
                support = packed[setting.source]
                key = setting.source, setting.top_k
                if key not in searched:
                    sets, _, scores = most_similar_roi_align(
                        roi_features, support, top_k=setting.top_k
                    )
                    searched[key] = sets, scores[:, :, 0]
                found.append(fused(roi_features, *searched[key], setting))
            with torch.inference_mode():
                first = maps.network.head(torch.cat(found)).argmax(1)
            hits = torch.isin(first, classes).tolist()
            for name, hit in zip(right[damage], hits, strict=True):
                right[damage][name].append(hit)
    return {
        damage: {name: float(np.mean(hits)) for name, hits in by_setting.items()}
        for damage, by_setting in right.items()
    }
