from __future__ import annotations

import pytest
import torch

import trovid.ops
from trovid.ops import (
    most_similar_roi_align,
    pack_support,
    temporal_attention,
    temporal_roi_align,
)
from trovid.ops.temporal_roi_align.backends import _say_what_is_lost, resolve_backend
from trovid.ops.temporal_roi_align.cpp import library

FEATURES, SUPPORT = torch.ones(2, 8, 5, 6), torch.ones(2, 3, 8, 5, 6)
BOXES = [torch.tensor([[0.0, 0.0, 30.0, 30.0]])] * 2
GROUPED = torch.ones(8, 2, 3, 3)


def call(features=FEATURES, support=SUPPORT, boxes=BOXES, output_size=7, **options):
    return temporal_roi_align(features, support, boxes, output_size, 1 / 8, 2, **options)


def test_public_names():
    assert trovid.ops.__all__ == [
        "PackedSupport",
        "backends",
        "deform_roi_align",
        "most_similar_roi_align",
        "non_local",
        "pack_support",
        "roi_align",
        "similarity_aggregation",
        "temporal_attention",
        "temporal_roi_align",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": FEATURES[0]}, r"`features` must have shape \[B, C, H, W\], but got \[8, 5"),
        ({"support": SUPPORT[:1]}, "one video for each of the 2 target frames, but holds 1"),
        ({"support": SUPPORT[:, :, :4]}, "8 channels of `features`, but has 4"),
        ({"support": pack_support(SUPPORT[0])}, "but holds 1"),
        ({"boxes": BOXES[:1]}, "each of the 2 images, but has 1"),
        ({"boxes": [torch.ones(1, 5)] * 2}, r"`boxes\[0\]` must have shape \[R, 4\]"),
        ({"boxes": torch.ones(3, 4)}, r"`boxes` must have shape \[R, 5\]"),
        ({"boxes": torch.tensor([[2.0, 0, 0, 9, 9]])}, r"0\.\.1\), but reaches from 2 to 2"),
        ({"boxes": torch.tensor([[-1.0, 0, 0, 9, 9]])}, "reaches from -1"),
        ({"output_size": 0}, "`output_size`"),
        ({"output_size": (7, 7, 7)}, "`output_size`"),
        ({"top_k": 0}, "`top_k` must be at least 1"),
        ({"top_k": 31}, "must not exceed the 30 cells of a 5x6 support map, but is 31"),
        ({"num_heads": -1}, "`num_heads` must be 0"),
        ({"num_heads": 3, "weight": GROUPED}, "must divide the 8 channels"),
        ({"num_heads": 4}, r"`weight` must have shape \[8, 2, 3, 3\].* but got None"),
        ({"num_heads": 2, "weight": GROUPED}, r"but got \[8, 2, 3, 3\]"),
        ({"num_heads": 4, "weight": GROUPED, "bias": torch.ones(4)}, r"`bias` must have shape"),
        ({"weight": GROUPED}, "0 is the plain average"),
        ({"backend": "cuda"}, "'auto', 'reference', .*, but is 'cuda'"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        call(**arguments)


def test_types():
    with pytest.raises(TypeError, match="floating point"):
        call(features=FEATURES.long())
    with pytest.raises(TypeError, match="must be a Tensor"):
        call(features=FEATURES.numpy())


def test_checks_of_the_two_halves():
    with pytest.raises(ValueError, match=r"\[R, C, h, w\]"):
        most_similar_roi_align(torch.ones(8, 7, 7), SUPPORT[0])
    with pytest.raises(ValueError, match="must not exceed"):
        most_similar_roi_align(torch.ones(1, 8, 7, 7), SUPPORT[0], top_k=31)
    with pytest.raises(ValueError, match="but holds 2"):
        most_similar_roi_align(torch.ones(1, 8, 7, 7), SUPPORT)
    with pytest.raises(ValueError, match="`support_features` must have shape"):
        temporal_attention(
            torch.ones(1, 8, 7, 7), torch.ones(2, 3, 8, 7, 7), num_heads=4, weight=GROUPED
        )
    with pytest.raises(ValueError, match="at least 1"):
        temporal_attention(
            torch.ones(1, 8, 7, 7), torch.ones(2, 1, 8, 7, 7), num_heads=0, weight=GROUPED
        )


def test_the_environment_variable_replaces_auto(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    problem = {
        "features": torch.randn(2, 8, 5, 6, generator=generator),
        "support": torch.randn(2, 3, 8, 5, 6, generator=generator),
    }
    direct, reference = (call(**problem, backend=name) for name in ("direct", "reference"))
    assert not torch.equal(direct, reference)  # they round otherwise
    monkeypatch.setenv("TROVID_BACKEND", "direct")
    assert resolve_backend("auto", FEATURES) == "direct"
    assert torch.equal(call(**problem), direct)
    monkeypatch.setenv("TROVID_BACKEND", "reference")
    assert resolve_backend("auto", FEATURES) == "reference"
    assert torch.equal(call(**problem), reference)
    assert torch.equal(call(**problem, backend="direct"), direct)
    monkeypatch.setenv("TROVID_BACKEND", "fast")
    with pytest.raises(ValueError, match="TROVID_BACKEND must be one of"):
        call()


@pytest.fixture
def not_built(tmp_path, monkeypatch):
    """An installation whose library was not built."""
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    for remembered in (library.load, _say_what_is_lost):
        remembered.cache_clear()
    yield
    for remembered in (library.load, _say_what_is_lost):
        remembered.cache_clear()


def test_in_double_precision_auto_is_direct():
    assert resolve_backend("auto", torch.ones(1, dtype=torch.float64)) == "direct"


@pytest.mark.usefixtures("not_built")
def test_auto_is_direct_where_native_was_not_built():
    single = torch.ones(1)
    assert trovid.ops.backends()["native"].startswith("it was not built")
    assert resolve_backend("auto", single) == "direct"
    with pytest.raises(RuntimeError, match="'native' is not available: it was not built"):
        resolve_backend("native", single)


@pytest.mark.usefixtures("not_built")
def test_what_is_lost_without_native_is_said_once_a_process(caplog):
    for _ in range(3):
        call()
    (said,) = (record.getMessage() for record in caplog.records)
    assert "several times slower (it was not built: install a C++ compiler" in said


@pytest.mark.skipif(trovid.ops.backends()["native"] is not None, reason="no native library")
def test_native_computes_in_float32_on_the_cpu():
    assert resolve_backend("auto", torch.ones(1)) == "native"
    with pytest.raises(ValueError, match="float32 on the CPU, but the features are float64 on cpu"):
        resolve_backend("native", torch.ones(1, dtype=torch.float64))
