import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trovid.benchmarks.inputs import make_inputs
from trovid.benchmarks.maps import fitted
from trovid.benchmarks.operator import fitting
from trovid.benchmarks.operator_cases import all_cases, quick_cases
from trovid.benchmarks.operator_size import OperatorSize
from trovid.errors import TrovidError

SIZE = OperatorSize(rois=8, frames=3, channels=64, height=16, width=20)


def energy(kind: str, directions: int) -> float:
    """Share of the unit cells' energy in their leading directions."""
    support = make_inputs(SIZE, maps=kind).support
    rows = F.normalize(support.flatten(2).transpose(1, 2).flatten(0, 1), dim=1)
    strengths = torch.linalg.svdvals(rows).square()
    return float(strengths[:directions].sum() / strengths.sum())


def test_trained_maps_lie_close_to_a_small_subspace():
    assert energy("trained", 16) > 0.8
    assert energy("random", 16) < energy("trained", 16) - 0.05
    first, again = (make_inputs(SIZE, maps="trained") for _ in range(2))
    assert torch.equal(first.support, again.support)
    assert first.support.min() == 0


def test_maps_of_the_embedded_detector():
    size = fitted("synthvid", OperatorSize())
    assert (size.frames, size.channels) == (14, 96)
    inputs = make_inputs(size, maps="synthvid")
    assert inputs.support.shape == (14, 96, size.height, size.width)
    names = [case.name for case in fitting(all_cases(), "synthvid")]
    assert "forward-grouped" in names
    assert "rois-30" in names
    assert not [name for name in names if name.startswith(("channels", "map-", "frames-30"))]


def test_a_folder_of_maps(tmp_path):
    maps = np.random.default_rng(0).random((4, 6, 9, 11), dtype=np.float32)
    for index, one in enumerate(maps):
        np.save(tmp_path / f"{index}.npy", one.astype((">f4", "<f8", "<f4", "longdouble")[index]))
    names = [case.name for case in fitting(all_cases(), str(tmp_path))]
    assert [n for n in names if n.startswith(("frames", "channels", "map", "top_k"))] == [
        "frames-1",
        "top_k-1",
        "top_k-2",
        "top_k-8",
    ]
    for chosen in (["frames-30"], ["channels-64", "map-75x125"]):
        with pytest.raises(TrovidError, match=f"no case {' or '.join(chosen)}: name other cases"):
            fitting([case for case in all_cases() if case.name in chosen], str(tmp_path))
    (case, *_) = fitting(quick_cases(), str(tmp_path))
    assert (case.size.channels, case.size.height, case.size.width) == (6, 9, 11)
    assert (case.size.frames, case.size.heads) == (2, 2)
    inputs = make_inputs(case.size, maps=str(tmp_path))
    assert torch.equal(inputs.features[0], torch.from_numpy(maps[0]))
    assert torch.equal(inputs.support, torch.from_numpy(maps[1:3]))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "has 0"),
        ([np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.float32)], r"\[C, H, W\]"),
        ([np.zeros((2, 3, 4), np.int64)] * 2, "floating point"),
        ([np.zeros((4, 0, 3), np.float32)] * 2, r"none of them 0, but holds float32 \[4, 0, 3\]"),
        ([np.zeros((0, 3, 4), np.float32)] * 2, "none of them 0"),
        ([np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32)], "must have the shape"),
        ([np.full((2, 3, 4), np.nan, np.float32)] * 2, "must be finite"),
        ([np.array([None])] * 2, "not a .npy file of numbers"),
    ],
)
def test_other_folders_are_refused(tmp_path, arrays, message):
    for index, one in enumerate(arrays):
        np.save(tmp_path / f"{index}.npy", one)
    with pytest.raises(TrovidError, match=message):
        fitted(str(tmp_path), SIZE)
