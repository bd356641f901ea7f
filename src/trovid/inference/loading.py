"""A trained model by name or file, or one of torchvision's in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trovid.errors import OptionError
from trovid.inference.predictor import Predictor
from trovid.recipes import TrainingFreeRecipe
from trovid.zoo.default import DEFAULT_MODEL
from trovid.zoo.published import model_file
from trovid.zoo.weights import load_weights

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN


def load(
    model: str | Path | FasterRCNN = DEFAULT_MODEL,
    *,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "float32",
    compile: bool = False,
    deterministic: bool = False,
    temporal: Literal["training-free"] | TrainingFreeRecipe | None = None,
) -> Predictor:
    """A trained model, ready for videos.

    Args:
        model: Name of an embedded model (`synthvid-selsa-troi`, ...), of published weights
            (`selsa-troi-r101-vid`, ...: downloaded once, verified and converted), a weights file,
            or one of torchvision's two-stage detectors (Faster, Mask or Keypoint R-CNN), which
            then finds in a video's frames what it finds by itself. Its parts are taken over and
            put into eval mode.
        classes: Names of the labels of torchvision's detector, from 1 on; None for COCO's, where
            it has COCO's 91 outputs, else "class 1" and so on.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1", "mps".
        precision: Of the backbone's later convolutions and of the first fully connected layer:
            "float32", "bf16", or "fp16" on a GPU; the rest is computed in float32.
        compile: Whether torch.compile makes the backbone and the RPN's head, at the first frame of
            each size: slow then, faster afterwards.
        deterministic: Whether only deterministic algorithms are used, so that another run on the
            same machine gives the same numbers, also on a GPU.
        temporal: "training-free", or its recipe, for Temporal RoI Align without trained weights,
            whatever the model takes from support frames otherwise.

    Raises:
        TrovidError: If there is no such model, or the file or the device cannot be used.
        TypeError: If a module is none of torchvision's two-stage detectors.
        ValueError: If `classes` are not as many as the module has.

    Example:
        >>> model = load("synthvid-selsa-troi")
        >>> model.class_names[:3]
        ('aeroplane', 'anchor', 'club')
    """
    if temporal == "training-free":
        temporal = TrainingFreeRecipe()
    card = None
    if isinstance(model, str | Path):
        if classes is not None:
            raise OptionError(
                "`classes` names those of a module; a model by name or file knows its own: choose "
                "among them by `detect(..., classes=...)`"
            )
        path = model_file(model)
        detector, card = load_weights(path, temporal=temporal)
        recipe, name = card.recipe, path.stem
    else:
        from trovid.detectors.torchvision.module import detector_of_module

        detector, recipe = detector_of_module(model, classes=classes, temporal=temporal)
        name = recipe.name
    return Predictor(
        detector,
        recipe,
        name=name if temporal is None else f"{name} ({temporal.name})",
        card=card,
        device=device,
        precision=precision,
        compile=compile,
        deterministic=deterministic,
    )
