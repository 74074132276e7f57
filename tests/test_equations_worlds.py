"""The worlds of the checker, compared with other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.world import CHAINS


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
