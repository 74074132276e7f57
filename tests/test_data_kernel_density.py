from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KernelDensity as Sklearn

from diffusion_notes.data import KernelDensity, kernel_density
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.swiss_roll import SwissRoll

POINTS = SwissRoll().sample(120, torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("width", [0.02, 0.1, 0.7])
def test_its_density_is_scikit_learns(width):
    x = SwissRoll().sample(50, torch.Generator().manual_seed(1), dtype=torch.float64)
    theirs = Sklearn(bandwidth=width).fit(POINTS.numpy()).score_samples(x.numpy())
    np.testing.assert_allclose(KernelDensity(POINTS, width).log_prob(x), theirs, rtol=1e-10)


def test_it_is_a_density():
    points = torch.tensor([[0.0], [0.5], [3.0]])
    estimate = KernelDensity(points, 0.3)
    total, _ = integrate.quad(lambda x: estimate.log_prob(torch.tensor([[x]])).exp().item(), -3, 6, limit=200)
    assert total == pytest.approx(1, abs=1e-7)


def leaving_one_out(width: float) -> float:
    """The same of scikit-learn's densities, each without what the point itself has added to it."""
    n, dim = POINTS.shape
    mean = np.exp(Sklearn(bandwidth=width).fit(POINTS.numpy()).score_samples(POINTS.numpy()))
    own = (2 * math.pi * width**2) ** (-dim / 2)
    return np.log((n * mean - own) / (n - 1)).mean()


def test_its_width_is_the_one_that_leaving_one_out_chooses():
    widths = np.exp(np.linspace(math.log(0.02), math.log(0.6), 400))
    best = max(widths, key=leaving_one_out)
    assert KernelDensity(POINTS).width == pytest.approx(best, rel=0.015)  # one per cent, and half a step of the grid
    left_out = cross_val_score(Sklearn(bandwidth=best), POINTS.numpy(), cv=LeaveOneOut()).mean()
    assert KernelDensity(POINTS).leave_one_out(best) == pytest.approx(left_out, rel=1e-10)


def test_many_points_are_asked_in_blocks(monkeypatch):
    whole = KernelDensity(POINTS, 0.2).leave_one_out(0.2)
    monkeypatch.setattr(kernel_density, "_BLOCK", 50)
    assert KernelDensity(POINTS, 0.2).leave_one_out(0.2) == pytest.approx(whole, rel=1e-12)
    monkeypatch.setattr(kernel_density, "_ASKED", 70)
    few = KernelDensity(POINTS, 0.2).leave_one_out(0.2)
    assert KernelDensity(POINTS, 0.2)._nearest.shape == (70, 119)
    assert few != pytest.approx(whole, rel=1e-6)
    without = [KernelDensity(torch.cat((POINTS[:i], POINTS[i + 1 :])), 0.2) for i in range(70)]
    expected = np.mean([each.log_prob(POINTS[i : i + 1]).item() for i, each in enumerate(without)])
    assert few == pytest.approx(expected, rel=1e-10)


def test_those_further_away_weigh_nothing(monkeypatch):
    whole = KernelDensity(POINTS, 0.03).leave_one_out(0.03)
    monkeypatch.setattr(kernel_density, "_NEAREST", 60)
    assert KernelDensity(POINTS, 0.03).leave_one_out(0.03) == pytest.approx(whole, rel=1e-9)


def test_its_samples_are_the_points_and_noise():
    points = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
    x = KernelDensity(points, 0.1).sample(4000, torch.Generator().manual_seed(0))
    near = x[:, 0] < 5
    assert near.double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (x[near] - points[0]).std().item() == pytest.approx(0.1, rel=0.05)


def test_on_the_roll_it_is_nearer_than_a_memoriser_and_strays_more():
    """As two computations that share nothing with this one found: 0.0135 and 0.0156 nats, 0.66 and 0.63 per cent."""
    roll = SwissRoll()
    generator = torch.Generator().manual_seed(0)
    estimate = KernelDensity(roll.sample(10_000, generator, dtype=torch.float64))
    assert 0.021 < estimate.width < 0.027
    x = estimate.sample(10_000, generator)
    assert 0.010 < binned_kl(x, roll) < 0.019
    assert 0.0045 < stray_share(x, roll) < 0.0085
    fresh = roll.sample(4000, generator, dtype=torch.float64)
    assert 0.015 < (roll.log_prob(fresh) - estimate.log_prob(fresh)).mean().item() < 0.035


def test_points_that_are_all_the_same_have_no_width():
    with pytest.raises(ValueError, match="points must differ, got 3 that are all the same"):
        KernelDensity(torch.zeros(3, 2))
