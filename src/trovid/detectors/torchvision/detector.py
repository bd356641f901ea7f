"""torchvision's two-stage detectors as a start: their parts and weights in a Detector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import (
    FastRCNNConvFCHead,
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.ops import FrozenBatchNorm2d

from trovid.detectors.faster_rcnn.detector import Detector
from trovid.errors import TrovidError
from trovid.nn import BoxHead, MultiScaleRoIAlign, MultiScaleTemporalRoIAlign
from trovid.nn.rpn import ProposalNetwork
from trovid.recipes import Recipe, TorchvisionModelRecipe, recipe_values

COCO_OUTPUTS = 91
COCO_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""torchvision's COCO labels that stand for no class."""
SMALLEST_BOX = 1e-2
"""Sides in pixels from which torchvision keeps a box."""


def from_torchvision(
    model: FasterRCNN,
    *,
    class_names: Sequence[str] | None = None,
    unused: Sequence[int] | None = None,
    temporal: bool = True,
    searched: str = "own",
    top_k: int = 4,
    num_heads: int = 4,
    embedding: str = "grouped",
    bias: bool = True,
    logit_scale: float = 1.0,
) -> Detector:
    """A Detector with backbone, FPN, RPN and box head of one of torchvision's detectors.

    Without support frames it finds what torchvision's finds. With them it is the start of a
    fine-tuning: the embedding of the temporal attention is new, so until then a Predictor runs it
    on single frames (`Detector.temporal_trained`). Modules are taken over, not copied; BatchNorm
    keeps its statistics in training. Masks and keypoints are left behind.

    Args:
        model: Faster R-CNN, or Mask or Keypoint R-CNN, of which the boxes are used.
        class_names: Names of the classes; None for "class 1" and so on.
        unused: torchvision's labels that stand for no class, whose probability goes to the
            background; None for those of COCO where the model has its 91 outputs, else none.
        temporal: Whether to pool with Temporal RoI Align, or with plain RoIAlign.
        searched: The level of the support frames that a proposal searches: its "own" or the
            "last".
        top_k: K, the most similar cells taken from each support frame.
        num_heads: N, groups of channels in the attention.
        embedding: "grouped" (the paper) or "dense" (the published code).
        bias: Whether the embedding has a bias.
        logit_scale: Factor of the attention's logits.

    Raises:
        TypeError: If it is none of these detectors.
        ValueError: If a part is of a kind that a Detector does not have.

    Example:
        >>> from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
        >>> network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
        >>> detector = from_torchvision(network)
        >>> detector.box_head.num_classes, detector.searched_levels
        (80, ('0',))
    """
    if not isinstance(model, FasterRCNN):
        raise TypeError(
            f"`model` must be a FasterRCNN of torchvision (or Mask or Keypoint R-CNN), "
            f"but is {type(model).__name__}"
        )
    heads: Any = model.roi_heads
    backbone = TorchvisionBackbone(model.backbone)
    pool = heads.box_roi_pool
    levels = _pooled_levels(backbone, pool.featmap_names)
    roi_features: MultiScaleRoIAlign | MultiScaleTemporalRoIAlign
    if temporal:
        roi_features = MultiScaleTemporalRoIAlign(
            levels,
            pool.output_size,
            pool.sampling_ratio,
            channels=backbone.level_channels[levels[0]],
            top_k=top_k,
            num_heads=num_heads,
            embedding=embedding,
            bias=bias,
            logit_scale=logit_scale,
            searched=searched,
        )
        scales = roi_features
    else:
        roi_features = MultiScaleRoIAlign(levels, pool.output_size[0], pool.sampling_ratio)
        scales = roi_features.pool
    scales.canonical_scale, scales.canonical_level = pool.canonical_scale, pool.canonical_level
    x, y, width, height = (1 / weight for weight in heads.box_coder.weights)
    box_head = _box_head(heads.box_head, heads.box_predictor, unused)
    if class_names is None:
        class_names = [f"class {number}" for number in range(1, box_head.num_classes + 1)]
    detector = Detector(
        class_names=class_names,
        backbone=backbone,
        rpn=ProposalNetwork.from_torchvision(model.rpn, backbone.levels),
        roi_features=roi_features,
        box_head=box_head,
        delta_stds=(x, y, width, height),
        samples=heads.fg_bg_sampler.batch_size_per_image,
        positive_fraction=heads.fg_bg_sampler.positive_fraction,
        foreground_iou=heads.proposal_matcher.high_threshold,
        smooth_l1_beta=1 / 9,
        smallest_box=SMALLEST_BOX,
    )
    detector.temporal_trained = not temporal
    return detector.eval()


class TorchvisionBackbone(nn.Module):
    """The backbone of a torchvision detector, its feature pyramid included.

    Args:
        network: The module, which returns a dict of levels or one level.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        reference = next(network.parameters())
        with torch.no_grad():
            levels = self(reference.new_zeros(1, 3, 64, 64))
        self.levels = tuple(levels)
        self.strides = {name: 64 // level.shape[-1] for name, level in levels.items()}
        self.level_channels = {name: level.shape[1] for name, level in levels.items()}

    def train(self, mode: bool = True) -> TorchvisionBackbone:
        """Training mode, apart from BatchNorm, which keeps its statistics."""
        super().train(mode)
        _fix_statistics(self)
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Tensor[B, 3, H, W] to the levels, finest first."""
        levels = self.network(images)
        return {"0": levels} if isinstance(levels, Tensor) else levels


def build_from_builder(recipe: TorchvisionModelRecipe) -> Detector:
    """The detector of a recipe that names torchvision's builder, with random weights."""
    return _take_over(torchvision_network(recipe), recipe)


