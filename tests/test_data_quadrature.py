"""The rules of integration, against integrals that are known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes.data import integrate_plane, unit_interval
from diffusion_notes.data.quadrature import log_sum_exp


@given(st.integers(1, 40))
def test_gauss_legendre_is_exact_for_polynomials(count):
    node, weight = unit_interval(count)
    for power in {0, 1, count, 2 * count - 1}:
        assert (weight * node**power).sum() == pytest.approx(1 / (power + 1), rel=1e-12)
    assert (weight > 0).all()
    assert ((node > 0) & (node < 1)).all()


@given(st.floats(0.2, 2), st.floats(-1, 1), st.floats(-1, 1))
def test_gaussians_over_the_plane(std, a, b):
    centre = torch.tensor([a, b], dtype=torch.float64)

    def f(x):
        density = torch.exp(-(x - centre).square().sum(-1) / (2 * std**2)) / (2 * math.pi * std**2)
        return torch.stack((density, density * x[:, 0], density * x[:, 1] ** 2), -1)

    total = integrate_plane(f, reach=2 + 9 * std, step=std / 2)
    torch.testing.assert_close(
        total, torch.tensor([1.0, a, b**2 + std**2], dtype=torch.float64), rtol=1e-11, atol=1e-11
    )


def test_the_rule_is_made_once_for_each_count():
    assert unit_interval(7)[0] is unit_interval(7)[0]
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        unit_interval(0)


@pytest.mark.parametrize(("step", "count"), [(1.0, 5), (0.9, 6), (4.0, 2)])
def test_the_points_are_a_grid_no_coarser_than_was_asked_for(step, count):
    seen = []
    integrate_plane(lambda x: seen.append(x) or x[:, 0], reach=2.0, step=step)
    grid = torch.linspace(-2, 2, count, dtype=torch.float64)
    torch.testing.assert_close(torch.cat(seen), torch.cartesian_prod(grid, grid))


def test_a_weight_is_a_factor():
    def each(x):
        return torch.exp(-x.square().sum(-1) / 2) / (2 * math.pi)

    def second_moment(x):
        return x.unsqueeze(-1) * x.unsqueeze(-2)

    total = integrate_plane(second_moment, reach=9.0, step=0.5, weight=each)
    torch.testing.assert_close(total, torch.eye(2, dtype=torch.float64), rtol=1e-11, atol=1e-11)


def test_where_nothing_is_nothing_is_computed():
    seen = []

    def f(x):
        seen.append(x)
        return torch.ones_like(x[:, 0])

    half = integrate_plane(f, reach=1.0, step=0.01, where=lambda x: x[:, 0] > 0.005)
    assert half.item() == pytest.approx(2.0, rel=0.02)
    assert (torch.cat(seen)[:, 0] > 0).all()
    assert integrate_plane(f, reach=1.0, step=0.1, where=lambda x: x[:, 0] > 2) == 0


def test_large_logits_have_the_gradient_of_small_ones():
    small = torch.tensor([0.0, 1.0, 2.0], requires_grad=True)
    large = (small.detach() - 2.0**24).requires_grad_()
    gradients = [torch.autograd.grad(log_sum_exp(logits), logits)[0] for logits in (small, large)]
    assert torch.allclose(gradients[0], small.detach().softmax(-1))
    assert gradients[1].sum() == pytest.approx(1)
    assert torch.equal(log_sum_exp(small), small.logsumexp(-1))
    assert log_sum_exp(torch.full((2,), -math.inf)) == -math.inf


def test_the_logarithm_of_a_sum_is_taken_over_the_last_axis():
    logits = torch.tensor([[0.0, -math.inf, 3.0], [-800.0, -801.0, -802.0]], dtype=torch.float64)
    torch.testing.assert_close(log_sum_exp(logits), logits.logsumexp(-1))
    torch.testing.assert_close(log_sum_exp(logits.unsqueeze(1)), logits.logsumexp(-1, keepdim=True))


def test_one_value_for_each_point_is_asked_for():
    with pytest.raises(ValueError, match=r"what f returns must have shape \(4, \.\.\.\), got \(3,\)"):
        integrate_plane(lambda x: x[1:, 0], reach=1.0, step=2.0)


def test_a_grid_that_no_memory_holds_is_refused():
    for reach, step, least in ((5000.1, 1.0, "1.00002"), (1e100, 1e-100, r"2e\+96")):
        with pytest.raises(ValueError, match=rf"step must be at least {least}, a 5000th of reach, got {step}"):
            integrate_plane(lambda x: x[:, 0], reach, step)


def test_the_finest_grid_is_allowed(monkeypatch):
    """Its points are counted, and not made."""
    seen = []
    monkeypatch.setattr(torch, "cartesian_prod", lambda a, b: seen.append(len(a)) or torch.ones(1, 2))
    integrate_plane(lambda x: x[:, 0], reach=5000.0, step=1.0)
    assert seen == [10_001]
