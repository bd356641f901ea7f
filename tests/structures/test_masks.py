"""Masks as run-length codes: there and back, what they measure, what is damaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as oracle

from trovid.structures import Masks, run_lengths

DENSE = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=3, max_dims=3, max_side=12))
patient = settings(deadline=None, derandomize=True, database=None)
"""A busy machine is no error, and every run tries the same."""


def drawn(seed: int, count: int, height: int = 9, width: int = 13) -> np.ndarray:
    return np.random.default_rng(seed).random((count, height, width)) > 0.6


@patient
@given(DENSE)
def test_there_and_back(dense):
    masks = Masks.from_dense(dense)
    assert np.array_equal(masks.dense().numpy(), dense)
    for code, pixels in zip(masks.counts, dense, strict=True):
        assert code == oracle.encode(np.asfortranarray(pixels, dtype=np.uint8))["counts"]
        run_lengths.checked(run_lengths.runs(code), masks.size)
    assert masks == Masks.from_dense(torch.from_numpy(dense))
    assert masks == Masks.from_coco(masks.to_coco(), masks.size)
    assert masks.areas.tolist() == dense.sum((1, 2)).tolist()


@patient
@given(DENSE, st.integers(-14, 14), st.integers(-14, 14), st.integers(1, 14), st.integers(1, 14))
def test_windows_are_cut_at_the_frame(windows, left, top, height, width):
    wide = np.zeros((len(windows), 60, 60), dtype=bool)
    rows, columns = windows.shape[1:]
    wide[:, 20 + top : 20 + top + rows, 20 + left : 20 + left + columns] = windows
    expected = Masks.from_dense(wide[:, 20 : 20 + height, 20 : 20 + width])
    corners = [(left, top)] * len(windows)
    assert Masks.from_windows(windows, corners, (height, width)) == expected


@patient
@given(st.lists(st.lists(st.integers(1, 2**28), min_size=1, max_size=9), max_size=4))
def test_runs_are_written_as_cocos_library_writes_them(masks):
    masks = [[lengths[0] - 1, *lengths[1:]] for lengths in masks]
    found = run_lengths.codes([np.array(lengths) for lengths in masks])
    assert [run_lengths.runs(code).tolist() for code in found] == masks
    for code, lengths in zip(found, masks, strict=True):
        whole = {"size": [1, sum(lengths)], "counts": lengths}
        assert code == oracle.frPyObjects(whole, 1, sum(lengths))["counts"]


def test_windows_of_a_large_frame():
    """Noise, stripes from edge to edge, blobs over the frame's edges, one pixel, nothing."""
    generator, size = np.random.default_rng(0), (108, 192)
    y, x = np.mgrid[:80, :90]
    blob = (y - 40) ** 2 + (1.3 * x - 50) ** 2 < 1500
    windows = [generator.random(size) > 0.5, np.ones((108, 20), dtype=bool), y[:108] % 7 < 3]
    windows += [blob, blob, blob, blob.T, np.ones((1, 1), dtype=bool), np.zeros((3, 4), dtype=bool)]
    corners = [
        (0, 0),
        (172, 0),
        (5, 20),
        (-30, -20),
        (150, 70),
        (30, 10),
        (0, 0),
        (191, 107),
        (2, 2),
    ]
    found = Masks.from_windows(windows, corners, size)
    for code, window, (left, top) in zip(found.counts, windows, corners, strict=True):
        wide = np.zeros((400, 400), dtype=np.uint8)
        rows, columns = window.shape
        wide[100 + top : 100 + top + rows, 100 + left : 100 + left + columns] = window
        dense = np.asfortranarray(wide[100:208, 100:292])
        assert code == oracle.encode(dense)["counts"]


def test_long_runs_and_empty_frames():
    dense = np.zeros((2, 1080, 1920), dtype=bool)
    dense[0, 500:520, 900:1000] = True
    masks = Masks.from_dense(dense)
    window = Masks.from_windows([dense[0, 480:600, 890:1100]], [(890, 480)], (1080, 1920))
    assert window.counts[0] == masks.counts[0]
    assert run_lengths.runs(masks.counts[1]).tolist() == [1080 * 1920]
    nothing = Masks((4, 5))
    assert nothing.dense().shape == (0, 4, 5)
    assert nothing.iou(nothing).shape == (0, 0)
    assert nothing.boxes.shape == (0, 4)
    assert nothing.areas.shape == (0,)


