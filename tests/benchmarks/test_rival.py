from dataclasses import replace

import pytest
import torch

from tests.ops.compare import assert_close
from trovid.benchmarks import rival
from trovid.benchmarks.contenders import (
    forward,
    forward_backward,
    run_rival,
    trovid_with,
)
from trovid.benchmarks.inputs import OperatorSize, make_inputs
from trovid.ops.temporal_roi_align import reference

SIZE = OperatorSize(rois=5, frames=3, channels=24, height=11, width=14, heads=4, grid=5)


@pytest.mark.parametrize("form", ["grouped", "dense", "average"])
def test_the_rival_is_the_reference(form):
    size = replace(SIZE, form=form)
    inputs = make_inputs(size, dtype=torch.float64)
    expected = forward_backward(trovid_with("reference"), inputs, size)
    actual = forward_backward(run_rival, inputs, size)
    assert {"output", "features", "support"} <= set(expected)
    assert ("weight" in expected) == (form != "average")
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert value.abs().max() > 1e-3, name
        assert_close(actual[name], value, 1e-10, name)


@pytest.mark.parametrize("form", ["grouped", "dense"])
def test_the_rival_in_float32(form):
    size = replace(SIZE, form=form)
    inputs = make_inputs(size)
    expected = forward(trovid_with("reference"), inputs, size)["output"]
    assert_close(forward(run_rival, inputs, size)["output"], expected, 1e-5)


def test_the_rivals_most_similar_features():
    features, support = torch.rand(3, 8, 5, 4), torch.rand(2, 8, 6, 7)
    expected, _, _ = reference.most_similar_roi_align(features, support, 3)
    assert_close(rival.most_similar(features, support, 3), expected, 1e-5)
