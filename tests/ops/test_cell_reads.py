import pytest
import torch
import torchvision

from tests.ops.compare import assert_close
from trovid.ops import pack_support
from trovid.ops.temporal_roi_align.direct.cell_reads import read_cells
from trovid.ops.temporal_roi_align.direct.products import row_products
from trovid.ops.temporal_roi_align.direct.selection import select

BOXES = torch.tensor(
    [
        [3.0, 5.0, 90.0, 70.0],
        [-30.0, -20.0, 40.0, 30.0],  # partly outside
        [50.0, 50.0, 51.0, 50.5],  # within one cell
        [500.0, 500.0, 600.0, 600.0],  # outside
        [0.0, 0.0, 135.0, 103.0],  # everything
    ]
)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
@pytest.mark.parametrize("size", [(13, 17), (3, 2)], ids=str)
def test_the_cells_read_make_up_roi_align(size, sampling_ratio, aligned):
    features = torch.randn(6, *size, dtype=torch.float64)
    boxes = BOXES.double()
    pooling = ((9, 8), 1 / 8, sampling_ratio, aligned)
    read = read_cells(features, boxes, *pooling)
    expected = torchvision.ops.roi_align(features.unsqueeze(0), [boxes], *pooling)
    positions = torch.zeros(5 * 72, 6, dtype=torch.float64)
    positions.index_add_(0, read.position, read.weights.unsqueeze(1) * read.rows[read.cell])
    assert_close(positions.view(5, 9, 8, 6).permute(0, 3, 1, 2), expected, 1e-12)
    assert read.weights.min() > 0
    assert len(read.rows) <= size[0] * size[1]
    for position, first in enumerate(read.offsets.tolist()):
        assert (read.position[first : read.bounds[position + 1]] == position).all()
        assert read.bounds[position] == first


def test_none_where_it_would_not_pay():
    features = torch.randn(4, 13, 17)
    assert read_cells(features, BOXES, (7, 7), 1 / 8, -1, False) is None
    assert read_cells(features, BOXES[:1], (2, 2), 1 / 8, 2, False) is None
    assert read_cells(features, BOXES[3:4], (7, 7), 1 / 8, 2, False) is None
    assert read_cells(features, BOXES[:0], (7, 7), 1 / 8, 2, False) is None


@pytest.mark.parametrize("block", [None, 1, 700])
@pytest.mark.parametrize("top_k", [1, 4, 40])
def test_both_ways_choose_alike(top_k, block):
    torch.manual_seed(0)
    features = torch.randn(6, 9, 11, dtype=torch.float64)
    support = pack_support(torch.randn(2, 6, 7, 8, dtype=torch.float64))
    rows = support.rows, support.inverse_norms
    pooling = ((7, 7), 1 / 8, 2, True)
    boxes = BOXES.double()
    positions = torchvision.ops.roi_align(features.unsqueeze(0), [boxes], *pooling)
    positions = positions.permute(0, 2, 3, 1).flatten(0, 2)
    read = read_cells(features, boxes, *pooling)
    expected = select(positions, *rows, [len(positions)], top_k, block=block)
    actual = select(positions, *rows, [len(positions)], top_k, [read], block=block)
    assert_close(actual[0], expected[0], 1e-12)
    assert torch.equal(actual[1], expected[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_row_products(dtype):
    left, right = torch.randn(5, 16, dtype=dtype), torch.randn(9, 16, dtype=dtype)
    assert_close(row_products(left, right), left @ right.t(), 1e-6)
    assert row_products(left[:0], right).shape == (0, 9)
