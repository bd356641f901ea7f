"""What holds for every backend that can be used here, whatever the shapes, values and layouts."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import roi_align

from tests.ops.compare import (
    TOLERANCE,
    Problem,
    assert_close,
    near_ties,
    neighbourhood,
    usable_backends,
)
from trovid.ops import pack_support, temporal_roi_align
from trovid.ops.temporal_roi_align.packed import compute_dtype

BACKENDS = usable_backends()


@dataclass(frozen=True)
class Case:
    """A call of the operator; what is random in it comes from `seed`."""

    seed: int
    dtype: torch.dtype
    videos: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    support_size: tuple[int, int]
    grid: tuple[int, int]
    channels: tuple[int, int, str]
    bias: bool
    top_k: int
    sampling_ratio: int
    aligned: bool
    values: str
    boxes: str
    layout: str

    def tensors(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        channels, heads, embedding = self.channels

        def random(*shape: int) -> Tensor:
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            if self.values == "positive":
                return values.relu()
            if self.values == "sparse":
                return values.relu() * (torch.rand(shape[0], 1, *shape[2:]) > 0.4)
            return torch.zeros_like(values) if self.values == "zero" else values

        counts = [count for count, _ in self.videos]
        tensors = {
            "features": random(len(self.videos), channels, *self.size),
            "support": random(sum(counts), channels, *self.support_size),
        }
        if heads:
            inputs = channels // heads if embedding == "grouped" else channels
            shape = channels, inputs, 3, 3
            weight = torch.randn(shape, generator=generator, dtype=torch.float64)
            tensors["weight"] = weight * (inputs * 9) ** -0.5
            if self.bias:
                tensors["bias"] = torch.randn(channels, generator=generator, dtype=torch.float64)
        return {
            name: laid_out(tensor.to(self.dtype), self.layout).requires_grad_()
            for name, tensor in tensors.items()
        }

    def rois(self) -> Tensor:
        """Tensor[R, 5], in no order."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        parts = []
        for video, (_, count) in enumerate(self.videos):
            scale = torch.tensor([self.size[1], self.size[0]]) * 8.0
            centre = torch.rand(count, 2, generator=generator) * scale
            extent = torch.rand(count, 2, generator=generator) * scale
            if self.boxes == "outside":
                centre += scale * 3 * torch.randn(count, 2, generator=generator).sign()
            if self.boxes == "degenerate":
                extent *= torch.tensor([0.0, -0.5])[torch.arange(count) % 2].unsqueeze(1)
            extent *= {"huge": 1e2, "endless": 1e30}.get(self.boxes, 1.0)
            box = torch.cat([centre - extent / 2, centre + extent / 2], dim=1)
            parts.append(torch.cat([torch.full((count, 1), float(video)), box], dim=1))
        rois = torch.cat(parts)
        return rois[torch.randperm(len(rois), generator=generator)]

    @property
    def pooling(self) -> tuple:
        return self.grid, 1 / 8, self.sampling_ratio, self.aligned

    def run(self, tensors: dict[str, Tensor], backend: str) -> Tensor:
        counts = [count for count, _ in self.videos]
        support = list(tensors["support"].split(counts))
        return temporal_roi_align(
            tensors["features"],
            pack_support(support) if self.layout == "packed" else support,
            self.rois(),
            *self.pooling,
            top_k=self.top_k,
            num_heads=self.channels[1],
            weight=tensors.get("weight"),
            bias=tensors.get("bias"),
            backend=backend,
        )

    @property
    def tolerance(self) -> float:
        """Where a box's edges are hundreds of cells away, so is the rounding of its samples."""
        return TOLERANCE[self.dtype] * (100 if self.boxes == "huge" else 1)

    def untied(self, tensors: dict[str, Tensor]) -> Tensor:
        """Outputs Tensor[R, 1, h, w] that rounding cannot change by the choice of a cell."""
        dtype, rois = compute_dtype(self.dtype), self.rois()
        pooled = roi_align(tensors["features"].detach().to(dtype), rois.to(dtype), *self.pooling)
        tied = torch.zeros(len(rois), *self.grid, dtype=torch.bool)
        counts = [count for count, _ in self.videos]
        for video, support in enumerate(tensors["support"].detach().split(counts)):
            mine = rois[:, 0] == video
            if len(support) and mine.any():
                tied[mine] = neighbourhood(near_ties(pooled[mine], support, self.top_k))
        return ~tied.unsqueeze(1)


