"""A trained model by name or file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trovid.inference.predictor import Predictor
from trovid.recipes import TrainingFreeRecipe
from trovid.zoo.published import model_file
from trovid.zoo.weights import load_weights


def load(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    precision: str = "float32",
    compile: bool = False,
    deterministic: bool = False,
    temporal: Literal["training-free"] | TrainingFreeRecipe | None = None,
) -> Predictor:
    """A trained model, ready for videos.

    Args:
        name_or_path: Name of an embedded model (`synthvid-selsa-troi`, ...), of published weights
            (`selsa-troi-r101-vid`, ...: downloaded once, verified and converted), or a weights
            file.
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

    Example:
        >>> model = load("synthvid-selsa-troi")
        >>> model.class_names[:3]
        ('aeroplane', 'anchor', 'club')
    """
    path = model_file(name_or_path)
    if temporal == "training-free":
        temporal = TrainingFreeRecipe()
    detector, card = load_weights(path, temporal=temporal)
    return Predictor(
        detector,
        card.recipe,
        name=path.stem if temporal is None else f"{path.stem} ({temporal.name})",
        card=card,
        device=device,
        precision=precision,
        compile=compile,
        deterministic=deterministic,
    )
