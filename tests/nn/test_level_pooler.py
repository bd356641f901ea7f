from __future__ import annotations

import pytest
import torch
import torchvision

from tests.ops.compare import assert_close
from trovid.nn import LevelPooler, RoIAlign, TemporalRoIAlign
from trovid.ops import pack_support, temporal_roi_align

IMAGES = [(320, 480), (300, 470)]
NAMES = ["c3", "c4", "c5"]


def levels(names=NAMES, channels=8, seed=0, **leading) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(leading.values()) or (2,)
    strides = {"c3": 8, "c4": 16, "c5": 32}
    return {
        name: torch.rand(
            *shape, channels, 320 // strides[name], 480 // strides[name], generator=generator
        )
        for name in names
    }


def boxes(count: int = 20) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    lists = []
    for _ in IMAGES:
        corner = torch.rand(count, 2, generator=generator) * 200
        extent = 4 + torch.rand(count, 2, generator=generator) ** 2 * 250
        lists.append(torch.cat([corner, corner + extent], dim=1))
    return lists


def pooler(names=NAMES, **options) -> LevelPooler:
    return LevelPooler(TemporalRoIAlign(7, channels=8), names, **options)


@pytest.mark.parametrize("names", [["c4"], NAMES])
def test_without_support_it_is_torchvision_bit_for_bit(names):
    scales = {"canonical_scale": 60, "canonical_level": 4}
    theirs = torchvision.ops.MultiScaleRoIAlign(names, 7, 2, **scales)
    x = levels()
    nothing = {name: level.new_zeros(2, 0, *level.shape[1:]) for name, level in x.items()}
    with torch.no_grad():
        expected = theirs(x, boxes(), IMAGES)
        for extractor in (RoIAlign(7), TemporalRoIAlign(7, channels=8)):
            ours = LevelPooler(extractor, names, **scales)
            assert torch.equal(ours(x, boxes(), IMAGES), expected)
            assert torch.equal(ours(x, boxes(), IMAGES, nothing), expected)


def test_each_proposal_searches_the_level_it_is_pooled_from():
    module = pooler(canonical_scale=60)
    embedding = module.extractor.embedding
    x, support = levels(), levels(batch=2, frames=3, seed=1)
    with torch.no_grad():
        pooled = module(x, boxes(), IMAGES, support)
    of_box = module.levels(boxes(), [1 / 8, 1 / 16, 1 / 32])
    assert {int(level) for level in torch.cat(of_box)} == {0, 1, 2}
    rois = [(i, *map(float, box)) for i, part in enumerate(boxes()) for box in part]
    for row, (roi, level) in enumerate(zip(rois, torch.cat(of_box).tolist(), strict=True)):
        with torch.no_grad():
            expected = temporal_roi_align(
                x[NAMES[level]],
                support[NAMES[level]],
                torch.tensor([roi]),
                7,
                1 / (8 * 2**level),
                2,
                num_heads=4,
                weight=embedding.weight,
                bias=embedding.bias,
            )
        assert_close(pooled[row : row + 1], expected, 1e-5)


def test_packed_and_list_support_and_gradients():
    module = pooler(canonical_scale=60)
    x = {name: level.requires_grad_() for name, level in levels().items()}
    support = levels(batch=2, frames=3, seed=1)
    expected = module(x, boxes(), IMAGES, support)
    for form in (pack_support, list):
        other = {name: form(maps) for name, maps in support.items()}
        assert torch.equal(module(x, boxes(), IMAGES, other), expected)
    expected.square().sum().backward()
    for leaf in [*x.values(), *module.parameters()]:
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().sum() > 0


def test_no_boxes_at_all():
    module = pooler()
    x = {name: level.requires_grad_() for name, level in levels().items()}
    nothing = [torch.empty(0, 4)] * 2
    pooled = module(x, nothing, IMAGES, levels(batch=2, frames=3, seed=1))
    assert pooled.shape == (0, 8, 7, 7)
    pooled.sum().backward()


def test_wrong_levels():
    x, support = levels(), levels(batch=2, frames=3, seed=1)
    with pytest.raises(ValueError, match="`x` must hold the level 'c2'"):
        pooler(["c2"])(x, boxes(), IMAGES, support)
    with pytest.raises(ValueError, match="`support` must hold the level 'c4'"):
        pooler(["c4"])(x, boxes(), IMAGES, {})
    with pytest.raises(ValueError, match="half as fine"):
        pooler(["c3", "c5"])(x, boxes(), IMAGES, support)
    with pytest.raises(ValueError, match="`searched` must be 'own' or 'last'"):
        pooler(searched="first")


def test_proposals_of_other_levels_may_be_left_as_they_are():
    x, support = levels(), levels(batch=2, frames=3, seed=1)
    module = pooler(canonical_scale=60, searching=["c4"], searched="c5")
    assert module.searched_levels == ("c5",)
    whole = pooler(canonical_scale=60, searched="last")
    whole.load_state_dict(module.state_dict())
    with torch.no_grad():
        found, alone = (module(x, boxes(), IMAGES, maps) for maps in (support, None))
        everywhere = whole(x, boxes(), IMAGES, support)
    at_c4 = torch.cat(module.levels(boxes(), [1 / 8, 1 / 16, 1 / 32])) == 1
    assert torch.equal(found[~at_c4], alone[~at_c4])
    assert torch.equal(found[at_c4], everywhere[at_c4])
    with pytest.raises(ValueError, match=r"`searching` must name levels of .* names 'c2'"):
        pooler(searching=["c2"])


class Doubled(RoIAlign):
    """An extractor of another kind: what it adds is what it found."""

    searches_support = True

    def aggregate(self, roi_features, support):
        return roi_features + support.maps().mean((0, 2, 3)).view(-1, 1, 1)


@pytest.mark.parametrize("searched", ["own", "last"])
def test_another_extractor_needs_no_more_than_align_and_aggregate(searched):
    x = levels()
    support = {
        name: pack_support([maps[0], maps[1, :0]])
        for name, maps in levels(batch=2, frames=3, seed=1).items()
    }
    module = LevelPooler(Doubled(5), NAMES, canonical_scale=60, searched=searched)
    assert module.searched_levels == (tuple(NAMES) if searched == "own" else ("c5",))
    plain = LevelPooler(RoIAlign(5), NAMES, canonical_scale=60)
    assert plain.searched_levels == ()
    found, alone = module(x, boxes(), IMAGES, support), plain(x, boxes(), IMAGES)
    of_box = module.levels(boxes(), [1 / 8, 1 / 16, 1 / 32])[0]
    count = len(boxes()[0])
    assert torch.equal(found[count:], alone[count:])
    for row, level in enumerate(of_box.tolist()):
        name = NAMES[level] if searched == "own" else "c5"
        mean = support[name].maps().mean((0, 2, 3))
        torch.testing.assert_close(found[row], alone[row] + mean.view(-1, 1, 1))


@pytest.mark.parametrize("names", [NAMES, ["c4"]], ids=len)
def test_boxes_without_an_area_have_a_level_too(names):
    odd = [[30.0, 30, 10, 60], [torch.nan, 0, 9, 9], [5, 5, 5, 5], [torch.inf, 0, 9, 9]]
    lists = [torch.cat([torch.tensor(odd), part]) for part in boxes(5)]
    plain = LevelPooler(RoIAlign(7), names)
    found = plain(levels(names), lists, IMAGES)
    wanted = plain(levels(names), boxes(5), IMAGES)
    assert len(found) == 2 * 9
    torch.testing.assert_close(found.unflatten(0, (2, 9))[:, 4:].flatten(0, 1), wanted)