def test_chosen_and_joined():
    dense = drawn(0, 4)
    masks = Masks.from_dense(dense)
    choices = [2, -1, slice(1, 3), [3, 0], [True, False, True, False], np.array([1, 1])]
    for choice in [*choices, torch.tensor([0.0, 1, 0, 1]) > 0.5, np.zeros(0, dtype=int)]:
        expected = dense[[choice]] if isinstance(choice, int) else dense[choice]
        assert np.array_equal(masks[choice].dense().numpy(), expected)
        assert np.array_equal(masks.dense(choice).numpy(), expected)
    assert masks[:2] + masks[2:] == masks
    assert [one.counts[0] for one in masks] == [*masks.counts]
    with pytest.raises(IndexError, match="index 4 of 4 masks"):
        masks[[0, 4]]
    with pytest.raises(IndexError, match="1 bools for 4 masks"):
        masks[[True]]
    with pytest.raises(ValueError, match=r"of one size, but are of \(9, 13\) and \(2, 2\)"):
        masks + Masks((2, 2))


@patient
@given(st.integers(0, 1000))
def test_overlaps_are_counted_exactly(seed):
    first, second = drawn(seed, 3), drawn(seed + 1, 2)
    second[1] &= seed % 3 > 0
    a, b = Masks.from_dense(first), Masks.from_dense(second)
    both = (first[:, None] & second).sum((2, 3))
    either = (first[:, None] | second).sum((2, 3))
    assert a.intersections(b).tolist() == both.tolist()
    assert np.array_equal(a.iou(b).numpy(), both / np.maximum(either, 1))


def test_boxes_lie_around_the_masks():
    dense = np.zeros((3, 6, 8), dtype=bool)
    dense[0, 2:4, 1:4] = True
    dense[1, 0, 0] = dense[1, 5, 7] = True
    assert Masks.from_dense(dense).boxes.tolist() == [[1, 2, 4, 4], [0, 0, 8, 6], [0, 0, 0, 0]]


def test_resized():
    dense = np.zeros((1, 4, 6), dtype=bool)
    dense[0, 1:3, 2:5] = True
    masks = Masks.from_dense(dense)
    double = masks.resized((8, 12))
    assert np.array_equal(double.dense().numpy(), dense.repeat(2, axis=1).repeat(2, axis=2))
    assert double.resized((4, 6)) == masks
    assert masks.resized((4, 6)) is masks


def test_polygons_and_run_lengths():
    size = (5, 7)
    square, triangle = [1, 1, 4, 1, 4, 4, 1, 4], [0.0, 0, 6, 0, 0, 4]
    masks = Masks.from_coco(
        [[square], [square, triangle], {"size": [5, 7], "counts": [3, 2, 30]}], size
    )
    for code, polygons in zip(masks.counts, ([square], [square, triangle]), strict=False):
        assert code == oracle.merge(oracle.frPyObjects(polygons, *size))["counts"]
    assert masks.dense(0).sum() == 9
    assert np.flatnonzero(masks.dense(2)[0].numpy().T).tolist() == [3, 4]
    assert Masks.from_coco([[]], size).areas.tolist() == [0]
    zeros = Masks.from_coco([{"size": [5, 7], "counts": [0, 4, 0, 5, 26, 0]}], size)
    assert zeros == Masks.from_coco([{"size": [5, 7], "counts": [0, 9, 26]}], size)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [5, 6], "counts": "S1"}, r"must be of size \[5, 7\], but is \[5, 6\]"),
        ({"size": [5, 7], "counts": "R1"}, "covers 34 pixels, but 5 x 7 has 35"),
        ({"size": [5, 7], "counts": "ooo"}, "ends in the middle of a run"),
        ({"size": [5, 7], "counts": ";\n30>"}, "holds signs that no"),
        ({"size": [5, 7], "counts": "o" * 13 + "0"}, "holds a run longer than any mask"),
        ({"size": [5, 7], "counts": "OT1"}, "holds a run of negative length"),
        ({"size": [5, 7], "counts": ""}, "covers 0 pixels"),
        ({"size": [5, 7], "counts": [3, 2]}, "covers 5 pixels"),
        ({"size": [5, 7], "counts": [36, -1]}, "whole and not negative"),
        ({"size": [5, 7]}, "must have `counts` as text or as a list, but they are missing"),
        ([[1, 2, 3, 4]], "at least three points"),
        ([1, 2, 3, 4, 5, 6], "at least three points x, y, but one is int '1'"),
        ([[1, 2, 3, 4, 5, "6"]], "polygons of numbers, but one holds str '6'"),
        ([[1, 2, 3, 4, 5, float("nan")]], "polygons of numbers"),
        (None, "must be polygons or a run-length code, but is missing"),
    ],
)
def test_damaged_masks_are_named(segmentation, message):
    good = {"size": [5, 7], "counts": "S1"}
    with pytest.raises(ValueError, match=f"^mask 1 .*{message}"):
        Masks.from_coco([good, segmentation], (5, 7))