def torchvision_network(recipe: TorchvisionModelRecipe) -> FasterRCNN:
    """The detector of a recipe as torchvision builds it, with random weights."""
    builder = getattr(torchvision.models.detection, recipe.name)
    outputs = len(recipe.classes) + len(recipe.unused) + 1
    return builder(weights=None, weights_backbone=None, num_classes=outputs)


def _take_over(network: FasterRCNN, recipe: TorchvisionModelRecipe) -> Detector:
    temporal = recipe.temporal
    options: dict[str, Any] = {"temporal": temporal is not None, "searched": recipe.searched}
    if temporal is not None:
        options |= {
            "top_k": temporal.top_k,
            "num_heads": temporal.num_heads,
            "embedding": temporal.embedding,
            "bias": temporal.bias,
            "logit_scale": temporal.logit_scale,
        }
    detector = from_torchvision(
        network, class_names=recipe.classes, unused=recipe.unused, **options
    )
    detector.temporal_trained = True
    body = detector.backbone.get_submodule("network.body")
    for name in recipe.frozen:
        body.get_submodule(name).requires_grad_(False)
    for module in detector.backbone.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d):
            module.eps = recipe.norm_eps
    return detector


def convert_torchvision(path: Path, recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a checkpoint of torchvision as the weights of a recipe that names its builder.

    Args:
        path: A state dict as torchvision publishes it; read with `weights_only`.
        recipe: The recipe.

    Returns:
        The tensors by trovid's names, and metadata as `save_tensors` takes it.

    Raises:
        TrovidError: If the file holds anything but tensors, or they do not fit the builder.
    """
    from trovid.storage.hashes import sha256_of
    from trovid.storage.torch_checkpoints import read_checkpoint

    assert isinstance(recipe.model, TorchvisionModelRecipe)
    state = read_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision_network(recipe.model)
        _fill(network, state, path)
        detector = _take_over(network, recipe.model)
    facts = {
        "source": path.name,
        "source_sha256": sha256_of(path),
        "layout": f"torchvision {recipe.model.name}",
        "temporal_trained": False,
    }
    metadata = {"recipe": json.dumps(recipe_values(recipe)), "facts": json.dumps(facts)}
    kept = {k: v for k, v in detector.state_dict().items() if not k.endswith("num_batches_tracked")}
    return kept, metadata


def _fill(network: nn.Module, state: dict[str, Any], path: Path) -> None:
    own = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    unknown, missing = sorted(given.keys() - own.keys()), sorted(own.keys() - given.keys())
    if unknown or missing:
        what = f"unexpected: {unknown[:3]}" if unknown else f"missing: {missing[:3]}"
        raise TrovidError(f"{path} is not of the published layout ({what})")
    for key, value in given.items():
        if not isinstance(value, Tensor) or value.shape != own[key].shape:
            raise TrovidError(f"{path}: {key} must be a tensor of shape {list(own[key].shape)}")
    network.load_state_dict(given, strict=False)


class FixedStatistics(nn.Sequential):
    """Layers whose BatchNorm keeps its statistics in training too."""

    def train(self, mode: bool = True) -> FixedStatistics:
        """Training mode, apart from BatchNorm."""
        super().train(mode)
        _fix_statistics(self)
        return self


def _fix_statistics(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def _pooled_levels(backbone: TorchvisionBackbone, names: Sequence[str]) -> list[str]:
    """The levels that are pooled from: of several with one stride torchvision uses the first."""
    known = [name for name in names if name in backbone.levels]
    strides = [backbone.strides[name] for name in known]
    return [name for i, name in enumerate(known) if strides[i] not in strides[:i]]


def _box_head(head: nn.Module, predictor: nn.Module, unused: Sequence[int] | None) -> BoxHead:
    if not isinstance(predictor, FastRCNNPredictor):
        raise ValueError(f"the box predictor must be a FastRCNNPredictor, but is {predictor}")
    convolutions: nn.Module | None = None
    if isinstance(head, TwoMLPHead):
        layers = [head.fc6, head.fc7]
    elif isinstance(head, FastRCNNConvFCHead):
        layers = [part for part in head if isinstance(part, nn.Linear)]
        convolutions = FixedStatistics(*(p for p in head if isinstance(p, nn.Sequential)))
    else:
        raise ValueError(f"the box head must be a TwoMLPHead or FastRCNNConvFCHead, but is {head}")
    outputs = predictor.cls_score.out_features
    if unused is None:
        unused = COCO_UNUSED if outputs == COCO_OUTPUTS else ()
    classes = [label for label in range(1, outputs) if label not in unused]
    own = BoxHead(
        layers[0].in_features,
        hidden=[layer.out_features for layer in layers],
        num_classes=len(classes),
        class_agnostic=False,
        background_logits=1 + len(unused),
        convolutions=convolutions,
    ).to(predictor.cls_score.weight.device)
    for mine, theirs in zip(own.layers, layers, strict=True):
        mine.weight, mine.bias = theirs.weight, theirs.bias
    rows = [*classes, 0, *unused]
    with torch.no_grad():
        for mine, theirs, per_class, chosen in (
            (own.class_logits, predictor.cls_score, 1, rows),
            (own.box_deltas, predictor.bbox_pred, 4, classes),
        ):
            for name in ("weight", "bias"):
                value = getattr(theirs, name)
                picked = value.unflatten(0, (outputs, per_class))[chosen].flatten(0, 1)
                getattr(mine, name).copy_(picked)
    return own