def laid_out(tensor: Tensor, layout: str) -> Tensor:
    if layout == "channels last" and tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        wide = torch.full((*tensor.shape[:-1], 2 * tensor.shape[-1]), torch.nan, dtype=tensor.dtype)
        wide[..., ::2] = tensor
        return wide[..., ::2]
    return tensor


@st.composite
def cases(
    draw,
    dtypes=(torch.float32, torch.float64, torch.bfloat16, torch.float16),
    kinds=("usual", "outside", "degenerate", "huge"),
):
    support_size = draw(st.tuples(st.integers(1, 6), st.integers(1, 7)))
    boxes = draw(st.sampled_from(kinds))
    # torchvision takes as many adaptive samples as a box is large: a huge one would never end.
    ratios = (1, 2, 3) if boxes in ("huge", "endless") else (1, 2, 3, -1)
    return Case(
        seed=draw(st.integers(0, 2**20)),
        dtype=draw(st.sampled_from(dtypes)),
        videos=tuple(
            draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=3))
        ),
        size=draw(st.tuples(st.integers(1, 6), st.integers(1, 7))),
        support_size=support_size,
        grid=draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        channels=draw(
            st.sampled_from(
                [
                    *((c, 0, "none") for c in (1, 7, 32)),
                    *((c, n, "grouped") for c, n in ((4, 4), (9, 3), (40, 2), (17, 1))),
                    *((c, n, "dense") for c, n in ((6, 3), (32, 4))),
                ]
            )
        ),
        bias=draw(st.booleans()),
        top_k=draw(st.integers(1, min(8, support_size[0] * support_size[1]))),
        sampling_ratio=draw(st.sampled_from(ratios)),
        aligned=draw(st.booleans()),
        values=draw(st.sampled_from(["positive", "signed", "sparse", "zero"])),
        boxes=boxes,
        layout=draw(st.sampled_from(["contiguous", "channels last", "strided", "packed"])),
    )


many = settings(max_examples=80, deadline=None, derandomize=True, database=None)
few = settings(many, max_examples=25)
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def computes(backend: str, dtype: torch.dtype) -> bool:
    """The native library knows float32, and what is converted to it."""
    return backend != "native" or dtype != torch.float64


@every_backend
@given(case=cases())
@many
def test_equals_the_equations(backend, case):
    assume(computes(backend, case.dtype))
    tensors = case.tensors()
    mask, tolerance = case.untied(tensors), case.tolerance
    expected, actual = case.run(tensors, "reference"), case.run(tensors, backend)
    assert_close(actual * mask, expected * mask, tolerance, "output")
    with torch.no_grad():
        assert_close(case.run(tensors, backend) * mask, expected * mask, tolerance, "no graph")
    direction = torch.randn(expected.shape, dtype=case.dtype) * mask
    leaves = list(tensors.values())
    wanted = torch.autograd.grad(expected, leaves, direction, materialize_grads=True)
    got = torch.autograd.grad(actual, leaves, direction, materialize_grads=True)
    for name, a, b in zip(tensors, got, wanted, strict=True):
        assert_close(a, b, 3 * tolerance, f"gradient of {name}")


@every_backend
@given(case=cases(kinds=("endless",)))
@few
def test_endless_boxes_stay_finite(backend, case):
    """Which of their samples fall on the map is a matter of rounding."""
    assume(computes(backend, case.dtype))
    tensors = case.tensors()
    output = case.run(tensors, backend)
    leaves = list(tensors.values())
    for tensor in (output, *torch.autograd.grad(output.sum(), leaves, materialize_grads=True)):
        assert tensor.isfinite().all()


