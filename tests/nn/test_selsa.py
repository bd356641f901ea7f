"""SELSA's attention as it starts: it gathers from what resembles the proposal."""

import torch

from trovid.nn.selsa import SelsaAttention


def test_at_the_start_a_proposal_gathers_from_those_that_resemble_it():
    attention = SelsaAttention(32, num_heads=4)
    generator = torch.Generator().manual_seed(0)
    support = 4 * torch.randn(60, 32, generator=generator)
    proposals = support[[7, 20]] + 0.3 * torch.randn(2, 32, generator=generator)
    gathered = attention(proposals, *attention.keys_values(support))
    nearest = torch.cosine_similarity(gathered[:, None], support[None], dim=-1).argmax(1)
    assert nearest.tolist() == [7, 20]
    assert (gathered.norm(dim=1) < 0.5 * proposals.norm(dim=1)).all()


def test_the_weights_that_are_shown_are_those_that_values_are_summed_by():
    attention = SelsaAttention(32, num_heads=4)
    generator = torch.Generator().manual_seed(0)
    proposals, support = (torch.randn(n, 32, generator=generator) for n in (3, 50))
    keys, values = attention.keys_values(support)
    weights = attention.weights(proposals, keys)
    summed = weights @ values.unflatten(1, (4, 8)).movedim(1, 0)
    expected = attention(proposals, keys, values)
    torch.testing.assert_close(attention.output(summed.movedim(0, 1).flatten(1)), expected)


def test_without_support_proposals_nothing_is_gathered():
    attention = SelsaAttention(32, num_heads=4)
    keys, values = attention.keys_values(torch.zeros(0, 32))
    assert torch.equal(attention(torch.ones(2, 32), keys, values), torch.zeros(2, 32))
