"""Support maps that come as networks leave them: the bits of maps that were packed beforehand."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.ops.compare import Problem, assert_close
from tests.ops.instruction_sets import instruction_set
from trovid.ops import pack_support, temporal_roi_align
from trovid.ops.temporal_roi_align.cpp import backend as native
from trovid.ops.temporal_roi_align.packed import PackedSupport, inverse_norms

ISAS = ["avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "portable"]
MANY_ROWS = Problem(frames=(4,), rois=(60,), channels=64, size=(30, 41))


@pytest.fixture(params=ISAS)
def isa(request) -> Generator[str]:
    with instruction_set(request.param):
        yield request.param


def maps_of(problem: Problem, seed: int = 0) -> dict[str, Tensor]:
    return {name: leaf.detach() for name, leaf in problem.tensors(seed).items()}


def assert_same_bits(problem: Problem, tensors: dict[str, Tensor]) -> Tensor:
    """Of a call on planes, on packed maps, and of one that keeps what gradients need."""
    videos = [tensors[f"support{i}"] for i in range(len(problem.frames))]
    rows = PackedSupport.from_features(videos, planes=True).rows
    assert native.are_planes(rows) == (problem.channels > 1)
    found = problem.run(tensors, "native")
    assert torch.equal(found, problem.run(tensors, "native", packed=True))
    tensors["features"].requires_grad_()
    assert torch.equal(found, problem.run(tensors, "native").detach())
    tensors["features"].requires_grad_(False)
    return found


@pytest.mark.parametrize(
    "problem",
    [
        Problem(frames=(3,), rois=(30,), channels=48),
        Problem(frames=(2, 0, 1), rois=(60, 3, 90), channels=55, heads=5, grid=(3, 5)),
        Problem(frames=(2,), rois=(40,), channels=80, heads=0, top_k=9, relu=False),
        Problem(frames=(2,), rois=(3,), size=(5, 4), channels=64, embedding="dense"),
        Problem(frames=(3, 2), rois=(9, 8), channels=1, heads=1),
        Problem(frames=(2,), rois=(9,), channels=8, size=(64, 48), search="coarse-to-fine"),
        MANY_ROWS,
        Problem(frames=(5,), rois=(40,), channels=33, heads=3, size=(29, 31), relu=False),
    ],
    ids=str,
)
def test_planes_give_the_bits_of_packed_maps(isa, problem):
    assert_same_bits(problem, maps_of(problem))


def test_planes_give_what_the_equations_give(isa):
    tensors = maps_of(MANY_ROWS)
    mask = ~MANY_ROWS.ties(tensors).unsqueeze(1)
    assert mask.float().mean() > 0.9
    expected = MANY_ROWS.run(tensors, "reference")
    assert_close(MANY_ROWS.run(tensors, "native") * mask, expected * mask, 1e-5)


def test_cells_that_are_nearly_equal_and_cells_of_zeros(isa):
    """More of them than are kept beside the best, so that positions are searched again."""
    tensors = maps_of(MANY_ROWS)
    support = tensors["support0"].flatten(2)
    few = support[..., :20].repeat(1, 1, 62)[..., : support.shape[-1]]
    generator = torch.Generator().manual_seed(2)
    few = few * (1 + 1e-5 * torch.rand(few.shape, generator=generator))
    few[..., 100:140] = 0
    few[2] = 0
    tensors["support0"] = few.view_as(tensors["support0"]).contiguous()
    assert_same_bits(MANY_ROWS, tensors)


@pytest.mark.parametrize("channels", [15, 33])
def test_crowded_positions_of_odd_channels(isa, channels):
    """Whole numbers are rounded alike from rows and planes, also where they lie half way."""
    problem = Problem(frames=(3,), rois=(60,), channels=channels, heads=3, size=(20, 21))
    for seed in range(12):
        tensors = maps_of(problem, seed)
        generator = torch.Generator().manual_seed(seed)
        centres = torch.randint(0, 9, (channels, 40), generator=generator) / 8
        indices = torch.randint(0, 40, (3, 20, 21), generator=generator)
        noise = 1e-3 * torch.rand(3, channels, 20, 21, generator=generator)
        tensors["support0"] = centres[:, indices].transpose(0, 1).contiguous() + noise
        assert_same_bits(problem, tensors)


def test_a_tensor_of_maps_is_not_copied(isa):
    support = maps_of(MANY_ROWS)["support0"]
    for given in (support, [support], support.unsqueeze(0)):
        rows = PackedSupport.from_features(given, planes=True).rows
        assert rows.data_ptr() == support.data_ptr()
        assert PackedSupport.from_features(given).rows.data_ptr() != support.data_ptr()


def test_gradients_are_those_of_rows_where_a_support_holds_planes(isa):
    problem = Problem(frames=(3,), rois=(12,), channels=16)
    tensors = maps_of(problem)
    packed = pack_support(tensors["support0"])
    planes = replace(packed, rows=tensors["support0"].flatten(2).transpose(1, 2))
    found = []
    for support in (packed, planes):
        features = tensors["features"].clone().requires_grad_()
        boxes = [tensors["boxes0"]]
        output = temporal_roi_align(features, support, boxes, 7, 1 / 8, 2, True)
        output.square().sum().backward()
        found.append(features.grad)
    assert torch.equal(*found)


def test_positions_of_zeros_choose_the_first_cells(isa):
    tensors = maps_of(MANY_ROWS)
    tensors["features"][..., :20] = 0
    assert_same_bits(MANY_ROWS, tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 4e18])
def test_values_beyond_the_kernels_range_are_left_to_the_direct_backend(isa, value):
    problem = Problem(frames=(3,), rois=(12,), channels=16)
    tensors = maps_of(problem)
    tensors["support0"][1, 3, 5, 7] = value
    found, packed = (problem.run(tensors, "native", packed=packed) for packed in (False, True))
    torch.testing.assert_close(found, packed, equal_nan=True, rtol=1e-6, atol=0)
    expected = problem.run(tensors, "direct")
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-6)


def test_boxes_beyond_the_map_see_what_is_not_finite(isa):
    """They have no cells, so no support cell passes by while they search."""
    problem = Problem(frames=(3,), rois=(2,), channels=16)
    tensors = maps_of(problem)
    tensors["boxes0"] += 1e4
    assert_same_bits(problem, tensors)
    tensors["support0"][1, 3, 0, 0] = float("nan")
    found, packed = (problem.run(tensors, "native", packed=packed) for packed in (False, True))
    torch.testing.assert_close(found, packed, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 96, 200])
def test_norms_are_the_same_bits_from_rows_and_planes(isa, channels):
    maps = torch.randn(2, channels, 13, 23, generator=torch.Generator().manual_seed(0))
    maps[0, :, 3, 4] = 0
    maps[1, :, 12, 22] = 1e-14
    planes = maps.flatten(2).transpose(1, 2)
    found = native.inverse_norms(planes)
    assert torch.equal(found, native.inverse_norms(planes.contiguous()))
    assert torch.equal(found, pack_support(maps).inverse_norms)
    last = maps.contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, pack_support(last).inverse_norms)
    torch.testing.assert_close(found, inverse_norms(planes), rtol=1e-6, atol=0)


def test_any_number_of_threads_gives_the_same_bits(isa):
    tensors = maps_of(MANY_ROWS)
    found = []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        found.append(MANY_ROWS.run(tensors, "native"))
    assert all(torch.equal(each, found[0]) for each in found)


def test_maps_of_bfloat16_values(isa):
    """Pairs of them round nothing, and are searched without a copy in float32."""
    tensors = maps_of(MANY_ROWS)
    for name in ("features", "support0"):
        tensors[name] = tensors[name].bfloat16().float()
    assert_same_bits(MANY_ROWS, tensors)


@pytest.mark.parametrize(("rank", "pays"), [(8, True), (200, False)])
def test_prefixes_are_tried_on_planes_as_on_rows(isa, rank, pays):
    generator = torch.Generator().manual_seed(rank)
    cells = torch.randn(4, 40 * 60, rank, generator=generator)
    cells = cells @ torch.randn(rank, 96, generator=generator)
    cells += 0.02 * torch.randn(cells.shape, generator=generator)
    maps = cells.mT.reshape(4, 96, 40, 60).contiguous()
    boxes = torch.rand(40, 4, generator=generator) * 160
    boxes[:, 2:] += boxes[:, :2]

    def run(support: Tensor | PackedSupport) -> tuple[Tensor, tuple[int, float]]:
        found = temporal_roi_align(maps[:1], support, [boxes], 7, 1 / 8, 2, backend="native")
        return found, (native.last_search.directions, native.last_search.share)

    (found, how), (wanted, same) = run(maps[1:].unsqueeze(0)), run(pack_support(maps[1:]))
    assert torch.equal(found, wanted)
    assert how == same
    assert (how[0] > 0) == pays


def test_ties_of_sums_that_cancel_go_to_the_lowest_cell(isa):
    """The bound of a panel is summed in another order than the cosines that it bounds."""
    height, width = 20, 40
    generator = torch.Generator().manual_seed(0)
    across, down = (0.45 * torch.rand(n, generator=generator) for n in (width, height))
    rows, columns = ((-1.0) ** torch.arange(n) for n in (height, width))
    features, support = torch.zeros(1, 32, height, width), torch.zeros(1, 1, 32, height * width)
    features[0, 0] = rows[:, None] * across + columns * down[:, None]
    features[0, 1] = 1
    support[0, 0, 1] = -1
    for cell, channel in ((64 + 5, 3), (6 * 64 + 5, 2)):
        support[0, 0, :, cell] = 0
        support[0, 0, [0, channel], cell] = 1
    boxes = torch.tensor([[0.0, 0, 7, 7]]).repeat(6, 1)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        maps = support.unflatten(3, (height, width))
        found = temporal_roi_align(features, maps, [boxes], 7, 1.0, 1, top_k=1, backend="native")
        assert (found[:, 3] > 0).all()
        assert (found[:, 2] == 0).all()
