"""Pictures in memory, whatever holds them, as uint8 arrays."""

from __future__ import annotations

import numpy as np
from PIL import Image


def is_picture(value: object) -> bool:
    """Whether it is an array, a tensor or a PIL image, and not a collection of them."""
    return isinstance(value, np.ndarray | Image.Image) or hasattr(value, "detach")


def as_picture(value: object) -> np.ndarray:
    """One picture as uint8 [H, W, 3] RGB.

    Args:
        value: An array uint8 [H, W, 3], a tensor uint8 [3, H, W] or [H, W, 3], a PIL image, or
            something with such a picture as `image`, as a Frame.

    Raises:
        TypeError: If it is none of these.
        ValueError: If it has another shape or type.
    """
    if isinstance(value, Image.Image):
        return np.array(value.convert("RGB"))
    if not is_picture(value) and hasattr(value, "image"):
        value = value.image
    if not is_picture(value):
        raise TypeError(
            "a frame must be an array, a tensor or a PIL image, "
            f"but one is of type {type(value).__name__}"
        )
    picture = as_pictures(value)
    if picture.ndim != 3:
        raise ValueError(f"a frame must have shape [H, W, 3], but one has {list(picture.shape)}")
    return picture


def as_pictures(value: object) -> np.ndarray:
    """An array or a tensor of one or several pictures as uint8 [..., H, W, 3].

    A tensor may have its channels before height and width, as torchvision's have.

    Raises:
        ValueError: If it has another shape or type.
    """
    if isinstance(value, Image.Image):
        return np.array(value.convert("RGB"))[None]
    tensor = hasattr(value, "detach")
    pictures = value.detach().cpu().numpy() if tensor else np.asarray(value)  # ty: ignore
    if tensor and pictures.ndim >= 3 and pictures.shape[-1] != 3 and pictures.shape[-3] == 3:
        pictures = np.moveaxis(pictures, -3, -1)
    if pictures.ndim < 3 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        wanted = "[T, 3, H, W]" if tensor else "[T, H, W, 3]"
        raise ValueError(
            f"`source` must be uint8 of shape {wanted}, "
            f"but got {pictures.dtype} {list(pictures.shape)}"
        )
    return pictures