@patient
@given(st.binary(max_size=12))
def test_any_bytes_are_a_mask_or_an_error(counts):
    try:
        masks = Masks.from_coco([{"size": [5, 7], "counts": counts}], (5, 7))
    except ValueError:
        return
    assert masks.dense().shape == (1, 5, 7)
    assert masks == Masks.from_dense(masks.dense())


@patient
@given(st.binary(max_size=8) | st.text("0123456789PQRo", max_size=8).map(str.encode))
def test_the_quick_check_is_the_thorough_one(counts):
    try:
        lengths = run_lengths.checked(run_lengths.runs(counts), (5, 7))
    except ValueError:
        assert not run_lengths.is_usual(counts, (5, 7))
    else:
        assert run_lengths.is_usual(counts, (5, 7)) == bool(lengths[1:].all())


def test_what_is_no_mask_is_refused():
    with pytest.raises(ValueError, match=r"bool of shape \[R, H, W\], but got bool \[9, 13\]"):
        Masks.from_dense(drawn(0, 1)[0])
    with pytest.raises(ValueError, match=r"but got float32 \[1, 2, 2\]"):
        Masks.from_dense(torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match=r"`windows` must be bool of shape \[h, w\]"):
        Masks.from_windows([np.zeros((2, 2))], [(0, 0)], (4, 4))
    with pytest.raises(TypeError, match="`counts` must be bytes, but hold str"):
        Masks((5, 7), ("S1",))
    with pytest.raises(ValueError, match="must be a height and a width"):
        Masks((-1, 7))


def test_runs_of_no_length_have_no_pixels():
    """As files may hold them; here nothing has written them anew."""
    (code,) = run_lengths.codes([np.array([0, 0, 3, 0, 4, 2, 0, 2, 24])])
    (left, top), window = Masks((5, 7), (code,)).window(0)
    assert (left, top, window.shape) == (1, 0, (5, 2))
    assert np.flatnonzero(window.T).tolist() == [2, 3, 4, 5]
    (empty,) = run_lengths.codes([np.array([0, 0, 35])])
    assert Masks((5, 7), (empty,)).window(0)[1].size == 0


@pytest.mark.parametrize("size", [(7, 5), (1, 9), (9, 1), (12, 12)])
def test_a_window_is_the_part_that_is_filled(size):
    generator = np.random.default_rng(0)
    for share in (0.0, 0.05, 0.5, 1.0):
        dense = generator.random((6, *size)) < share
        masks = Masks.from_dense(dense)
        for row, wanted in enumerate(dense):
            (left, top), window = masks.window(row)
            whole = np.zeros(size, dtype=bool)
            whole[top : top + window.shape[0], left : left + window.shape[1]] = window
            assert (whole == wanted).all()
            assert window.size == 0 or (
                window.any(0)[[0, -1]].all() and window.any(1)[[0, -1]].all()
            )