@every_backend
@given(case=cases(), channels=st.integers(2, 9), data=st.data())
@many
def test_equal_similarities_go_to_the_lowest_cell(backend, case, channels, data):
    """Cells along axes have cosines that every order of summation gives alike: no tie is near."""
    assume(computes(backend, case.dtype))
    case = dataclasses.replace(case, channels=(channels, 0, "none"), layout="contiguous")
    tensors = case.tensors()
    height, width = case.support_size
    shape = len(tensors["support"]), height, width
    axes = torch.tensor(
        data.draw(
            st.lists(
                st.integers(0, min(2, channels - 1)),
                min_size=shape[0] * height * width,
                max_size=shape[0] * height * width,
            )
        ),
        dtype=torch.long,
    )
    support = torch.nn.functional.one_hot(axes.view(shape), channels).permute(0, 3, 1, 2)
    lengths = 2.0 ** (torch.arange(height * width) % 3).view(1, 1, height, width)
    tensors["support"] = (support * lengths).to(case.dtype)
    outputs = [case.run(tensors, name) for name in (backend, "reference")]
    assert_close(*outputs, case.tolerance)


@every_backend
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf], ids=str)
@pytest.mark.parametrize("place", ["features", "support", "both"])
@given(case=cases(dtypes=(torch.float32, torch.float64)))
@few
def test_what_is_not_finite_propagates_alike(backend, place, value, case):
    assume(computes(backend, case.dtype))
    tensors = {name: leaf.detach().clone() for name, leaf in case.tensors().items()}
    generator = torch.Generator().manual_seed(case.seed)
    for name in ("features", "support"):
        if place in (name, "both") and tensors[name].numel():
            shape = tensors[name].shape
            index = [int(torch.randint(size, (), generator=generator)) for size in shape]
            tensors[name][tuple(index)] = value
    expected = case.run(tensors, "reference")
    finite = expected.isfinite() & case.untied(tensors)
    for gradient in (False, True):
        tensors["features"].requires_grad_(gradient)
        actual = case.run(tensors, backend).detach()
        assert torch.equal(actual.isfinite(), expected.isfinite())
        assert_close(
            actual.nan_to_num() * finite, expected.nan_to_num() * finite, max(case.tolerance, 1e-5)
        )


@every_backend
@given(case=cases())
@few
def test_the_same_input_gives_the_same_bits_whatever_memory_held(backend, case):
    assume(computes(backend, case.dtype))
    tensors = case.tensors()
    leaves = list(tensors.values())

    def run() -> list[Tensor]:
        output = case.run(tensors, backend)
        given = torch.autograd.grad(output.square().sum(), leaves, materialize_grads=True)
        with torch.no_grad():
            return [output.detach(), *given, case.run(tensors, backend)]

    first = run()
    with empty_memory_is_nan():
        second = run()
    for a, b in zip(first, second, strict=True):
        assert a.isfinite().all()
        assert torch.equal(a, b)


@contextmanager
def empty_memory_is_nan():
    """torch fills what torch.empty and its like return with NaN (integers: the largest)."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@every_backend
def test_threads_do_not_disturb_each_other(backend):
    problems = [
        Problem(frames=(3,), rois=(9,), channels=24),
        Problem(frames=(1, 2), rois=(5, 8), embedding="dense"),
        Problem(frames=(2,), rois=(20,), heads=0, top_k=7),
        Problem(frames=(2,), rois=(6,), dtype=torch.bfloat16),
    ]

    def run(problem: Problem) -> list[Tensor]:
        tensors = problem.tensors()
        output = problem.run(tensors, backend)
        leaves = [leaf for leaf in tensors.values() if leaf.requires_grad]
        return [output.detach(), *torch.autograd.grad(output.square().sum(), leaves)]

    expected = [run(problem) for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, problems * 6))
    for index, tensors in enumerate(together):
        for a, b in zip(tensors, expected[index % len(problems)], strict=True):
            assert torch.equal(a, b)
