"""What takes the place of Temporal RoI Align: each against the equations written out."""

from __future__ import annotations

import pytest
import torch

from tests.nn.test_level_pooler import boxes, levels
from tests.ops.compare import DEVICES, assert_close
from trovid.nn import DeformableRoIAlign, NonLocalRoIAlign, TrainingFreeRoIAlign
from trovid.nn.extractors.training_free import ATTENTIONS, frame_weights
from trovid.ops import pack_support
from trovid.ops.deform_roi_align import deform_roi_align_reference
from trovid.ops.non_local import non_local_reference
from trovid.ops.temporal_roi_align import reference

SCALE = 1 / 16
GRID = (3, 2)
BUILD = {
    "md-average": lambda: DeformableRoIAlign(GRID, channels=8, num_heads=0, hidden=12),
    "md-attention": lambda: DeformableRoIAlign(GRID, channels=8, hidden=12, aligned=True),
    "non-local": lambda: NonLocalRoIAlign(GRID, channels=8),
    "non-local-top-k": lambda: NonLocalRoIAlign(GRID, channels=8, top_k=4),
    **{
        f"free-{kind}": lambda kind=kind: TrainingFreeRoIAlign(GRID, attention=kind, top_k=2)
        for kind in ATTENTIONS
    },
    "free-rules": lambda: TrainingFreeRoIAlign(
        GRID, num_heads=2, own_weight=2.0, similarity_power=3.0, sharpness_power=1.5
    ),
}


def built(name, **place):
    """The extractor with all weights random, so that none is at its start."""
    torch.manual_seed(0)
    module = BUILD[name]()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module.to(**place)


def problem(count=4, **place):
    maps = levels(["c4"], batch=2, frames=3, seed=1)["c4"].to(**place)
    places = [part[:count].to(**place) for part in boxes(count)]
    return levels(["c4"])["c4"].to(**place), places, maps


