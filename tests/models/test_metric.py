"""The metric after training: what whitening and emphasis do, against their definitions."""

import pytest
import torch

from models.nn.metric import Metric, MetricSettings


def spread_out(n=400, seed=0):
    """Vectors of very different spread in different directions, away from the origin."""
    g = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=g))[0]
    return torch.randn(n, 5, generator=g) * torch.tensor([9.0, 3.0, 1.0, 0.3, 0.1]) @ turn + 2.0


def fitted(means, shape=None, kept=5, **settings):
    metric = Metric(means.shape[1], kept)
    metric.fit(means, shape, MetricSettings(fit=True, **settings))
    return metric


def test_it_is_the_identity_until_it_is_fitted():
    means = spread_out()
    torch.testing.assert_close(Metric(5, 5)(means), means)
    torch.testing.assert_close(Metric(5, 2)(means), means[:, :2])
    torch.testing.assert_close(fitted(means[:1])(means), means)


def test_full_whitening_makes_all_directions_equal():
    found = fitted(spread_out(), shrink=0.0, emphasis=0.0)(spread_out())
    torch.testing.assert_close(torch.cov(found.T) * 5, torch.eye(5), atol=0.02, rtol=0.02)


def test_a_large_shrink_leaves_the_proportions():
    means = spread_out()
    found = fitted(means, shrink=1e6, emphasis=0.0)(means)
    centred = means - means.mean(0)
    scale = found.norm() / centred.norm()
    torch.testing.assert_close(found, centred * scale, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("emphasis", [0.0, 1.0, 3.0])
def test_embeddings_have_unit_length_on_average(emphasis):
    found = fitted(spread_out(), torch.eye(5)[:2], shrink=0.3, emphasis=emphasis)(spread_out())
    assert found.square().sum(1).mean().sqrt().item() == pytest.approx(1.0, abs=1e-3)


def test_distances_are_those_of_the_definition():
    """|embedding difference|^2 = |P d|^2 + emphasis^2 |k W d|^2, up to one factor."""
    means, W = spread_out(), torch.randn(2, 5, generator=torch.Generator().manual_seed(4))
    z = (means - means.mean(0)).double()
    values, axes = torch.linalg.eigh(z.T @ z / len(z))
    s = values.sqrt()
    P = axes @ torch.diag(1 / (s + 0.3 * s.max())) @ axes.T
    W = W.double()
    k2 = (z @ P).square().sum(1).mean() / (z @ W.T).square().sum(1).mean()
    expected = (z @ P).square().sum(1) + 4 * k2 * (z @ W.T).square().sum(1)
    found = fitted(means, W.float(), shrink=0.3, emphasis=2.0)(means).square().sum(1)
    ratio = found.double() / expected
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=0)


def test_emphasis_moves_what_counts():
    means, W = spread_out(), torch.eye(5)[:1]
    plain = fitted(means, W, emphasis=0.0).root
    strong = fitted(means, W, emphasis=5.0).root
    assert strong[0].norm() / strong.norm() > plain[0].norm() / plain.norm()


def test_a_shorter_embedding_keeps_the_distances_as_well_as_any_can():
    """Among all linear maps to two numbers, principal components lose the least (Eckart, Young)."""
    means, W = spread_out(), torch.eye(5)[:2]
    whole = fitted(means, W, emphasis=2.0)(means)
    short = fitted(means, W, kept=2, emphasis=2.0)(means)
    values = torch.linalg.eigvalsh(whole.T @ whole)
    # Both are scaled to length one on average, so the shares of spread are compared.
    kept = short.T @ short
    torch.testing.assert_close(
        torch.linalg.eigvalsh(kept), values[-2:] / values[-2:].sum() * 400, rtol=1e-3, atol=1e-3
    )
