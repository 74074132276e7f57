"""The worlds of the checker, compared with other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate

from diffusion_notes.equations.worlds.catalogue import continuous_worlds, usual_worlds
from diffusion_notes.equations.worlds.continuous_worlds import NOW
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.world import CHAINS, Point


@pytest.mark.parametrize("context", CHAINS)
def test_the_histograms_are_densities(context):
    world = HistogramWorld(context, 1)
    point = world.draws(4)
    for model in ("p", "q"):
        assert world.joint[model].sum() == pytest.approx(1)
        for i, key in enumerate(world.keys):
            given = tuple(k for k in world.keys if k != key)
            values, weights = world.measure(key, point)
            wide = point.spread(values, weights.shape[-1])
            density = np.exp(world.log_density(model, (key,), given, wide)).reshape(-1, weights.shape[-1])
            np.testing.assert_allclose((density * weights).sum(1), 1)
            assert i < len(world.keys)


def test_a_gaussian_world_agrees_with_torch():
    world = GaussianWorld("ddpm", 1, 2)
    point = world.draws(5)
    x = {key: torch.tensor(value) for key, value in point.values.items()}
    step = torch.distributions.Normal((1 - world.beta[3]) ** 0.5 * x["x2"], world.beta[3] ** 0.5)
    np.testing.assert_allclose(
        world.log_density("q", ("x3",), ("x2",), point), step.log_prob(x["x3"]).sum(-1), rtol=1e-10
    )
    mean, cov = world.joint["q"]
    joint = torch.distributions.MultivariateNormal(torch.tensor(mean), torch.tensor(cov))
    every = torch.cat([x[key] for key in world.keys], -1)
    np.testing.assert_allclose(world.log_density("q", world.keys, (), point), joint.log_prob(every), rtol=1e-9)


def test_the_posterior_in_a_gaussian_world_is_that_of_the_package():
    from diffusion_notes.diffusion import ForwardProcess, Schedule

    world = GaussianWorld("ddpm", 3, 2)
    process = ForwardProcess(Schedule(torch.tensor(world.beta)))
    point = world.draws(4)
    x = {key: torch.tensor(value) for key, value in point.values.items()}
    posterior = process.posterior(x["x3"], x["x0"], 3)
    mean, cov = world.moments("q", ("x2",), ("x3", "x0"), point)
    np.testing.assert_allclose(mean, posterior.mean, rtol=1e-10)
    np.testing.assert_allclose(cov[0], np.eye(2) * posterior.variance[0, 0].item(), atol=1e-12)


@pytest.mark.parametrize("world", continuous_worlds(), ids=lambda world: world.title)
def test_in_continuous_time_the_rate_is_that_of_the_level(world):
    later = world.at_time(world.times[NOW] + 1e-6)
    slope = np.log(later.alpha_bar[NOW] / world.alpha_bar[NOW]) / 1e-6
    assert slope == pytest.approx(-world.rates[NOW], rel=1e-4)
    assert later.alpha_bar[-1] == world.alpha_bar[-1]


@pytest.mark.parametrize("world", continuous_worlds(), ids=lambda world: world.title)
def test_the_expected_noise_is_the_score_by_finite_differences(world):
    x = world.draws(3).values[f"x{NOW}"]
    shifts = [1e-5 * way for way in np.eye(world.D)]
    score = [(_log_density(world, x + shift) - _log_density(world, x - shift)) / 2e-5 for shift in shifts]
    expected = -np.sqrt(1 - world.alpha_bar[NOW]) * np.stack(score, axis=-1)
    assert world.expected_noise(x, NOW) == pytest.approx(expected, abs=1e-7)


def _log_density(world, x):
    return world.log_density("q", (f"x{NOW}",), (), Point({f"x{NOW}": x}))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("world", continuous_worlds(), ids=lambda world: world.title)
def test_curves_are_those_of_scipy(world, exact):
    x0 = world.draws(2).values["x0"]
    level = world.alpha_bar[-1]

    def slope(kappa, y):
        return world._slope(y.reshape(x0.shape), kappa, exact).ravel()

    span = (0.0, np.sqrt((1 - level) / level))
    ends = integrate.solve_ivp(slope, span, x0.ravel(), method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    assert world.along(x0, level, exact) == pytest.approx(np.sqrt(level) * ends.reshape(x0.shape), abs=1e-8)


def test_the_law_of_a_curve_that_ends_in_noise_is_a_density():
    world = continuous_worlds()[0]
    line = np.linspace(-12, 12, 2001)
    density = np.exp(world.log_density("p", ("x0",), (), Point({"x0": line[:, None]})))
    assert (density * (line[1] - line[0])).sum() == pytest.approx(1, abs=1e-4)


def test_ddim_walks_from_the_top_through_the_same_marginals():
    world = next(w for w in usual_worlds("samplers") if w.D == 2)
    assert world.eta is not None
    for key in world.keys[1:]:
        one = world.regress("q_sigma", (key,), ("x0",))
        other = world.regress("q", (key,), ("x0",))
        for found, expected in zip(one, other, strict=True):
            assert found == pytest.approx(expected)
    assert world.regress("q_sigma", ("x1",), ("x2",))[1] != pytest.approx(world.regress("q", ("x1",), ("x2",))[1])