def written_out(module, features, places, maps):
    """The equations for one video: features [1, C, H, W], places [R, 4], maps [T, C, H, W]."""
    target = module.align(features, [places], SCALE)
    if isinstance(module, NonLocalRoIAlign):
        positions = target.flatten(2).transpose(1, 2)
        cells = maps.flatten(2).transpose(1, 2).flatten(0, 1)
        query, key, value = module.query(positions[0]), module.key(cells), module.value(cells)
        rows = []
        for position in positions:
            query = module.query(position)
            rows.append(module.output(non_local_reference(query, key, value, top_k=module.top_k)))
        return target + torch.stack(rows).transpose(1, 2).unflatten(2, GRID)
    if isinstance(module, DeformableRoIAlign):
        layers, sets = module.offsets, []
        for support_map in maps:
            same = module.align(support_map[None], [places], SCALE)
            pair = torch.cat([target.flatten(1), same.flatten(1)], 1)
            hidden = layers.offset_hidden(layers.offset_in(pair).relu()).relu()
            offsets = layers.offset_out(hidden).view(-1, 2, *GRID)
            mask = layers.mask_out(layers.mask_in(pair).relu()).sigmoid().view(-1, 1, *GRID)
            pooling = SCALE, module.sampling_ratio, module.aligned
            moved = deform_roi_align_reference(
                support_map[None], [places], GRID, offsets, mask, *pooling, gamma=module.gamma
            )
            sets.append(moved)
        if module.embedding is None:
            return torch.stack([target, *sets]).mean(0)
        weight, bias = module.embedding.weight, module.embedding.bias
        return reference.temporal_attention(
            target, torch.stack(sets), module.num_heads, weight, bias, module.logit_scale
        )[0]
    sets, _, scores = reference.most_similar_roi_align(target, maps, module.top_k)
    weights = frame_weights(target, sets, scores[:, :, 0], **module.rules)
    everything = torch.cat([target[None], sets]).unflatten(2, (weights.shape[2], -1))
    return (weights.unsqueeze(3) * everything).sum(0).flatten(1, 2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", BUILD)
def test_two_videos_one_without_support_frames_are_the_equations(name, device):
    precise = torch.float32 if device == "cpu" else torch.float64  # there float32 may be TF32
    module = built(name, device=device, dtype=precise)
    features, places, maps = problem(device=device, dtype=precise)
    support = pack_support([maps[0], maps[1, :0]])
    with torch.no_grad():
        found = module.extract(features, places, SCALE, support)
        expected = written_out(module, features[:1], places[0], maps[0])
        alone = module.align(features, places, SCALE)
    assert_close(found[: len(places[0])], expected, 2e-5)
    assert_close(found[len(places[0]) :], alone[len(places[0]) :], 1e-6)
    assert (found[: len(places[0])] - alone[: len(places[0])]).abs().max() > 1e-3
    assert torch.equal(module.extract(features, places, SCALE), alone)
    if module.exportable:
        with torch.no_grad():
            traced = module.aggregate(alone[: len(places[0])], support.videos([0]))
        assert_close(traced, expected, 2e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["md-average", "md-attention", "non-local", "non-local-top-k"])
def test_gradients_are_those_of_the_equations(name, device):
    place = {"device": device, "dtype": torch.float64}
    module = built(name, **place)
    features, places, maps = problem(3, **place)
    found = []
    for function in (
        lambda f, m: module.extract(f, places[:1], SCALE, pack_support(m)),
        lambda f, m: written_out(module, f, places[0], m),
    ):
        leaves = [features[:1].clone().requires_grad_(), maps[0].clone().requires_grad_()]
        module.zero_grad()
        function(*leaves).square().sum().backward()
        grads = {key: p.grad for key, p in module.named_parameters()}
        found.append({"features": leaves[0].grad, "maps": leaves[1].grad, **grads})
    for key, expected in found[1].items():
        if key != "key.bias":  # shifts all logits alike
            assert_close(found[0][key], expected, 1e-6, key)
            assert expected.abs().sum() > 0


@pytest.mark.parametrize("name", ["md-average", "md-attention", "non-local", "non-local-top-k"])
def test_maps_of_low_precision_under_autocast(name):
    module = built(name)
    features, places, maps = problem()
    support = pack_support(maps)
    with torch.no_grad():
        exact = module.extract(features, places, SCALE, support)
        with torch.autocast("cpu", torch.bfloat16):
            low = module.extract(
                features.bfloat16(), places, SCALE, support.to(torch.bfloat16)
            ).float()
    assert (low - exact).abs().mean() < 0.02 * exact.abs().mean()


@pytest.mark.parametrize("name", BUILD)
def test_no_boxes(name):
    module = built(name)
    features, places, maps = problem()
    features.requires_grad_()
    found = module.extract(features, [part[:0] for part in places], SCALE, pack_support(maps))
    assert found.shape == (0, 8, *GRID)
    found.sum().backward()


@pytest.mark.parametrize("name", BUILD)
def test_what_each_position_saw_fits_the_maps(name):
    module = built(name)
    features, places, maps = problem()
    with torch.no_grad():
        seen = module.sight(features[:1], places[:1], SCALE, pack_support(maps[0]))
    frames, rois, points, *grid = seen.cells.shape
    assert (frames, rois, tuple(grid)) == (3, len(places[0]), GRID)
    assert seen.similarities.shape == seen.cells.shape
    assert points == (1 if name.startswith("md") else getattr(module, "top_k", 1) or 4)
    groups = seen.weights.shape[2]
    assert seen.weights.shape == (4, rois, groups, *GRID)
    assert (seen.cells >= 0).all()
    assert (seen.cells < 20 * 30).all()
    assert_close(seen.weights.sum(0), torch.ones(rois, groups, *GRID), 1e-5)
    assert module.operations(300, (8, 20, 30), 14) > 0


def test_deformable_starts_at_half_of_the_same_place():
    features, places, maps = problem()
    module = DeformableRoIAlign(GRID, channels=8, num_heads=0, hidden=12)
    with torch.no_grad():
        found = module.extract(features[:1], places[:1], SCALE, pack_support(maps[0]))
        same = [module.align(support_map[None], places[:1], SCALE) / 2 for support_map in maps[0]]
        pooled = module.align(features[:1], places[:1], SCALE)
    assert_close(found, torch.stack([pooled, *same]).mean(0), 1e-5)


def test_deformable_in_parts_is_the_same():
    module = built("md-attention")
    features, places, maps = problem()
    whole = module.extract(features, places, SCALE, pack_support(maps))
    module.sets_at_once = 3 * 8 * 6
    with torch.no_grad():
        assert_close(module.extract(features, places, SCALE, pack_support(maps)), whole, 1e-5)


def test_non_local_starts_as_roi_align():
    features, places, maps = problem()
    module = NonLocalRoIAlign(GRID, channels=8)
    found = module.extract(features, places, SCALE, pack_support(maps))
    assert torch.equal(found, module.align(features, places, SCALE))


def test_frames_that_are_alike_and_sharp_count_more():
    target = torch.rand(2, 6, *GRID) + 0.1
    sets = torch.stack([target, 2 * target, 0.5 * target])
    alike = torch.tensor([1.0, 1.0, 0.2]).view(3, 1, 1, 1).expand(3, 2, *GRID)

    def mean(**rules):
        return frame_weights(target, sets, alike, **rules).mean((1, 2, 3, 4))

    same = mean(attention="mean")
    assert_close(same, torch.full((4,), 0.25), 1e-6)
    strong = mean(attention="projection", scale=3.0)
    assert strong[2] > strong[0] > strong[3]
    assert_close(mean(attention="cosine", scale=3.0), same, 1e-5)
    assert_close(mean(attention="mean", own_weight=3.0), torch.tensor([3.0, 1, 1, 1]) / 6, 1e-6)
    less = mean(attention="mean", similarity_power=1.0)
    assert_close(less, torch.tensor([1, 1, 1, 0.2]) / 3.2, 1e-5)
    sharp = mean(attention="mean", sharpness_power=1.0)
    weight = 1 / ((1 + 2 + 0.5) / 3)
    assert_close(sharp, torch.tensor([weight, 1, 1, 1]) / (weight + 3), 1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TrainingFreeRoIAlign(attention="max"), "'projection', but is 'max'"),
        (lambda: TrainingFreeRoIAlign(own_weight=0.0), "`own_weight` must be above 0"),
        (lambda: TrainingFreeRoIAlign(top_k=0), "must be at least 1, but are 0 and 1"),
        (lambda: NonLocalRoIAlign(channels=8, top_k=0), "`top_k` must be at least 1"),
        (lambda: DeformableRoIAlign(channels=9), "must divide the 9 channels"),
    ],
)
def test_wrong_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()
