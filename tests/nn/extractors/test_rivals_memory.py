"""Memory of the rivals at the paper's size, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.ops.compare import DEVICES

CODE = """
import resource, sys, torch
from trovid.nn import DeformableRoIAlign, NonLocalRoIAlign
from trovid.ops import pack_support
kind, backward, device = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
torch.manual_seed(0)
def peak():
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10
if kind == "deformable":
    module = DeformableRoIAlign(7, channels=512, hidden=64)
else:
    module = NonLocalRoIAlign(7, channels=512, top_k=None if kind == "all" else 4)
torch.nn.init.normal_(module.output.weight, std=0.01) if kind != "deformable" else None
module = module.to(device)
features, support = (
    torch.rand(n, 512, 38, 63, device=device, requires_grad=backward) for n in (1, 14)
)
corner = torch.rand(300, 2, device=device) * 400
boxes = [torch.cat([corner, corner + 40 + torch.rand(300, 2, device=device) * 160], 1)]
before = peak()
with torch.set_grad_enabled(backward):
    found = module.extract(features, boxes, 1 / 16, pack_support(support))
    if backward:
        found.sum().backward()
print((peak() - before) / 2**30)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("kind", "backward", "gigabytes"),
    [
        ("all", False, 1.0),
        ("all", True, 2.0),
        ("top-k", False, 1.0),
        ("top-k", True, 2.0),
        ("deformable", False, 1.0),
    ],
)
def test_memory_at_the_papers_size(kind, backward, gigabytes, device):
    done = subprocess.run(
        [sys.executable, "-c", CODE, kind, str(backward), device],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < gigabytes
