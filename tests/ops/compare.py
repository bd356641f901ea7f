"""The one comparison of two computations of the operator, and readable random problems."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from trovid.ops import backends, pack_support, temporal_roi_align
from trovid.ops.temporal_roi_align import problem as whole
from trovid.ops.temporal_roi_align.packed import compute_dtype
from trovid.ops.temporal_roi_align.reference import normalize


def available(name: str) -> pytest.param:
    """A backend as a parameter of a test that is skipped, with the reason, where it cannot run."""
    reason = backends()[name]
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))


NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_CUDA)]
NOT_THE_SAME_TWICE = 1e-9
"""Of a gradient on a GPU, whose sums are in no order; gradcheck's `nondet_tol`."""

FAST = [available("direct"), available("native")]
EVERY = [available("reference"), *FAST]

SHORT = {
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def usable_backends() -> list[str]:
    """The backends that can compute here, apart from the reference."""
    return [name for name, reason in backends().items() if not reason and name != "reference"]


def assert_close(
    actual: Tensor,
    expected: Tensor,
    tolerance: float,
    name: str = "result",
    *,
    allowed: float = 0.0,
) -> None:
    """max |a - b| <= tolerance * max |b|, both finite, of the same shape and dtype.

    `allowed` is the share of entries that may differ by more.
    """
    assert actual.shape == expected.shape, f"{name}: {actual.shape} against {expected.shape}"
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype} against {expected.dtype}"
    if not expected.numel():
        return
    assert actual.isfinite().all(), f"{name} is not finite"
    difference = (actual.double() - expected.double()).abs()
    largest = expected.double().abs().max().item()
    share = (difference > tolerance * largest).double().mean().item()
    assert share <= allowed, (
        f"{name}: {share:.3%} of the entries differ, by up to {difference.max().item():.3g} "
        f"against {tolerance:g} of {largest:.3g}"
    )


def near_ties(roi_features: Tensor, support: Tensor, top_k: int, margin: float = 1e-6) -> Tensor:
    """Where the K-th and the next similarity nearly tie: Tensor[T, R, h, w] of bool.

    Rounding decides there which cell is chosen. Positions of zero norm do not count: all their
    similarities are exactly 0.
    """
    positions = normalize(roi_features.double().permute(0, 2, 3, 1))
    has_direction = (positions != 0).any(dim=-1)
    found = torch.zeros(len(support), *positions.shape[:3], dtype=torch.bool)
    if top_k < support.shape[2] * support.shape[3]:
        for frame, rows in enumerate(normalize(support.double().flatten(2).transpose(1, 2))):
            best = (positions @ rows.t()).topk(top_k + 1, dim=-1).values
            found[frame] = (best[..., -2] - best[..., -1] < margin) & has_direction
    return found


def neighbourhood(mask: Tensor) -> Tensor:
    """Positions Tensor[R, h, w] whose output depends, through 3x3, on the mask [T, R, h, w]."""
    return F.max_pool2d(mask.any(dim=0).float().unsqueeze(1), 3, 1, 1).squeeze(1).bool()


