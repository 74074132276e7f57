"""The worlds of the checker, compared with other libraries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate

from diffusion_notes.equations.worlds.catalogue import continuous_worlds, usual_worlds
from diffusion_notes.equations.worlds.continuous_worlds import NOW
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.line_world import LineWorld
from diffusion_notes.equations.worlds.world import ATTACHED, CHAINS, Point


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


@pytest.mark.parametrize("context", ATTACHED)
@pytest.mark.parametrize("seed", [2, 3])
def test_what_is_seen_of_the_data_is_in_the_joint_law(context, seed):
    world = GaussianWorld(context, seed, 2, T=3)
    point = world.draws(5)
    for key in world.attached:
        a, b, noise = (torch.tensor(part) for part in world.seen[key])
        mean = torch.tensor(point.values["x0"]) @ a.T + b
        expected = torch.distributions.MultivariateNormal(mean, noise).log_prob(torch.tensor(point.values[key]))
        for given in (("x0",), ("x0", "x2")):
            found = world.log_density("q", (key,), given, point)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("world", usual_worlds("guidance")[-2:], ids=lambda w: w.title)
def test_a_label_and_a_tilted_law_are_densities(world):
    line = np.linspace(-9, 9, 161)[:, None]
    point = world.draws(4)
    for model in ("q", "q_w"):
        for i in range(4):
            there = Point({"x1": line, "c": np.repeat(point.values["c"][i : i + 1], len(line), axis=0)})
            density = np.exp(world.log_density(model, ("x1",), ("c",), there))
            assert (density * (line[1] - line[0])).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("context", ["guidance", "signals"])
@pytest.mark.parametrize("D", [1, 2])
def test_a_model_that_is_told_a_condition_is_made_of_its_steps(context, D):
    world = GaussianWorld(context, 3, D, T=3)
    point = world.draws(4)
    told = (world.attached[0], point.values[world.attached[0]])
    total = world.log_density("p", (world.keys[-1],), (), point)
    for t in range(1, world.T + 1):
        mean = torch.tensor(world.mean_down(point.values[f"x{t}"], t, told))
        cov = torch.tensor(world.sigma[t] ** 2 * world.prior[1])
        step = torch.distributions.MultivariateNormal(mean, cov)
        total = total + step.log_prob(torch.tensor(point.values[f"x{t - 1}"])).numpy()
    found = world.log_density(f"p {told[0]}", world.keys, (told[0],), point)
    np.testing.assert_allclose(found, total, rtol=1e-9)


@pytest.mark.parametrize("told", [None, "c"])
@pytest.mark.parametrize("context", ["guidance", "signals"])
def test_a_perfect_network_predicts_the_score(context, told):
    for world in usual_worlds(context):
        if not isinstance(world, GaussianWorld) or world.D > 2:
            continue
        point = world.draws(3)
        x, given = point.values["x2"], (told,) if told else ()

        def log_density(x, world=world, point=point, given=given):
            return world.log_density("q", ("x2",), given, Point(point.values | {"x2": x}))

        shifts = 1e-5 * np.eye(world.D)
        score = np.stack([(log_density(x + s) - log_density(x - s)) / 2e-5 for s in shifts], axis=-1)
        condition = (told, point.values[told]) if told else None
        noise = world.perfected().expected_noise_given(x, 2, condition)
        expected = -np.sqrt(1 - world.alpha_bar[2]) * score @ world.root
        np.testing.assert_allclose(noise, expected, atol=1e-6, rtol=1e-5)


def test_in_the_chapter_about_priors_noise_leads_to_the_prior():
    world = GaussianWorld("signals", 3, 2, T=4)
    far = world.with_levels(np.array([1.0, 0.5, 0.1, 1e-4, 1e-9]))
    mean, _, cov = far.regress("q", ("x4",), ())
    np.testing.assert_allclose(mean, world.prior[0], atol=1e-3)
    np.testing.assert_allclose(cov, world.prior[1], atol=1e-3)
    assert world.root @ world.root == pytest.approx(world.prior[1])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_law_on_the_line_has_the_crps_of_its_samples(seed):
    world = LineWorld("signals", seed)
    y = world.draws(4).values["y"]
    for number, found in zip(y, world.score(y), strict=True):
        ends = np.sort([*world.places, number])
        pieces = [
            integrate.quad(lambda u, n=number: float(world.distribution(u) - (u >= n)) ** 2, a, b)[0]
            for a, b in pairwise(ends)
        ]
        assert found == pytest.approx(sum(pieces), abs=1e-9)
    values, weights = world.nodes("q", ("X", "X'"), (), Point({"y": y}))
    assert weights.sum(1) == pytest.approx(np.ones(4))
    far = np.interp(np.random.default_rng(1).random(200_000), world.distribution(world.places), world.places)
    mean = (weights * np.abs(values["X"] - values["X'"])).sum(1)
    assert mean == pytest.approx(np.full(4, np.abs(far[::2] - far[1::2]).mean()), rel=2e-2)
