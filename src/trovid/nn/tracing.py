"""torch.fx sees a module of trovid as one node of its graph, as it sees torchvision's RoIAlign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.fx import Proxy


def one_node(module: nn.Module, *inputs: Any) -> Any:
    """The call of a module in the graph that is being traced.

    Args:
        module: The module.
        inputs: Of which one is a Proxy, or a dict of levels that holds one.
    """
    levels = [level for value in inputs if isinstance(value, Mapping) for level in value.values()]
    tracer = next(value.tracer for value in (*inputs, *levels) if isinstance(value, Proxy))
    return tracer.create_proxy("call_module", tracer.path_of_module(module), inputs, {})
