"""Products of vectors, as the direct backend computes them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def block_bytes(device: torch.device) -> int:
    """Size of a block of temporaries: what a CPU's cache holds; more on other devices."""
    return 2**22 if device.type == "cpu" else 128 * 2**20


def products_are_exact(vectors: Tensor) -> bool:
    """Whether `row_products` rounds no further than the type of these vectors."""
    if vectors.dtype == torch.float64:
        return True
    try:
        exact = torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # what torch answers once one of the settings below was made
        exact = True
    on = torch.backends.cuda if vectors.is_cuda else torch.backends.mkldnn
    kinds = (getattr(on, name, None) for name in ("matmul", "conv"))
    return exact and all(
        getattr(kind, "fp32_precision", "none") in ("none", "ieee") for kind in kinds
    )


def row_products(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of rows, `left @ right.t()`.

    In float32 on a CPU as a 1x1 convolution, which oneDNN computes up to twice as fast as the
    matrix product of a library that favours another maker's processors.
    """
    if left.device.type != "cpu" or left.dtype != torch.float32 or not len(left):
        return left @ right.t()
    pixels = left.t().unsqueeze(0).unsqueeze(2)
    products = F.conv2d(pixels, right.unsqueeze(2).unsqueeze(3))
    return products.squeeze(2).squeeze(0).t().contiguous()


def chosen_products(vectors: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
    """Inner products of `vectors` Tensor[M, C] with K rows each, `indices` Tensor[M, K]."""
    products = vectors.new_empty(indices.shape)
    bytes_of_one = indices.shape[1] * vectors.shape[1] * vectors.element_size()
    step = max(64, block_bytes(vectors.device) // max(bytes_of_one, 1))
    for low in range(0, len(vectors), step):
        part = slice(low, low + step)
        gathered = F.embedding(indices[part], rows)
        products[part] = gathered.mul_(vectors[part].unsqueeze(1)).sum(dim=2)
    return products
