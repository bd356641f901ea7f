"""A detector as one graph of plain tensor operations, for ONNX and torch.export.

Its parts and weights are the detector's own. What differs is the form: one frame at a time, of a
size that is known beforehand, no branch that depends on data, and the operator by the equations
for all support frames at once.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image, nms

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.nn import MultiScaleTemporalRoIAlign, SelsaAttention
from trovid.nn.selsa import attend
from trovid.ops.temporal_roi_align import reference
from trovid.ops.temporal_roi_align.packed import inverse_norms
from trovid.video.transforms import FrameTransform

PackedTensors = list[Tensor]
"""A packed bank: for each searched level rows [T, H*W, C] and inverse norms [T, H*W], then for
each layer with attention keys and values [P, D]; the frames of a bank lie one after the other."""


class ExportedDetector(nn.Module):
    """What is common to the graphs: from a frame to features, proposals and RoI features.

    Args:
        detector: The detector, on the CPU.
        transform: Its input.
        size: Height and width of frames after resizing.
        score: Lowest score of a detection (exclusive).
        nms_iou: IoU above which the lower of two boxes of a class goes.
        max_detections: Detections at most.

    Raises:
        ValueError: If the graph searches several levels of the support frames.
    """

    takes_support = True
    anchors: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        detector: Detector,
        transform: FrameTransform,
        size: tuple[int, int],
        *,
        score: float,
        nms_iou: float,
        max_detections: int,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.size = size
        self.padding = (0, -size[1] % transform.divisor, 0, -size[0] % transform.divisor)
        self.score = score
        self.nms_iou = nms_iou
        self.max_detections = max_detections
        self.register_buffer("mean", torch.tensor(transform.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).view(3, 1, 1))
        pool = detector.roi_features
        self.pool = pool if isinstance(pool, MultiScaleTemporalRoIAlign) else pool.pool
        searched = detector.searched_levels or self.pool.featmap_names[-1:]
        if self.takes_support and len(searched) != 1:
            raise ValueError(
                "only models that search one level of the support frames can be exported, but this "
                f"one searches {', '.join(searched)}; recipes with `searched: last` have one"
            )
        self.searched = searched[-1]
        with torch.no_grad():
            images = self.images(torch.zeros(1, *size, 3, dtype=torch.uint8))
            features = detector.backbone(images)
            levels = [features[name] for name in detector.rpn.levels]
            (anchors,) = detector.rpn.anchor_generator(ImageList(images, [size]), levels)
        self.register_buffer("anchors", anchors)
        ratios = [features[name].shape[-2] / size[0] for name in self.pool.featmap_names]
        self.scales = [2.0 ** round(math.log2(ratio)) for ratio in ratios]

    @property
    def names(self) -> list[str]:
        """Names of the tensors of a packed bank, in their order."""
        layers = range(len(self.detector.box_head.attention))
        maps = ["rows", "inverse_norms"] if self.detector.searches_maps else []
        return maps + [f"{kind}{i}" for i in layers for kind in ("keys", "values")]

    def images(self, frames: Tensor) -> Tensor:
        """uint8 [T, h, w, 3] to the normalised and padded Tensor[T, 3, H, W]."""
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return F.pad(images, self.padding)

    def proposals(self, features: dict[str, Tensor]) -> Tensor:
        """The proposals of one frame, Tensor[R, 4], best first."""
        rpn = self.detector.rpn
        objectness, deltas = rpn.head([features[name] for name in rpn.levels])
        per_level = [level[0].numel() for level in objectness]
        scores, flat_deltas = concat_box_prediction_layers(objectness, deltas)
        boxes = rpn.box_coder.decode(flat_deltas, [self.anchors]).view(-1, 4)
        scores = scores.view(-1)
        best, level_of = [], []
        start = 0
        for number, own in enumerate(scores.split(per_level)):
            count = min(rpn.pre_nms_top_n(), len(own))
            best.append(own.topk(count).indices + start)
            level_of.append(torch.full((count,), float(number)))
            start += len(own)
        index = torch.cat(best)
        boxes, scores = clip_boxes_to_image(boxes[index], self.size), scores[index].sigmoid()
        shift = torch.cat(level_of).unsqueeze(1) * (max(self.size) + 1.0)
        keep = nms(boxes + shift, scores, rpn.nms_thresh)
        sides = boxes[:, 2:] - boxes[:, :2]
        wanted = (sides >= rpn.min_size).all(1) & (scores >= rpn.score_thresh)
        return boxes[keep[wanted[keep]][: rpn.post_nms_top_n()]]

    def roi_align(self, features: dict[str, Tensor], boxes: Tensor) -> Tensor:
        """RoIAlign of one frame, Tensor[R, C, h, w]: of every level, then each box its own."""
        rois = F.pad(boxes, (1, 0))
        pool = self.pool
        pooled = [
            torch.ops.torchvision.roi_align(
                features[name], rois, scale, *pool.output_size, pool.sampling_ratio, pool.aligned
            )
            for name, scale in zip(pool.featmap_names, self.scales, strict=True)
        ]
        chosen = pooled[0]
        if len(pooled) > 1:
            (level_of,) = pool.levels([boxes], self.scales)
            for level, part in enumerate(pooled[1:], 1):
                chosen = torch.where((level_of == level).view(-1, 1, 1, 1), part, chosen)
        return chosen

    def encode(self, frame: Tensor) -> PackedTensors:
        """The packed bank of one support frame, uint8 [h, w, 3]."""
        features = self.detector.backbone(self.images(frame.unsqueeze(0)))
        bank = []
        if self.detector.searches_maps:
            rows = features[self.searched].flatten(2).transpose(1, 2)
            bank += [rows, inverse_norms(rows)]
        if self.detector.support_roi_features is not None:
            rois = self.roi_align(features, self.proposals(features))
            for pair in self.detector.box_head.embed_support(rois):
                bank += pair
        return bank

    def detect(self, frame: Tensor, bank: PackedTensors) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [N, 4], scores [N] and labels [N] of a target frame, uint8 [h, w, 3]."""
        detector = self.detector
        features = detector.backbone(self.images(frame.unsqueeze(0)))
        proposals = self.proposals(features)
        rois = self.roi_align(features, proposals)
        if detector.searches_maps and bank:
            rois = temporal_features(rois, bank[0], bank[1], self.pool)
        pairs = bank[2:] if detector.searches_maps else bank
        x = detector.box_head.convolutions(rois).flatten(1)
        for index, layer in enumerate(detector.box_head.layers):
            x = layer(x)
            if pairs:
                attention = detector.box_head.attention[index]
                assert isinstance(attention, SelsaAttention)
                keys, values = pairs[2 * index], pairs[2 * index + 1]
                gathered = attend(attention.query(x), keys, values, attention.num_heads)
                x = x + attention.output(gathered)
            x = F.relu(x)
        logits, deltas = detector.box_head.logits(x), detector.box_head.box_deltas(x)
        boxes = detector.box_coder.decode_single(deltas, proposals).unflatten(1, (-1, 4))
        return self._choose(boxes, logits.softmax(-1)[:, :-1])

    def _choose(self, boxes: Tensor, class_scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        roi, label = (class_scores > self.score).nonzero(as_tuple=True)
        scores = class_scores[roi, label]
        column = label if boxes.shape[1] > 1 else torch.zeros_like(label)
        chosen = clip_boxes_to_image(boxes[roi, column], self.size)
        large = (chosen[:, 2:] - chosen[:, :2] >= self.detector.smallest_box).all(1)
        shift = label.unsqueeze(1) * (max(self.size) + 1.0)
        # torch.export takes for granted that nms keeps two boxes: two empty ones see to it
        padded = F.pad(chosen + shift, (0, 0, 0, 2))
        keep = nms(padded, F.pad(scores, (0, 2), value=-1.0), self.nms_iou)
        keep = keep[keep < scores.shape[0]]
        keep = keep[large[keep]][: self.max_detections]
        return chosen[keep], scores[keep], label[keep]


class FromBank(ExportedDetector):
    """The graph from a target frame and a packed bank to detections."""

    def forward(self, frame: Tensor, *bank: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `detect`."""
        return self.detect(frame, list(bank))


class FromFrames(ExportedDetector):
    """The graph from a target frame and its support frames, uint8 [T, h, w, 3], to detections."""

    def forward(self, frame: Tensor, support: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `detect`."""
        banks = [self.encode(own) for own in support.unbind()]
        return self.detect(frame, [torch.cat(parts) for parts in zip(*banks, strict=True)])


class SingleFrame(ExportedDetector):
    """The graph from a frame alone to detections."""

    takes_support = False

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `detect`."""
        return self.detect(frame, [])


class Encoder(ExportedDetector):
    """The graph from one support frame to its packed bank."""

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """See `encode`."""
        return tuple(self.encode(frame))


def temporal_features(
    rois: Tensor, rows: Tensor, norms: Tensor, pool: MultiScaleTemporalRoIAlign
) -> Tensor:
    """Temporal RoI Align from RoI features on (Eq. 2 to 8), for all support frames at once.

    Args:
        rois: Tensor[R, C, h, w].
        rows: Tensor[T, P, C], the support maps with their cells in a row.
        norms: Tensor[T, P], 1 / length of each cell.
        pool: Its parameters.
    """
    positions = reference.normalize(rois.flatten(2).transpose(1, 2))
    frames, cells, channels = rows.shape
    similarity = torch.einsum("rpc,tqc->trpq", positions, rows * norms.unsqueeze(-1))
    scores, points = similarity.topk(pool.top_k, dim=-1)
    places = points + torch.arange(frames).view(-1, 1, 1, 1) * cells
    found = rows.reshape(-1, channels)[places]
    similar = (scores.softmax(-1).unsqueeze(-1) * found).sum(-2)
    similar = similar.transpose(2, 3).unflatten(3, pool.output_size)
    if pool.embedding is None:
        return reference.average(rois, similar)
    weight, bias = pool.embedding.weight, pool.embedding.bias
    output, _ = reference.temporal_attention(
        rois, similar, pool.num_heads, weight, bias, pool.logit_scale
    )
    return output
