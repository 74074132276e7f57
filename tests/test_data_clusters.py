"""Eight clusters: against closed forms, autograd and counting."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from diffusion_notes.data import Clusters
from diffusion_notes.metrics import binned_kl, stray_share

float64 = {"dtype": torch.float64}


def by_hand(x: torch.Tensor, alpha_bar: float, noise: float = 0.08) -> torch.Tensor:
    angles = [2 * math.pi * k / 8 for k in range(8)]
    variance = alpha_bar * noise**2 + 1 - alpha_bar
    each = [
        MultivariateNormal(
            math.sqrt(alpha_bar) * torch.tensor([math.cos(a), math.sin(a)], **float64),
            variance * torch.eye(2, **float64),
        ).log_prob(x)
        for a in angles
    ]
    return torch.stack(each).logsumexp(0) - math.log(8)


@given(st.floats(0, 1))
def test_the_density_is_the_mixture(alpha_bar):
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), **float64)
    torch.testing.assert_close(Clusters().diffuse(alpha_bar).log_prob(x), by_hand(x, alpha_bar))


@pytest.mark.parametrize("alpha_bar", [1.0, 0.9, 0.3, 4e-5])
def test_the_score_is_the_gradient(alpha_bar, generator):
    q = Clusters().diffuse(alpha_bar)
    x = q.sample(50, generator, **float64).requires_grad_()
    (gradient,) = torch.autograd.grad(q.log_prob(x).sum(), x)
    torch.testing.assert_close(q.score(x), gradient)


@pytest.mark.parametrize("far", [1.0, 10.0, 100.0, 1e4])
def test_the_gradient_is_the_score_in_single_precision_too(far):
    """However far from the clusters: the logits are large there, and rounding their sum must not change it."""
    x = (far * torch.tensor([[1.0, 1.0], [-0.6, 0.8], [1.1, 0.0]])).requires_grad_()
    (gradient,) = torch.autograd.grad(Clusters().log_prob(x).sum(), x)
    exact = Clusters().score(x.detach().double())
    assert (gradient - exact).norm(dim=-1).div(exact.norm(dim=-1)).max() < 1e-3


def test_it_is_diffused_step_by_step_as_at_once():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), **float64)
    twice, once = Clusters().diffuse(0.5).diffuse(0.6), Clusters().diffuse(0.3)
    torch.testing.assert_close(twice.log_prob(x), once.log_prob(x))
    assert "diffuse(0.3)" in repr(once)


def test_the_entropy_of_clusters_far_apart_is_that_of_one_and_of_the_choice():
    for noise in (0.03, 0.08):
        exact = math.log(8) + math.log(2 * math.pi * math.e * noise**2)
        assert Clusters(noise).entropy().item() == pytest.approx(exact, abs=2e-5)


def test_samples_are_drawn_from_the_density(generator):
    q = Clusters().diffuse(0.7)
    x = q.sample(100_000, generator, **float64)
    surprise = -q.log_prob(x)
    assert abs(surprise.mean() - q.entropy()) < 4.5 * surprise.std() / len(x) ** 0.5
    moment = 0.7 * (1 + 2 * 0.08**2) + 2 * 0.3
    assert x.square().sum(-1).mean().item() == pytest.approx(moment, rel=0.02)
    assert x.mean(0).abs().max() < 0.02


def test_true_samples_are_at_the_floor_and_a_lost_cluster_is_seen(generator):
    x = Clusters().sample(10_000, generator)
    # the spread of (χ² − df) / 2n with df = 479
    assert abs(binned_kl(x, Clusters())) < 4.5 * math.sqrt(2 * 479) / 20_000
    without = x[torch.cdist(x, torch.tensor([[1.0, 0.0]])).squeeze(-1) > 0.4]
    assert binned_kl(without, Clusters()) == pytest.approx(1 / 14, abs=0.01)  # (8/7 − 1)² · 7/8 + 1/8, halved
    assert binned_kl(1.02 * x, Clusters()) > 0.01


def test_the_cells_are_equal(generator):
    """Each ring, each sector and each cluster has its share of true samples, not only all of them together."""
    x = Clusters().sample(200_000, generator, **float64)
    assert abs(binned_kl(x, Clusters())) < 4.5 * math.sqrt(2 * 479) / 400_000


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_clusters_that_would_touch_are_refused(noise):
    with pytest.raises(ValueError, match="noise must lie strictly between"):
        Clusters(noise)


def test_its_name_says_what_it_is():
    assert repr(Clusters(0.05)) == "Clusters(noise=0.05)"
    assert repr(Clusters(0.05).diffuse(0.5)) == "Clusters(noise=0.05).diffuse(0.5)"


@pytest.mark.parametrize("alpha_bar", [-0.01, 1.01])
def test_a_level_that_is_none_is_refused(alpha_bar):
    with pytest.raises(ValueError, match="alpha_bar must"):
        Clusters().diffuse(alpha_bar)


def test_no_points_can_be_drawn_but_not_fewer():
    assert Clusters().sample(0).shape == (0, 2)
    with pytest.raises(ValueError, match="n must"):
        Clusters().sample(-1)


def test_points_are_drawn_where_the_generator_is(generator):
    with torch.device("meta"):
        assert Clusters().sample(3, generator).device.type == "cpu"
        assert Clusters().sample(3).device.type == "meta"
        assert Clusters().sample(3, device="cpu").device.type == "cpu"


def test_the_score_keeps_the_axes_of_the_points(generator):
    x = Clusters().sample(24, generator, **float64)
    torch.testing.assert_close(Clusters().score(x.view(2, 3, 4, 2)), Clusters().score(x).view(2, 3, 4, 2))


def test_a_divergence_needs_a_point():
    with pytest.raises(ValueError, match="x must"):
        binned_kl(torch.empty(0, 2), Clusters())
    # one cell of 480 has it: χ² = 479, which is df
    assert binned_kl(torch.ones(1, 2), Clusters()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("cluster", "at_the_edge", "beyond"),
    [
        (
            7,
            (9.0, -9.0),
            (1 - math.sqrt(0.5) + 0.01, math.sqrt(0.5) - 0.01),
        ),  # a seventh ring: the next cluster's first
        (4, (-0.05, 0.0), (-0.0764, -0.0236)),  # an eleventh sector: the first of the next ring
    ],
)
def test_the_last_ring_has_no_end_and_the_last_sector_is_closed(cluster, at_the_edge, beyond):
    angle = cluster * torch.tensor(2 * math.pi / 8, **float64)
    centre = torch.stack((angle.cos(), angle.sin()))
    x = torch.stack([centre + torch.tensor(away, **float64) for away in (at_the_edge, at_the_edge, beyond, beyond)])
    # two cells of 480 have two of the four points each, so χ² = 2 · 2² · 120 − 4, and df = 479
    assert binned_kl(x, Clusters()) == pytest.approx((960 - 4 - 479) / 8)


def test_strays_are_far_from_every_centre(generator):
    """A Rayleigh law: further than three standard deviations from the centre of a cluster is exp(−9/2) of it."""
    x = Clusters().sample(200_000, generator)
    assert stray_share(x, Clusters()) == pytest.approx(math.exp(-4.5), rel=0.1)
    assert stray_share(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), Clusters()) == 0.5


def test_diffused_clusters_have_no_cells():
    for ask in (Clusters().diffuse(0.5).cells, Clusters().diffuse(0.5).distance):
        with pytest.raises(ValueError, match="must be asked of clean clusters, and these are diffused"):
            ask(torch.zeros(1, 2))
