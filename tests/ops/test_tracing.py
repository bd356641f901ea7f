"""torch.fx sees one node, as torchvision's tests ask of RoIAlign; TorchScript is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from trovid.nn import LevelPooler, TemporalRoIAlign
from trovid.ops import pack_support, roi_align, temporal_roi_align

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.rand(1, 8, 10, 12, generator=GENERATOR)
SUPPORT = torch.rand(1, 2, 8, 10, 12, generator=GENERATOR)
ROIS = torch.tensor([[0.0, 0, 0, 60, 60], [0, 10, 10, 40, 50]])
WEIGHT = torch.randn(8, 2, 3, 3, generator=GENERATOR)


class Detector(nn.Module):
    """A backbone, the pooling, and a head."""

    def __init__(self, pool: nn.Module | None):
        super().__init__()
        self.backbone, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 3)
        self.pool = pool

    def forward(self, features, support, rois):
        features = self.backbone(features)
        if self.pool is None:
            pooled = temporal_roi_align(
                features, support, rois, 3, 1 / 8, 2, num_heads=4, weight=WEIGHT
            )
        else:
            pooled = self.pool(features, support, rois)
        return self.head(pooled)


class OneCall(nn.Module):
    """As in torchvision's tests: nothing but the module."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, features, support, rois):
        return self.layer(features, support, rois)


def module() -> TemporalRoIAlign:
    torch.manual_seed(0)
    return TemporalRoIAlign(3, 1 / 8, channels=8)


@pytest.mark.parametrize("pool", [module(), None], ids=["module", "function"])
def test_a_traced_detector_computes_the_same(pool):
    detector = Detector(pool)
    traced = torch.fx.symbolic_trace(detector)
    inputs = FEATURES, SUPPORT, ROIS
    assert torch.equal(traced(*inputs), detector(*inputs))
    packed = FEATURES, pack_support(SUPPORT), ROIS[:1]
    assert torch.equal(traced(*packed), detector(*packed))
    if pool is None:
        assert temporal_roi_align in [node.target for node in traced.graph.nodes]
    else:
        calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
        assert calls == ["backbone", "pool", "head"]


def test_the_module_is_a_leaf():
    train, evaluation = get_graph_node_names(OneCall(module()))
    assert train == evaluation == ["features", "support", "rois", "layer"]


def test_the_function_is_a_leaf():
    names, _ = get_graph_node_names(Detector(None))
    assert names[:3] == ["features", "support", "rois"]
    assert "temporal_roi_align" in names


def test_the_function_without_support_frames_is_a_leaf():
    class Plain(torch.nn.Module):
        def forward(self, features, rois):
            return temporal_roi_align(features, None, rois, 7)

    train, evaluation = get_graph_node_names(Plain())
    assert train == evaluation == ["features", "rois", "temporal_roi_align"]


@pytest.mark.parametrize(
    ("pool", "name"), [(module(), "pool"), (None, "temporal_roi_align")], ids=["module", "function"]
)
def test_features_are_extracted_behind_it(pool, name):
    detector = Detector(pool)
    extractor = create_feature_extractor(detector, {name: "pooled", "head": "scores"})
    found = extractor(FEATURES, SUPPORT, ROIS)
    assert torch.equal(found["scores"], detector(FEATURES, SUPPORT, ROIS))
    assert found["pooled"].shape == (2, 8, 3, 3)


def test_roi_align_is_a_leaf():
    traced = torch.fx.symbolic_trace(lambda features, rois: roi_align(features, rois, 3, 1 / 8, 2))
    assert [node.op for node in traced.graph.nodes].count("call_function") == 1
    assert torch.equal(traced(FEATURES, ROIS), roi_align(FEATURES, ROIS, 3, 1 / 8, 2))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
class Pyramid(nn.Module):
    """Two levels, pooled from."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fine, self.coarse = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.pool = LevelPooler(TemporalRoIAlign(3, channels=8), ["fine", "coarse"])

    def forward(self, image, boxes, support):
        fine = self.fine(image)
        levels = {"fine": fine, "coarse": self.coarse(fine)}
        return self.pool(levels, boxes, [(80, 96)], support)


def test_a_pooler_of_levels_is_a_leaf():
    pyramid = Pyramid()
    traced = torch.fx.symbolic_trace(pyramid)
    assert [node.name for node in traced.graph.nodes if node.op == "call_module"] == [
        "fine",
        "coarse",
        "pool",
    ]
    support = {"fine": SUPPORT, "coarse": SUPPORT[..., ::2, ::2]}
    inputs = FEATURES, [ROIS[:, 1:]], support
    assert torch.equal(traced(*inputs), pyramid(*inputs))
    with pytest.raises(NotImplementedError, match="TorchScript"):
        torch.jit.script(pyramid)


def test_torchscript_is_refused_with_a_reason():
    reason = r"^TorchScript has no types for .*: use torch.export or torch.compile$"
    with pytest.raises(NotImplementedError, match=reason):
        torch.jit.script(Detector(module()))
    for pool in (module(), None):
        with pytest.raises(NotImplementedError, match=reason):
            torch.jit.trace(Detector(pool), (FEATURES, SUPPORT, ROIS))
    with pytest.raises(
        torch.jit.frontend.NotSupportedError, match="can't take variable number of arguments"
    ):
        torch.jit.script(temporal_roi_align)
