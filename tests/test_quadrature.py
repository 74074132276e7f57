"""The rules of integration, against integrals that are known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes.quadrature import integrate_plane, unit_interval


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
