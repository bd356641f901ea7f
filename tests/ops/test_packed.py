from __future__ import annotations

import pytest
import torch

from trovid.ops import (
    PackedSupport,
    backends,
    most_similar_roi_align,
    pack_support,
    roi_align,
    temporal_roi_align,
)


def maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_maps_come_back_and_norms_are_right():
    support = maps(3, 5, 4, 6)
    support[1, :, 2, 3] = 0
    packed = pack_support(support)
    assert torch.equal(packed.maps(), support)
    norms = support.norm(dim=1).flatten(1)
    expected = torch.where(norms > 0, 1 / norms, 0.0)
    assert torch.allclose(packed.inverse_norms, expected, rtol=1e-6)
    assert packed.inverse_norms[1, 2 * 6 + 3] == 0
    assert (packed.num_videos, packed.num_frames, packed.channels, packed.size) == (1, 3, 5, (4, 6))


def test_size_in_bytes():
    packed = pack_support(maps(3, 5, 4, 6))
    assert packed.nbytes == 3 * 4 * 6 * 5 * 4 + 3 * 4 * 6 * 4
    assert pack_support(maps(3, 5, 4, 6).bfloat16()).nbytes == 3 * 4 * 6 * 5 * 2 + 3 * 4 * 6 * 4


def test_several_videos_of_different_length():
    videos = [maps(2, 5, 4, 6), maps(0, 5, 4, 6), maps(3, 5, 4, 6, seed=1)]
    packed = pack_support(videos)
    assert packed.lengths == (2, 0, 3)
    assert torch.equal(packed.maps(), torch.cat(videos))
    chosen = packed.videos([2, 1])
    assert chosen.lengths == (3, 0)
    assert torch.equal(chosen.maps(), videos[2])
    assert pack_support(maps(2, 3, 5, 4, 6)).lengths == (3, 3)


def test_cat_batch_and_frames():
    first, second = pack_support(maps(2, 5, 4, 6)), pack_support(maps(3, 5, 4, 6, seed=1))
    joined = PackedSupport.cat([first, second])
    assert joined.lengths == (5,)
    assert PackedSupport.batch([first, second]).lengths == (2, 3)
    assert PackedSupport.cat([first]).lengths == (2,)
    everything = joined.maps()
    for index in ([4, 0, 0], torch.tensor([1, 3]), slice(1, 4), []):
        some = joined.frames(index)
        assert torch.equal(some.maps(), everything[index])
        assert torch.equal(some.inverse_norms, joined.inverse_norms[index])
        assert some.lengths == (len(everything[index]),)


def test_gradients_flow_unless_detached():
    support = maps(2, 5, 4, 6).requires_grad_()
    packed = pack_support(support)
    packed.frames([1, 1]).maps().sum().backward()
    assert (support.grad[1] == 2).all()
    assert (support.grad[0] == 0).all()
    assert not packed.detach().rows.requires_grad
    assert not packed.to("cpu").inverse_norms.requires_grad


@pytest.mark.parametrize(
    ("support", "message"),
    [
        (torch.ones(5, 4, 6), r"must have shape \[T, C, H, W\] or \[B, T, C, H, W\]"),
        ([], "one Tensor"),
        ([torch.ones(2, 5, 4, 6), torch.ones(2, 5, 4, 7)], r"support_features\[1\]"),
        ([torch.ones(5, 4, 6)], r"support_features\[0\]"),
    ],
)
def test_wrong_shapes(support, message):
    with pytest.raises(ValueError, match=message):
        pack_support(support)


def test_integers_are_rejected():
    with pytest.raises(TypeError, match="floating point"):
        pack_support(torch.ones(2, 5, 4, 6, dtype=torch.long))


def test_parts_must_fit():
    with pytest.raises(ValueError, match="5 channels"):
        PackedSupport.batch([pack_support(maps(2, 5, 4, 6)), pack_support(maps(2, 6, 4, 6))])
    with pytest.raises(ValueError, match="at least one"):
        PackedSupport.cat([])
    with pytest.raises(ValueError, match="one video"):
        pack_support(maps(2, 3, 5, 4, 6)).frames([0])


def test_rows_of_another_precision_have_their_own_norms():
    packed = pack_support(maps(2, 5, 4, 6)).to(torch.bfloat16)
    norms = packed.rows.float().norm(dim=2)
    assert torch.allclose(packed.inverse_norms, 1 / norms, rtol=1e-6)
    assert packed.prefixes is None


@pytest.mark.parametrize("backend", ["native", "direct", "reference"])
@pytest.mark.parametrize("packed", [True, False])
def test_support_of_another_precision(backend, packed):
    if backends()[backend]:
        pytest.skip(backends()[backend])
    features, support = maps(1, 5, 8, 9), maps(3, 5, 8, 9, seed=1).double()
    boxes = [torch.tensor([[2.0, 3.0, 60.0, 70.0]])]
    given = pack_support(support) if packed else support[None]
    settings = {"spatial_scale": 1 / 8, "sampling_ratio": 2, "backend": backend}
    found = temporal_roi_align(features, given, boxes, 3, **settings)
    wanted = temporal_roi_align(features, support[None].float(), boxes, 3, **settings)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    sets = roi_align(features, boxes, 3, 1 / 8, 2)
    given = given if packed else support
    for one, other in zip(
        most_similar_roi_align(sets, given, top_k=2, backend=backend),
        most_similar_roi_align(sets, support.float(), top_k=2, backend=backend),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_what_is_no_tensor_is_named():
    with pytest.raises(TypeError, match="has a ndarray"):
        pack_support(maps(3, 5, 8, 9).numpy())


def test_the_basis_of_the_most_frames_is_taken():
    few, many = (pack_support(maps(n, 16, 8, 9, seed=n)).with_prefixes() for n in (2, 5))
    if few.basis is None:
        pytest.skip("prefixes need the native library")
    parts = [few.frames([0]), *(many.frames([i]) for i in range(5))]
    assert torch.equal(PackedSupport.cat(parts).basis, many.basis)
    assert torch.equal(PackedSupport.cat([many.frames([0]), few]).basis, few.basis)


def test_prefixes_of_a_video_without_frames():
    support = pack_support([maps(2, 16, 8, 9), maps(0, 16, 8, 9)]).with_prefixes()
    if support.basis is None:
        pytest.skip("prefixes need the native library")
    assert (support.basis[1] == 0).all()
    assert support.basis[0].norm() > 0
    assert support.prefixes.isfinite().all()
