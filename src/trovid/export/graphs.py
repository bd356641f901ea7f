"""The graphs that are exported: a detector's own code between plain tensors."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.detectors.faster_rcnn.support import Support
from trovid.ops import PackedSupport
from trovid.structures import DetectOptions
from trovid.video.transforms import FrameTransform


class Graph(nn.Module):
    """What is common to the graphs: from uint8 frames to the detector's input.

    Args:
        detector: The detector, on the CPU.
        transform: Its input.
        size: Height and width of frames after resizing.
        options: What detections are chosen by.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        detector: Detector,
        transform: FrameTransform,
        size: tuple[int, int],
        options: DetectOptions,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.size = size
        track = "embedding" if detector.embeds else None
        self.options = replace(options, masks=detector.segments, track=track)
        self.padding = (0, -size[1] % transform.divisor, 0, -size[0] % transform.divisor)
        self.register_buffer("mean", torch.tensor(transform.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).view(3, 1, 1))

    def images(self, frames: Tensor) -> Tensor:
        """uint8 [T, h, w, 3] to the normalised and padded Tensor[T, 3, H, W]."""
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return F.pad(images, self.padding)

    def encode(self, frames: Tensor) -> Support:
        """The Support of frames, uint8 [T, h, w, 3]."""
        sizes = [self.size] * len(frames)
        return self.detector.encode(self.images(frames), image_sizes=sizes)

    def detect(self, frame: Tensor, support: Support | None) -> tuple[Tensor, ...]:
        """Boxes [N, 4], scores [N] and labels [N] of a target frame, uint8 [h, w, 3].

        Behind them what further heads say of each (`output_names`).
        """
        images, sizes = self.images(frame.unsqueeze(0)), [self.size]
        supports = None if support is None else [support]
        ((found,), further) = self.detector.chosen(
            images, supports, options=self.options, image_sizes=sizes
        )
        return *found, *further.values()


class SingleFrame(Graph):
    """The graph from a frame alone to detections."""

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """See `detect`."""
        return self.detect(frame, None)


class FromFrames(Graph):
    """The graph from a target frame and its support frames, uint8 [T, h, w, 3], to detections."""

    def forward(self, frame: Tensor, support: Tensor) -> tuple[Tensor, ...]:
        """See `detect`."""
        return self.detect(frame, self.encode(support))


class Encoder(Graph):
    """The graph from one support frame to its packed bank."""

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """See `bank_names`: rows [1, H*W, C], inverse norms [1, H*W], keys and values [P, D]."""
        support = self.encode(frame.unsqueeze(0))
        maps = [
            part for packed in support.maps.values() for part in (packed.rows, packed.inverse_norms)
        ]
        return (*maps, *(part for pair in support.embedding for part in pair))


class FromBank(Graph):
    """The graph from a target frame and a packed bank to detections."""

    map_size: tuple[int, int]

    def forward(self, frame: Tensor, *bank: Tensor) -> tuple[Tensor, ...]:
        """See `detect`; the bank holds the parts of the Encoder, frame after frame."""
        maps, parts = {}, list(bank)
        for name in self.detector.searched_levels:
            rows, norms = parts.pop(0), parts.pop(0)
            maps[name] = PackedSupport(rows, norms, self.map_size, (rows.shape[0],))
        embedding = list(zip(parts[::2], parts[1::2], strict=True))
        return self.detect(frame, Support((), maps, (), embedding))


def bank_names(detector: Detector) -> list[str]:
    """Names of the tensors of a packed bank, in their order."""
    layers = range(len(detector.box_head.attention))
    maps = ["rows", "inverse_norms"] if detector.searches_maps else []
    return maps + [f"{kind}{i}" for i in layers for kind in ("keys", "values")]


def output_names(detector: Detector) -> list[str]:
    """Names of what a graph of detections gives, in their order."""
    further = {"mask_probabilities": detector.segments, "embeddings": detector.embeds}
    return ["boxes", "scores", "labels", *(name for name, there in further.items() if there)]
