import math
from dataclasses import replace

import pytest
import torch

from trovid.benchmarks.agreement import (
    LARGEST_OWN_ERROR,
    TOLERANCE,
    compare,
    near_ties,
    neighbours,
    relative_error,
    without_ties,
)
from trovid.benchmarks.contenders import forward_backward, run_rival, trovid_with
from trovid.benchmarks.inputs import OperatorSize, make_inputs
from trovid.benchmarks.operator import check
from trovid.benchmarks.operator_cases import Case

SIZE = OperatorSize(rois=4, frames=2, channels=16, height=9, width=12, grid=7)
NO_TIES = torch.zeros(2, 4, 7, 7, dtype=torch.bool)


@pytest.fixture(scope="module")
def inputs():
    return make_inputs(SIZE)


@pytest.fixture
def results(inputs):
    return forward_backward(trovid_with("direct"), inputs, SIZE)


def verdict(results, inputs, ties=NO_TIES):
    return check(results, Case("x", SIZE, backward=True), inputs, ties)[1]


def test_a_right_result_passes(results, inputs):
    agreement = verdict(results, inputs)
    assert agreement.passed
    assert set(agreement.errors) == {"output", "features", "support", "weight", "bias"}
    assert agreement.positions == 2 * 4 * 49


@pytest.mark.parametrize("name", ["output", "features", "support", "weight", "bias"])
@pytest.mark.parametrize("wrong", ["entry", "nan", "missing", "shape"])
def test_a_wrong_result_is_found(results, inputs, name, wrong):
    value = results[name].clone(memory_format=torch.contiguous_format)
    if wrong == "entry":
        value.view(-1)[3] += 1e-4 * value.abs().max()
        results[name] = value
    elif wrong == "nan":
        value.view(-1)[3] = torch.nan
        results[name] = value
    elif wrong == "missing":
        del results[name]
    else:
        results[name] = value[..., :1]
    agreement = verdict(results, inputs)
    assert not agreement.passed
    assert [key for key, error in agreement.errors.items() if error > 1e-5] == [name]


def test_another_number_of_points_is_found(inputs):
    def top_3(inputs, size):
        return trovid_with("direct")(inputs, OperatorSize(**{**size.values(), "top_k": 3}))

    assert not verdict(forward_backward(top_3, inputs, SIZE), inputs).passed


def test_where_float32_differs_float64_decides(results, inputs):
    exact = forward_backward(run_rival, inputs.to(torch.float64), SIZE)
    rounded = {name: value.float() for name, value in exact.items()}
    against, agreement = check(rounded, Case("x", SIZE, backward=True), inputs, NO_TIES)
    assert (against, agreement.passed) == ("rival", True)
    rounded["output"] = rounded["output"] * 1.001
    against, agreement = check(rounded, Case("x", SIZE, backward=True), inputs, NO_TIES)
    assert (against, agreement.passed) == ("rival in float64", False)


def test_twice_what_the_rival_is_off_is_allowed_where_float64_decides(inputs):
    """Logits of large features are rounded further."""
    for size in range(2, 20):
        large = replace(inputs, features=inputs.features * size, support=inputs.support * size)
        exact = forward_backward(run_rival, large.to(torch.float64), SIZE)
        off = compare(forward_backward(run_rival, large, SIZE), exact, NO_TIES, 1e-5).largest
        if off > 1.5e-5:
            break
    assert 1.5e-5 < off < LARGEST_OWN_ERROR
    for factor, passed in ((1 + 1.8 * off, True), (1 + 4 * off, False)):
        results = {name: (value * factor).float() for name, value in exact.items()}
        against, agreement = check(results, Case("x", SIZE, backward=True), large, NO_TIES)
        assert agreement.passed == passed
        assert against == "rival in float64" or passed


def test_bfloat16_is_held_against_float64(inputs):
    rounded = inputs.to(torch.bfloat16)
    results = {"output": trovid_with("direct")(rounded, SIZE)}
    against, agreement = check(results, Case("x", SIZE), rounded, NO_TIES)
    assert (against, agreement.passed) == ("rival in float64", True)
    assert 1e-5 < agreement.largest < TOLERANCE[torch.bfloat16]


def test_ties_are_found():
    features = torch.rand(2, 8, 3, 3)
    support = torch.rand(2, 8, 4, 5)
    assert not near_ties(features, support, 2).any()
    best = torch.nn.functional.normalize(features[1, :, 2, 0], dim=0)
    support[1, :, 0, 0] = support[1, :, 3, 4] = 2 * best  # first and second
    assert not near_ties(features, support, 2)[:, 1, 2, 0].any()
    found = near_ties(features, support, 1)
    assert found[1, 1, 2, 0]
    assert found[0].sum() == 0
    support[1, :, 2, 2] = 3 * best + 1e-4
    assert near_ties(features, support, 2)[1, 1, 2, 0] == (
        cosine_gap(features[1, :, 2, 0], support[1], 2) < 1e-6
    )


def cosine_gap(position, support_map, k):
    rows = torch.nn.functional.normalize(support_map.double().flatten(1).t(), dim=1)
    best = (rows @ torch.nn.functional.normalize(position.double(), dim=0)).sort().values
    return best[-k] - best[-k - 1]


def test_all_cells_chosen_leave_nothing_open():
    assert not near_ties(torch.rand(2, 4, 3, 3), torch.ones(1, 4, 2, 2), 4).any()
    assert near_ties(torch.rand(2, 4, 3, 3), torch.ones(1, 4, 2, 2), 3).all()


def test_a_tie_excuses_its_neighbours_alone():
    ties = torch.zeros(2, 3, 7, 7, dtype=torch.bool)
    ties[1, 2, 0, 4] = True
    reached = neighbours(ties)
    assert reached.sum() == 6
    assert reached[2, :2, 3:6].all()
    kept = without_ties(torch.ones(3, 5, 7, 7), ties)
    assert kept[2].abs().max() == 0
    assert kept[:2].min() == 1

    expected = {"output": torch.rand(3, 5, 7, 7) + 1}
    actual = {"output": expected["output"].clone()}
    actual["output"][2, :, 1, 5] += 1
    assert compare(actual, expected, ties, 1e-5).errors["output"] == 0
    actual["output"][2, :, 2, 5] += 1
    assert compare(actual, expected, ties, 1e-5).errors["output"] > 0.1


def test_too_many_ties_fail():
    value = {"output": torch.ones(1, 1, 50, 50)}
    ties = torch.zeros(1, 1, 50, 50, dtype=torch.bool)
    ties[..., :3, 0] = True
    assert compare(value, value, ties, 1e-5).passed
    ties[..., :4, 0] = True
    assert not compare(value, value, ties, 1e-5).passed


def test_the_share_of_ties_grows_with_the_positions():
    value = {"output": torch.ones(2, 1, 50, 50)}
    ties = torch.zeros(1, 2, 50, 50, dtype=torch.bool)
    ties[..., 0, :5, 0] = True
    assert compare(value, value, ties, 1e-5).passed
    ties[..., 0, :6, 0] = True
    assert not compare(value, value, ties, 1e-5).passed


def test_relative_error():
    assert relative_error(torch.tensor([2.0, 1.0]), torch.tensor([4.0, 1.0])) == 0.5
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    assert relative_error(torch.ones(2), torch.zeros(2)) == float("inf")
    assert relative_error(torch.ones(0), torch.zeros(0)) == 0
    nan = torch.full((2,), torch.nan)
    assert relative_error(nan, torch.ones(2)) == relative_error(nan, nan) == float("inf")
    assert math.isnan(relative_error(torch.ones(2), nan))