@dataclass(frozen=True)
class Problem:
    """A random problem with a readable name; `frames` has one number a video."""

    frames: tuple[int, ...] = (2,)
    rois: tuple[int, ...] = (5,)
    channels: int = 12
    top_k: int = 4
    heads: int = 4
    embedding: str = "grouped"
    bias: bool = True
    dtype: torch.dtype = torch.float32
    size: tuple[int, int] = (13, 17)
    grid: tuple[int, int] = (7, 7)
    relu: bool = True
    search: str = "exact"
    rank: int = 0
    """Directions beside which little is left of the features; 0: as many as channels."""

    def __str__(self) -> str:
        frames, rois = ("+".join(map(str, numbers)) for numbers in (self.frames, self.rois))
        name = f"T{frames}-R{rois}-C{self.channels}-K{self.top_k}-N{self.heads}"
        parts = [self.embedding] if self.heads and self.embedding != "grouped" else []
        parts += [] if self.bias else ["nobias"]
        parts += [] if self.grid == (7, 7) else [f"{self.grid[0]}x{self.grid[1]}"]
        parts += [] if self.relu else ["signed"]
        if self.search != "exact":
            parts += [self.search, f"{self.size[0]}x{self.size[1]}"]
        parts += [f"rank{self.rank}"] if self.rank else []
        return "-".join([name, *parts, SHORT[self.dtype]])

    def tensors(self, seed: int = 0) -> dict[str, Tensor]:
        """Leaves of the problem, by name; those that a gradient may go to require it."""
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        videos, channels = len(self.frames), self.channels
        scene = random(videos, channels, *self.size)
        leaves = {"features": scene + 0.3 * random(*scene.shape)}
        for index, count in enumerate(self.frames):
            noise = random(count, channels, *self.size)
            leaves[f"support{index}"] = scene[index] + 0.5 * noise
        if self.relu:
            leaves = {name: leaf.relu() for name, leaf in leaves.items()}
        if self.rank:
            basis = torch.linalg.qr(random(channels, self.rank)).Q
            held = basis @ basis.t() + 0.02 * torch.eye(channels, dtype=torch.float64)
            leaves = {n: torch.einsum("dc,nchw->ndhw", held, leaf) for n, leaf in leaves.items()}
        if self.heads:
            inputs = channels // self.heads if self.embedding == "grouped" else channels
            leaves["weight"] = random(channels, inputs, 3, 3) * (inputs * 9) ** -0.5
            if self.bias:
                leaves["bias"] = 0.1 * random(channels)
        leaves = {name: leaf.to(self.dtype).requires_grad_() for name, leaf in leaves.items()}
        for index, count in enumerate(self.rois):
            centre = torch.rand(count, 2, generator=generator)
            extent = torch.rand(count, 2, generator=generator) * 90 + 4
            centre = centre * torch.tensor([self.size[1], self.size[0]]) * 8
            boxes = torch.cat([centre - extent / 2, centre + extent / 2], dim=1)
            leaves[f"boxes{index}"] = boxes.to(compute_dtype(self.dtype))
        return leaves

    def run(self, tensors: dict[str, Tensor], backend: str, *, packed: bool = False) -> Tensor:
        """The operator on the problem's tensors, the support maps `packed` beforehand or not."""
        videos = range(len(self.frames))
        support = [tensors[f"support{i}"] for i in videos]
        return temporal_roi_align(
            tensors["features"],
            pack_support(support) if packed else support,
            [tensors[f"boxes{i}"] for i in videos],
            self.grid,
            1 / 8,
            2,
            True,
            top_k=self.top_k,
            num_heads=self.heads,
            weight=tensors.get("weight"),
            bias=tensors.get("bias"),
            search=self.search,
            backend=backend,
        )

    def described(self, tensors: dict[str, Tensor]) -> whole.Problem:
        """The problem as a backend receives it."""
        videos = range(len(self.frames))
        boxes = [tensors[f"boxes{i}"].float() for i in videos]
        rois = torch.cat([F.pad(b, (1, 0), value=i) for i, b in enumerate(boxes)])
        weight, bias = tensors.get("weight"), tensors.get("bias")
        packed = pack_support([tensors[f"support{i}"].detach().float() for i in videos])
        return whole.Problem(
            features=tensors["features"].detach().float(),
            rows=packed.rows,
            weight=None if weight is None else weight.detach().float(),
            bias=None if bias is None else bias.detach().float(),
            inverse_norms=packed.inverse_norms,
            basis=None,
            prefixes=None,
            rois=rois,
            lengths=packed.lengths,
            output_size=self.grid,
            spatial_scale=1 / 8,
            sampling_ratio=2,
            aligned=True,
            top_k=self.top_k,
            num_heads=self.heads,
            logit_scale=1.0,
            map_width=1,
            square=1,
            squares=1,
        )

    def ties(self, tensors: dict[str, Tensor]) -> Tensor:
        """Positions Tensor[R, h, w] whose output a near tie may change."""
        dtype = compute_dtype(self.dtype)
        found = []
        for index in range(len(self.frames)):
            with torch.no_grad():
                features = tensors["features"][index : index + 1].to(dtype)
                boxes = tensors[f"boxes{index}"]
                pooled = roi_align(features, [boxes], self.grid, 1 / 8, 2, True)
                ties = near_ties(pooled, tensors[f"support{index}"], self.top_k)
                found.append(neighbourhood(ties))
        return torch.cat(found)

    def check(self, backend: str = "direct", expected_backend: str = "reference") -> None:
        """Both backends agree in outputs, with and without a graph, and in all gradients."""
        tensors = self.tensors()
        tied = self.ties(tensors)
        assert tied.float().mean() < 0.01 or not tied.numel()
        mask = ~tied.unsqueeze(1)
        tolerance = TOLERANCE[self.dtype]

        expected = self.run(tensors, expected_backend)
        actual = self.run(tensors, backend)
        assert_close(actual * mask, expected * mask, tolerance, "output")
        with torch.no_grad():
            without_graph = self.run(tensors, backend)
        assert_close(without_graph * mask, expected * mask, tolerance, "output without a graph")
        if not any(self.rois):
            return

        names = [name for name, leaf in tensors.items() if leaf.requires_grad]
        leaves = [tensors[name] for name in names]
        generator = torch.Generator().manual_seed(1)
        direction = torch.randn(expected.shape, generator=generator).to(self.dtype) * mask
        wanted = torch.autograd.grad(expected, leaves, direction, allow_unused=True)
        got = torch.autograd.grad(actual, leaves, direction, allow_unused=True)
        for name, a, b in zip(names, got, wanted, strict=True):
            assert (a is None) == (b is None), name
            if a is not None and b is not None:
                assert_close(a, b, 2 * tolerance, f"gradient of {name}")
