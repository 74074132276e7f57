"""DDIM as a chain, and samplers of few calls: against diffusers, against ODE solvers, and where all is Gaussian."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, HeunDiscreteScheduler
from scipy.integrate import solve_ivp
from synchronisations import Synchronisations
from test_ddpm import exact_network, some_network
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from diffusion_notes.chains import Chain, TopDownChain, elbo, importance_bound, infer_path
from diffusion_notes.chains import sample as sample_chain
from diffusion_notes.data import Clusters, Peaks
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import (
    DiffusionChain,
    FixedVarianceChain,
    ForwardProcess,
    bound_terms,
    forward_form,
    kl_form,
    one_step,
    posterior_form,
)
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.samplers import (
    DDIM,
    DDIMProcess,
    ExactNoise,
    best_levels,
    choose_levels,
    karras_levels,
    on_levels,
    sample,
    start,
    walk,
)
from diffusion_notes.schedule import Schedule, best_bound, mmse
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
METHODS = ["ddim", "ancestral", "heun", "dpmpp_2m", "dpmpp_3m"]
WITHOUT_NOISE = ["ddim", "heun", "dpmpp_2m", "dpmpp_3m"]
SHORT = Schedule.linear(T=8, beta_1=0.02, beta_T=0.6)
LONG = Schedule.linear(T=100, beta_1=1e-3, beta_T=0.1)
ETAS = [1.0, 0.7, 0.2, 0.01]
each_eta = pytest.mark.parametrize("eta", ETAS)


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


# DDIM as a chain


def by_definition(schedule, eta, t):
    """The weights of x_0 and x_t, and the standard deviation, as equation 7 of Song, Meng and Ermon 2021 has them."""
    before, now = schedule.alpha_bar[t - 1].item(), schedule.alpha_bar[t].item()
    sigma = eta * math.sqrt((1 - before) / (1 - now) * (1 - now / before))
    slope = math.sqrt((1 - before - sigma**2) / (1 - now))
    return math.sqrt(before) - slope * math.sqrt(now), slope, sigma


@each_eta
@pytest.mark.parametrize("schedule", [SHORT, LONG, Schedule.cosine(T=50)], ids=["short", "long", "cosine"])
def test_the_posterior_is_that_of_the_definition(schedule, eta, generator):
    q = DDIMProcess(schedule, eta)
    xt, x0 = torch.randn(2, 5, 2, generator=generator, **float64)
    for t in range(2, schedule.T + 1):
        of_x0, of_xt, sigma = by_definition(schedule, eta, t)
        posterior = q.posterior(xt, x0, t)
        assert_close(posterior.mean, of_x0 * x0 + of_xt * xt)
        assert_close(posterior.stddev, torch.full_like(xt, sigma))


@each_eta
@pytest.mark.parametrize("schedule", [SHORT, LONG, Schedule.cosine(T=50)], ids=["short", "long", "cosine"])
def test_all_marginals_are_those_of_the_forward_process(schedule, eta):
    """From the top down, Gaussian by Gaussian: with x_t given x_0 known, x_{t-1} is."""
    q, forward = DDIMProcess(schedule, eta), ForwardProcess(schedule)
    x0, zero, one = (torch.full((1, 1), value, **float64) for value in (1.3, 0.0, 1.0))
    top = q.marginal(x0, schedule.T)
    mean, variance = top.mean, top.variance
    for t in range(schedule.T, 1, -1):
        shift = q.posterior(zero, x0, t)
        slope = q.posterior(one, x0, t).mean - shift.mean
        mean, variance = shift.mean + slope * mean, slope.square() * variance + shift.variance
        assert_close(mean, forward.marginal(x0, t - 1).mean)
        assert_close(variance, forward.marginal(x0, t - 1).variance)


@each_eta
def test_drawn_paths_have_these_marginals_too(eta, generator):
    n, x0 = 50_000, torch.tensor([[0.9]], **float64)
    path, log_q = infer_path(DDIM(DDPM(some_network, SHORT), eta), x0.expand(n, 1), generator)
    assert len(path) == len(log_q) == 9
    assert torch.equal(path[0], x0.expand(n, 1))
    assert not log_q[0].any()
    for t in range(1, 9):
        q = ForwardProcess(SHORT).marginal(x0, t)
        assert abs(path[t].mean() - q.mean) < 4.5 * q.stddev / n**0.5
        assert path[t].var().item() == pytest.approx(q.variance.item(), rel=4.5 * (2 / n) ** 0.5)


def test_with_eta_1_the_posterior_is_that_of_the_forward_process(generator):
    q, forward = DDIMProcess(LONG, 1), ForwardProcess(LONG)
    xt, x0 = torch.randn(2, 99, 3, generator=generator, **float64)
    t = torch.arange(2, 101)
    ours, theirs = q.posterior(xt, x0, t), forward.posterior(xt, x0, t)
    assert_close(ours.mean, theirs.mean)
    assert_close(ours.stddev, theirs.stddev)


@each_eta
def test_the_smaller_eta_the_nearer_the_path_stays_to_one_noise(eta, generator):
    """Two neighbours on a path have the same noise but for what is drawn between them."""
    path, _ = infer_path(DDIM(DDPM(some_network, SHORT), eta), torch.zeros(20_000, 1, **float64), generator)
    noises = torch.cat([path[t] / (1 - SHORT.alpha_bar[t]).sqrt() for t in (4, 5)], 1)
    sigma = by_definition(SHORT, eta, 5)[2]
    expected = math.sqrt(1 - sigma**2 / (1 - SHORT.alpha_bar[4].item()))
    assert noises.T.corrcoef()[0, 1].item() == pytest.approx(expected, abs=0.02)


@each_eta
def test_each_term_is_a_weight_times_the_error_of_the_noise(eta, generator):
    """So the objective is that of DDPM, but for the weights; against torch's KL divergence, and its gradient."""
    ddim = DDIM(DDPM(some_network, SHORT), eta)
    x0, noise = torch.randn(2, 6, 2, generator=generator, **float64)
    for t in range(1, 9):
        xt = SHORT.alpha_bar[t].sqrt() * x0 + (1 - SHORT.alpha_bar[t]).sqrt() * noise
        predicted = some_network(xt, t).requires_grad_()
        p = DDIM(DDPM(lambda xt, t, e=predicted: e, SHORT), eta).step(xt, t)
        term = kl_divergence(ddim.q.posterior(xt, x0, t), p) if t > 1 else -p.log_prob(x0)
        constant = 0 if t > 1 else math.log(2 * math.pi * SHORT.beta[1])
        weight = ddim.weight[t]
        assert_close(term, weight * (noise - predicted).square().sum(-1) + constant)
        (gradient,) = torch.autograd.grad(term.sum(), predicted)
        assert_close(gradient, 2 * weight * (predicted.detach() - noise))
    assert ddim.weight[0] == 0


def test_the_weights_with_eta_1_are_those_of_ddpm_and_others_are_larger_where_sigma_is_smaller():
    model = DDPM(some_network, LONG)
    assert_close(DDIM(model, 1).weight, variational_weight(LONG, model.sigma_squared))
    small, smaller = DDIM(model, 1e-3).weight[2:], DDIM(model, 1e-4).weight[2:]
    assert_close(smaller / small, torch.full_like(small, 100), rtol=1e-3, atol=0)


def test_with_eta_1_the_bound_is_that_of_ddpm_on_every_path(generator):
    """Of DDPM with the variance beta tilde: L_T + ... + L_0 as posterior_form sorts it, on the same path."""
    ddpm = DDPM(some_network, SHORT, "beta_tilde")
    ddim = DDIM(ddpm, 1.0)
    x0 = torch.randn(50, 2, generator=generator, **float64)
    path, _ = infer_path(ddim, x0, seeded())
    terms = elbo(ddim, x0, seeded()).terms
    assert_close(-terms, posterior_form(ddpm, path))
    assert_close(-terms.sum(0), forward_form(ddpm, path).sum(0))
    assert_close(bound_terms(ddim, x0, seeded()).each, bound_terms(ddpm, x0, seeded()).each)
    assert_close(kl_form(ddim, path), kl_form(ddpm, path))


@each_eta
def test_in_a_gaussian_world_every_term_has_a_closed_form(eta, generator):
    """The prediction is affine in x_t, so the residual x_{t-1} - mean of p is Gaussian under q."""
    ddim = DDIM(DDPM(exact_network(SHORT, 0.5, 0.25), SHORT), eta)
    n, x0 = 40_000, torch.tensor([[0.9]], **float64)
    zero, one = torch.zeros(1, 1, **float64), torch.ones(1, 1, **float64)
    exact, mean_p, variance_p = [], 0.0, 1.0
    for t in range(8, 0, -1):
        p = ddim.step(zero, t)
        shift, slope = p.mean.item(), (ddim.step(one, t).mean - p.mean).item()
        mean_p, variance_p = shift + slope * mean_p, slope**2 * variance_p + p.variance.item()
        mean, variance = SHORT.alpha_bar[t].sqrt().item() * 0.9, 1 - SHORT.alpha_bar[t].item()
        if t > 1:
            of_x0, of_xt, sigma = by_definition(SHORT, eta, t)
            off = of_x0 * 0.9 + (of_xt - slope) * mean - shift
            exact.append(-(off**2 + (of_xt - slope) ** 2 * variance) / (2 * sigma**2))
        else:
            off = 0.9 - slope * mean - shift
            beta = SHORT.beta[1].item()
            exact.append(-(off**2 + slope**2 * variance) / (2 * beta) - math.log(2 * math.pi * beta) / 2)
    prior = kl_divergence(Normal(SHORT.alpha_bar[8].sqrt() * 0.9, (1 - SHORT.alpha_bar[8]).sqrt()), Normal(zero, one))
    exact = torch.tensor([*exact[::-1], -prior.item()], **float64)
    bound = elbo(ddim, x0.expand(n, 1), generator)
    assert ((bound.terms.mean(1) - exact).abs() < 4.5 * bound.terms.std(1) / n**0.5 + 1e-12).all()
    closed = bound_terms(ddim, x0.expand(n, 1), generator).each
    assert ((-closed.mean(1) - exact).abs() < 4.5 * closed.std(1) / n**0.5 + 1e-12).all()
    log_p = Normal(mean_p, math.sqrt(variance_p)).log_prob(torch.tensor(0.9)).item()
    assert exact.sum() < log_p
    if eta == 1:
        weighted = importance_bound(ddim, x0.expand(n, 1), 8, generator)
        assert exact.sum() + 0.01 < weighted.mean() < log_p + 4.5 * weighted.std() / n**0.5
        drawn = sample_chain(ddim, torch.zeros(n, 1, **float64), generator)
        assert drawn.mean().item() == pytest.approx(mean_p, abs=4.5 * math.sqrt(variance_p / n))


def test_ddim_is_a_chain_walked_down_and_no_other():
    ddim = DDIM(DDPM(some_network, SHORT), 0.5)
    assert isinstance(ddim, TopDownChain)
    assert isinstance(ddim, DiffusionChain)
    assert not isinstance(ddim, Chain)
    assert not isinstance(ddim, FixedVarianceChain)
    assert not isinstance(ddim.model, TopDownChain)
    x0 = torch.zeros(3, 2)
    with pytest.raises(TypeError, match="chain must be a diffusion chain whose q goes up, got DDIMProcess"):
        forward_form(ddim, [x0] * 9)
    with pytest.raises(TypeError, match="sigma_squared, got DDIM"):
        one_step(ddim, x0)


def test_the_bound_can_be_trained(generator):
    network = NoiseMLP(SHORT, width=4)
    loss = -elbo(DDIM(DDPM(network, SHORT), 0.3), torch.randn(5, 2, generator=generator), generator).mean
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# Samplers, against those of diffusers and against each other


def theirs(scheduler, schedule):
    """A scheduler of diffusers, with tables in double precision, so that only what it does is compared."""
    scheduler.alphas_cumprod = schedule.alpha_bar[1:].clone()
    scheduler.final_alpha_cumprod = torch.tensor(1.0, **float64)
    scheduler.one = torch.tensor(1.0, **float64)
    return scheduler


def config(schedule, **more):
    return {"num_train_timesteps": schedule.T, "trained_betas": schedule.beta[1:].numpy()} | more


def loop(scheduler, x, **more):
    states = []
    for t in scheduler.timesteps:
        model_input = scheduler.scale_model_input(x, t)
        x = scheduler.step(some_network(model_input, int(t) + 1), t, x, **more).prev_sample
        states.append(x)
    return states


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_that_of_diffusers(eta, generator):
    scheduler = theirs(DDIMScheduler(**config(LONG, clip_sample=False, timestep_spacing="leading")), LONG)
    scheduler.set_timesteps(20)
    xT = torch.randn(7, 2, generator=generator, **float64)
    ours = list(walk(DDPM(some_network, LONG), xT, "ddim", 20, eta, range(1, 101, 5), generator=seeded()))
    assert [t for t, _ in ours] == [*range(96, 0, -5), 0]
    expected = loop(scheduler, xT, eta=eta, generator=seeded())
    # in the last step theirs draws noise of no size
    for (_, x), their in zip(ours[1:], expected, strict=True):
        assert_close(x, their, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("variance", "theirs_is"), [("beta_tilde", "fixed_small"), ("beta", "fixed_large")])
def test_ancestral_sampling_is_that_of_diffusers(variance, theirs_is, generator):
    scheduler = theirs(DDPMScheduler(**config(LONG, clip_sample=False, variance_type=theirs_is)), LONG)
    levels = [1, 2, 7, 30, 31, 80, 100]
    scheduler.set_timesteps(timesteps=[t - 1 for t in reversed(levels)])
    xT = torch.randn(7, 2, generator=generator, **float64)
    ours = walk(DDPM(some_network, LONG, variance), xT, "ancestral", 7, levels=levels, generator=seeded())
    for (_, x), their in zip(list(ours)[1:], loop(scheduler, xT, generator=seeded()), strict=True):
        assert_close(x, their, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("order", [2, 3])
def test_dpm_solver_is_that_of_diffusers(order, generator):
    kinds = {"algorithm_type": "dpmsolver++", "solver_order": order, "solver_type": "midpoint"}
    kinds |= {"final_sigmas_type": "zero", "lower_order_final": False}
    for levels in ([1, 5, 6, 20, 60, 100], list(range(5, 101, 5))):
        scheduler = theirs(DPMSolverMultistepScheduler(**config(LONG, **kinds)), LONG)
        scheduler.set_timesteps(timesteps=[t - 1 for t in reversed(levels)])
        scheduler.sigmas = torch.cat((LONG.kappa[levels].flip(0), torch.zeros(1, **float64)))
        xT = torch.randn(7, 2, generator=generator, **float64)
        ours = list(walk(DDPM(some_network, LONG), xT, f"dpmpp_{order}m", len(levels), levels=levels))
        for (_, x), their in zip(ours[1:], loop(scheduler, xT), strict=True):
            assert_close(x, their.double(), rtol=1e-5, atol=1e-9)


def test_heun_is_that_of_diffusers(generator):
    levels = [1, 5, 6, 20, 60, 100]
    scheduler = HeunDiscreteScheduler(**config(LONG))
    scheduler.set_timesteps(timesteps=[t - 1 for t in reversed(levels)])
    kappa = LONG.kappa[levels].flip(0)
    scheduler.sigmas = torch.cat((kappa[:1], kappa[1:].repeat_interleave(2), torch.zeros(1, **float64)))
    yT = kappa[0] * torch.randn(7, 2, generator=generator, **float64)
    ours = list(walk(DDPM(some_network, LONG), LONG.sqrt_alpha_bar[100] * yT, "heun", 11, levels=levels))
    # theirs has y and not x, and a state after each of the two calls of a step
    states = loop(scheduler, yT)
    for (t, x), their in zip(ours[1:], [*states[1::2], states[-1]], strict=True):
        assert_close(x / LONG.sqrt_alpha_bar[t], their.double(), rtol=1e-5, atol=1e-9)


def test_eulers_method_for_y_is_ddim_without_noise(generator):
    xT = torch.randn(7, 2, generator=generator, **float64)
    kappa, levels = LONG.kappa, [2, 10, 50, 100]
    y = xT / LONG.sqrt_alpha_bar[100]
    for now, below in itertools.pairwise([100, 50, 10, 2, 0]):
        slope = some_network(y * LONG.sqrt_alpha_bar[now], now)
        y = y + (kappa[below] - kappa[now]) * slope
    assert_close(sample(DDPM(some_network, LONG), xT, "ddim", 4, levels=levels), y)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde", "table"])
def test_ancestral_sampling_of_all_levels_is_the_walk_of_ddpm(variance, generator):
    table = torch.linspace(0.1, 0.02, 101, **float64)
    model = DDPM(some_network, LONG, table if variance == "table" else variance)
    xT = torch.randn(7, 2, generator=generator, **float64)
    ours = walk(model, xT, "ancestral", 100, generator=seeded())
    for (t, x), (s, y) in zip(ours, model.walk(xT, seeded()), strict=True):
        assert t == s
        assert_close(x, y)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_leaving_levels_out_is_ddpm_with_a_shorter_schedule(variance, generator):
    roll, levels = SwissRoll(), [1, 4, 30, 70, 100]
    model = DDPM(ExactNoise(roll, LONG), LONG, variance)
    fewer = on_levels(model, LONG.kappa[levels])
    assert fewer.variance == variance
    xT = torch.randn(7, 2, generator=generator, **float64)
    ours = sample(model, xT, "ancestral", 5, levels=levels, generator=seeded())
    assert_close(ours, fewer.sample(xT, seeded()), rtol=1e-6, atol=1e-8)
    for method in METHODS:
        calls = 9 if method == "heun" else 5
        assert_close(sample(model, xT, method, calls, levels=levels, generator=seeded()),
                     sample(fewer, xT, method, calls, generator=seeded()))  # fmt: skip


def test_ddim_with_eta_1_is_ancestral_sampling_with_the_smaller_variance(generator):
    model, xT = DDPM(some_network, LONG, "beta_tilde"), torch.randn(7, 2, generator=generator, **float64)
    ancestral = sample(model, xT, "ancestral", 10, generator=seeded())
    assert_close(sample(model, xT, "ddim", 10, eta=1, generator=seeded()), ancestral)


def test_a_step_of_the_sampler_is_a_draw_of_the_chain(generator):
    """With all levels, DDIM the sampler draws from the p of DDIM the chain; but for the last step, without noise."""
    model, xT = DDPM(some_network, SHORT), torch.randn(4, 2, generator=generator, **float64)
    chain, noise, x = DDIM(model, 0.6), seeded(), xT
    for t, after in list(walk(model, xT, "ddim", 8, 0.6, generator=seeded()))[1:]:
        p = chain.step(x, t + 1)
        x = p.mean + (p.stddev * torch.randn(x.shape, generator=noise, **float64) if t else 0)
        assert_close(after, x)


# What is counted, and what comes back


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 7, 16])
def test_calls_are_the_calls_of_the_network(method, calls):
    asked = []
    model = DDPM(lambda xt, t: asked.append(t) or torch.zeros_like(xt), LONG)
    states = list(walk(model, torch.ones(3, 2), method, calls))
    assert len(asked) == calls
    assert set(asked) == {t for t, _ in states[:-1]}
    times = [t for t, _ in states]
    assert times == sorted(set(times), reverse=True)
    assert times[0] == 100
    assert times[-1] == 0
    assert len(times) == 1 + (calls // 2 + 1 if method == "heun" else calls)


@pytest.mark.parametrize("method", METHODS)
def test_a_walk_starts_where_it_is_told_ends_at_the_sample_and_needs_no_gradient(method):
    network = NoiseMLP(SHORT, width=4)
    model, xT = DDPM(network, SHORT), torch.randn(5, 2, generator=seeded())
    states = list(walk(model, xT, method, 5, generator=seeded(3)))
    assert torch.equal(states[0][1], xT)
    assert torch.equal(states[-1][1], sample(model, xT, method, 5, generator=seeded(3)))
    assert not states[-1][1].requires_grad
    for dtype in (torch.float32, torch.float64):
        x = sample(DDPM(some_network, SHORT), xT.to(dtype), method, 5, generator=seeded(3))
        assert x.dtype == dtype
        assert x.shape == xT.shape


@pytest.mark.parametrize("method", WITHOUT_NOISE)
def test_single_precision_is_enough(method, generator):
    model = DDPM(some_network, Schedule.linear(T=1000))
    xT = torch.randn(50, 2, generator=generator, **float64)
    assert_close(sample(model, xT.float(), method, 20).double(), sample(model, xT, method, 20), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_more_calls_do_not_synchronise_more_often(method):
    seen = []
    for calls in (4, 12):
        model, xT, noise = DDPM(NoiseMLP(LONG, width=4), LONG), torch.zeros(5, 2), seeded()
        with Synchronisations() as found:
            for _ in walk(model, xT, method, calls, eta=0.5 if method == "ddim" else 0.0, generator=noise):
                pass
        seen.append(len(found.seen))
    assert seen[0] == seen[1] < 4  # looks at what is given, and at no more


# Levels


@pytest.mark.parametrize("spacing", ["uniform", "log_snr", "karras"])
@pytest.mark.parametrize("count", [1, 2, 3, 16, 99, 100])
def test_levels_rise_from_the_lowest_to_the_highest(spacing, count):
    levels = choose_levels(LONG, count, spacing)
    assert len(levels) == count
    assert levels == sorted(set(levels))
    assert levels[-1] == 100
    assert count == 1 or levels[0] == 1
    assert count < 100 or levels == list(range(1, 101))
    part = choose_levels(LONG, min(count, 30), spacing, lowest=20, highest=49)
    assert part[-1] == 49
    assert part[0] >= 20
    assert len(set(part)) == min(count, 30)


def test_levels_are_spaced_as_is_said():
    schedule = Schedule.linear(T=1000)
    even = torch.tensor(choose_levels(schedule, 11)).diff()
    assert even.max() - even.min() <= 1
    in_snr = schedule.log_snr[choose_levels(schedule, 11, "log_snr", lowest=30)].diff()
    assert in_snr.std() / in_snr.mean().abs() < 0.03
    rooted = schedule.kappa[choose_levels(schedule, 11, "karras", lowest=30, highest=700, rho=3)].pow(1 / 3).diff()
    assert rooted.std() / rooted.mean() < 0.03


def test_karras_levels_are_those_of_the_paper():
    """Their equation 5, whose index goes from the largest to the smallest."""
    i = np.arange(18)
    theirs = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert_close(karras_levels(18, 0.002, 80).numpy(), theirs[::-1].copy())
    assert karras_levels(1, 0.002, 80).tolist() == [80]


@pytest.mark.parametrize("second_moment", [None, 1.0])
def test_the_best_levels_are_the_best_of_all_choices(second_moment):
    """By trying all of them."""
    schedule = Schedule.linear(T=9, beta_1=0.02, beta_T=0.7)
    mmses = torch.cat((torch.ones(1, **float64), mmse(Clusters(), schedule.alpha_bar[1:])))
    for count in (1, 2, 4, 9):
        choices = [chosen for chosen in itertools.combinations(range(1, 10), count) if second_moment or chosen[-1] == 9]
        cost = [best_bound(schedule.alpha_bar[[*c]], mmses[[*c]], second_moment or 1.0) for c in choices]
        best = choices[int(np.argmin(cost))]
        assert best_levels(schedule, mmses, count, second_moment) == list(best)


def test_a_network_is_asked_at_the_levels_of_another_schedule(generator):
    network = NoiseMLP(LONG, width=8, generator=generator)
    torch.nn.init.normal_(network.layers[-1].weight, generator=generator)
    levels = [3, 20, 77]
    fewer = on_levels(DDPM(network, LONG), LONG.kappa[levels])
    assert fewer.schedule.T == 3
    assert_close(fewer.schedule.kappa[1:], LONG.kappa[levels])
    x = torch.randn(5, 2, generator=generator)
    for t, level in enumerate(levels, 1):
        assert_close(fewer.network(x, t), network(x, level))
    ours, theirs = list(network.parameters()), list(fewer.network.parameters())
    assert all(one is other for one, other in zip(ours, theirs, strict=True))
    assert network.schedule is LONG
    assert len(network.time) == 101
    doubled = NoiseMLP(LONG, width=8).double().on(SHORT)
    assert doubled(x.double(), 3).dtype == torch.float64
    between = on_levels(DDPM(network, LONG), torch.tensor([0.1, 1.0]))
    assert between.network(x, 1).isfinite().all()


def test_the_exact_noise_is_that_of_the_data(generator):
    roll, x = SwissRoll(), torch.randn(4, 2, generator=generator, **float64)
    exact = ExactNoise(roll, LONG)
    t = torch.tensor([1, 7, 50, 100])
    assert_close(exact(x, t), roll.expected_noise(x, LONG.alpha_bar[t]))
    for k in range(4):
        assert_close(exact(x[k : k + 1], int(t[k])), exact(x, t)[k : k + 1])
    assert exact(x.float(), 3).dtype == torch.float32


# Where to start, and how to end


def test_the_start_is_standard_normal_or_has_the_moments_of_the_noisy_points(generator):
    like = torch.empty(200_000, 2, **float64)
    points = torch.randn(500, 2, generator=generator, **float64) @ torch.tensor([[1.0, 0.5], [0.0, 0.2]], **float64) + 2
    plain = start(SHORT, like, generator=generator)
    assert_close(plain.mean(0), torch.zeros(2, **float64), atol=0.01, rtol=0)
    assert_close(plain.T.cov(), torch.eye(2, **float64), atol=0.015, rtol=0)
    for t in (1, 4, None):
        level = SHORT.alpha_bar[t or 8]
        x = start(SHORT, like, points, t, generator)
        assert_close(x.mean(0), level.sqrt() * points.mean(0), atol=0.01, rtol=0)
        expected = level * points.T.cov(correction=0) + (1 - level) * torch.eye(2, **float64)
        assert_close(x.T.cov(), expected, atol=0.015, rtol=0)


def test_half_of_the_last_noise_is_what_is_true_of_gaussian_data():
    """There the ODE has the solution y ∝ sqrt(s² + κ²): the jump is wrong by κ²/2s², a half by κ⁴."""
    s2 = 0.49
    errors = {}
    for kappa in (0.05, 0.1):
        schedule = Schedule.through(torch.tensor([1 / (1 + kappa**2)], **float64))
        model = DDPM(exact_network(schedule, 0.0, s2), schedule)
        x1 = torch.ones(1, 1, **float64)
        true = (x1 / schedule.sqrt_alpha_bar[1]).item() * math.sqrt(s2 / (s2 + kappa**2))
        for last in ("jump", "half"):
            errors[last, kappa] = abs(sample(model, x1, calls=1, last=last).item() - true)
    assert errors["jump", 0.1] / errors["jump", 0.05] == pytest.approx(4, rel=0.05)
    assert errors["half", 0.1] / errors["half", 0.05] == pytest.approx(16, rel=0.05)
    assert errors["half", 0.1] < errors["jump", 0.1] / 50


@pytest.mark.parametrize("method", METHODS)
def test_a_half_leaves_half_of_the_predicted_noise(method):
    model, xT = DDPM(some_network, SHORT), torch.ones(2, 2, **float64)
    *_, (t, x), (_, whole) = walk(model, xT, method, 5, generator=seeded())
    half = sample(model, xT, method, 5, last="half", generator=seeded())
    assert t == 1
    assert_close(half - whole, SHORT.kappa[1] / 2 * some_network(x, 1))


# Data that are noise, or have some of their own


@pytest.mark.parametrize("method", WITHOUT_NOISE)
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_data_that_are_noise_are_reached_without_error(method, calls, generator):
    """Of N(0, s²) the clean data are a point: the paths are straight, and any steps are right."""
    s = 0.3
    model = DDPM(exact_network(LONG, 0.0, s**2), LONG)
    xT = torch.randn(5, 1, generator=generator, **float64)
    levels = choose_levels(LONG, calls // 2 + 1 if method == "heun" else calls)
    for t, x in list(walk(model, xT, method, calls, levels=levels, data_noise=s)):
        y = x / LONG.sqrt_alpha_bar[t]
        shrunk = torch.hypot(LONG.kappa[t], torch.tensor(s)) / torch.hypot(LONG.kappa[100], torch.tensor(s))
        assert_close(y, shrunk * xT / LONG.sqrt_alpha_bar[100])


def test_with_new_noise_they_keep_their_spread(generator):
    s = 0.3
    model = DDPM(exact_network(LONG, 0.0, s**2), LONG)
    xT = (
        torch.randn(200_000, 1, generator=generator, **float64)
        * (LONG.alpha_bar[100] * s**2 + 1 - LONG.alpha_bar[100]).sqrt()
    )
    for eta in (0.0, 0.5, 1.0):
        x = sample(model, xT, calls=4, eta=eta, generator=generator, data_noise=s)
        assert x.std().item() == pytest.approx(s, rel=0.01)


@pytest.mark.parametrize("method", WITHOUT_NOISE)
def test_whatever_the_noise_of_the_data_is_taken_for_the_equation_is_the_same(method, generator):
    clusters = Clusters()
    schedule = Schedule.through(1 / (1 + karras_levels(300, 1e-3, 3).square()))
    model = DDPM(ExactNoise(clusters, schedule), schedule)
    xT = torch.randn(50, 2, generator=generator, **float64) * schedule.one_minus_alpha_bar[-1].sqrt()
    calls = 599 if method == "heun" else 300
    ends = [sample(model, xT, method, calls, data_noise=s) for s in (0.0, 0.05, 0.3)]
    far = 0.03 if method == "ddim" else 2e-3
    assert (ends[1] - ends[0]).abs().median() < far
    assert (ends[2] - ends[0]).abs().median() < far


def test_levels_can_be_even_where_the_noise_of_the_data_counts_as_noise():
    long = Schedule.linear(T=1000)
    kappa_tilde = lambda t: torch.hypot(long.kappa[t], torch.tensor(0.05, **float64))  # noqa: E731
    t = choose_levels(long, 8, "log_snr", highest=340, data_noise=0.05)
    ratios = kappa_tilde(t)[1:] / kappa_tilde(t)[:-1]
    assert_close(ratios, torch.full_like(ratios, (kappa_tilde(340).item() / 0.05) ** (1 / 8)), rtol=0.05, atol=0)
    # the data are the next level
    assert (kappa_tilde(t[0]) / 0.05).item() == pytest.approx(ratios[0].item(), rel=0.05)
    roots = kappa_tilde(choose_levels(long, 8, "karras", highest=340, rho=4, data_noise=0.05)) ** (1 / 4)
    assert_close(roots.diff(), torch.full_like(roots[1:], roots.diff().mean()), rtol=0.06, atol=0)
    assert min(choose_levels(long, 100, "log_snr", lowest=4, highest=340, data_noise=0.05)) == 4
    # and a walk chooses them so by itself
    model = DDPM(some_network, long)
    visited = [t for t, _ in walk(model, torch.ones(1, 2), calls=6, levels="log_snr", data_noise=0.05)]
    assert visited == [*reversed(choose_levels(long, 6, "log_snr", data_noise=0.05)), 0]


# How good they are


def at_the_lowest(model, xT, method, calls):
    """The state at the lowest level, before it is left."""
    *_, (t, x), _ = walk(model, xT, method, calls)
    return x / model.schedule.sqrt_alpha_bar[t]


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("heun", 2), ("dpmpp_2m", 2), ("dpmpp_3m", 2)])
def test_the_order_of_convergence_is_that_of_the_method(method, order, generator):
    """Against an adaptive solver of high order, for two peaks on a line; with the exact prediction."""
    peaks, highest, lowest = Peaks(), 3.0, 0.2
    yT = highest * torch.randn(20, 1, generator=generator, **float64)

    def slope(kappa, y):
        level = 1 / (1 + kappa**2)
        x = torch.from_numpy(y).unsqueeze(-1) * math.sqrt(level)
        return peaks.expected_noise(x, level).squeeze(-1).numpy()

    true = solve_ivp(slope, (highest, lowest), yT[:, 0].numpy(), "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    errors = []
    for count in (80, 160):
        schedule = Schedule.through(1 / (1 + karras_levels(count + 1, lowest, highest).square()))
        model = DDPM(lambda xt, t, s=schedule: peaks.expected_noise(xt, s.alpha_bar[t].item()), schedule)
        calls = 2 * count + 1 if method == "heun" else count + 1
        y = at_the_lowest(model, yT * schedule.sqrt_alpha_bar[-1], method, calls)
        errors.append(np.abs(y[:, 0].numpy() - true).mean())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)
    assert errors[1] < (0.02 if order == 1 else 0.001)


def test_with_the_exact_prediction_sixteen_calls_are_enough():
    """Started at κ = 2 from a Gaussian that fits, and left with half a step: the floor, where DDIM is far from it."""
    roll = SwissRoll()
    schedule = Schedule.through(1 / (1 + karras_levels(16, 0.03, 2, rho=4).square()))
    model = DDPM(ExactNoise(roll, schedule), schedule)
    xT = start(schedule, torch.empty(20_000, 2), roll.sample(20_000, seeded(0)), generator=seeded())
    x = sample(model, xT, "dpmpp_2m", 16, last="half")
    assert binned_kl(x, roll) < 0.003
    assert stray_share(x, roll) < 0.006
    assert binned_kl(sample(model, xT, "dpmpp_2m", 16, last="jump"), roll) > 0.01
    assert binned_kl(sample(model, xT, "ddim", 16, last="half"), roll) > 0.01


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, x: sample(m, x, calls=0), ValueError, "calls must be at least 1, got 0"),
        (lambda m, x: sample(m, x, calls=9), ValueError, "calls must be at most 8, got 9"),
        (lambda m, x: sample(m, x, "heun", calls=16), ValueError, "calls must be at most 15, got 16"),
        (lambda m, x: sample(m, x, calls=1.5), TypeError, "calls must be an integer"),
        (lambda m, x: sample(m, x, calls=4, eta=1.1), ValueError, "eta must be between 0 and 1, got 1.1"),
        (lambda m, x: sample(m, x, calls=4, eta=-0.1), ValueError, "eta must be between 0 and 1"),
        (lambda m, x: sample(m, x, "heun", 4, eta=0.5), ValueError, "eta must be 0 with the method 'heun', got 0.5"),
        (lambda m, x: sample(m, x, "ancestral", 4, eta=1), ValueError, "eta must be 0 with the method 'ancestral'"),
        (lambda m, x: sample(m, x, "euler", 4), ValueError, "method must be one of 'ddim', .* got 'euler'"),
        (lambda m, x: sample(m, x, calls=4, last="none"), ValueError, "last must be one of 'jump', 'half'"),
        (lambda m, x: sample(m, x, calls=4, levels="evenly"), ValueError, "levels must be one of 'uniform'"),
        (lambda m, x: sample(m, x, calls=2, levels=[3]), ValueError, "levels must be 2 rising integers for 2 calls"),
        (lambda m, x: sample(m, x, calls=2, levels=[3, 3]), ValueError, "levels must be 2 rising integers"),
        (lambda m, x: sample(m, x, calls=2, levels=[3, 9]), ValueError, "each of levels must be at most 8, got 9"),
        (lambda m, x: sample(m, x, calls=2, levels=[0, 3]), ValueError, "each of levels must be at least 1, got 0"),
        (lambda m, x: sample(m, x[0]), ValueError, r"xT must have shape \(n, D\)"),
        (lambda m, x: sample(m, x * math.nan), ValueError, "xT must be finite"),
        (lambda m, x: sample(some_network, x), TypeError, "model must be a DDPM"),
        (
            lambda m, x: sample(DDPM(some_network, SHORT, SHORT.beta + 0.1), x, "ancestral", 4),
            ValueError,
            "model must have a variance with a name if levels are left out, got a torch.float64 tensor",
        ),
        (lambda m, x: sample(m, x, calls=4, data_noise=-0.1), ValueError, "data_noise must be positive and finite"),
        (lambda m, x: sample(m, x, calls=4, data_noise="s"), TypeError, "data_noise must be a number"),
        (lambda m, x: sample(m, x, "ancestral", 4, data_noise=0.1), ValueError, "data_noise must be 0 with the anc"),
        (lambda m, x: sample(m, x, calls=4, last="half", data_noise=0.1), ValueError, "data_noise must be 0 with"),
        (lambda m, x: choose_levels(SHORT, 4, data_noise=0.1), ValueError, "data_noise must be 0 with the spacing"),
        (lambda m, x: DDIM(m, 0.0), ValueError, "eta must be positive and finite, got 0"),
        (lambda m, x: DDIM(m, 1.5), ValueError, "eta must be between 0 and 1, got 1.5"),
        (lambda m, x: DDIM(some_network, 1.0), TypeError, "model must be a DDPM"),
        (lambda m, x: DDIM(m, 1.0).infer_below(x, x, 1), ValueError, "i must be at least 2, got 1"),
        (lambda m, x: DDIM(m, 1.0).generate(x, 9), ValueError, "i must be at most 8, got 9"),
        (lambda m, x: elbo(DDIM, x), TypeError, "chain must have length, prior"),
        (lambda m, x: DDIMProcess(SHORT, 0.5).posterior(x, x, 1), ValueError, "t must lie in 2, ..., 8, got 1"),
        (lambda m, x: choose_levels(SHORT, 9), ValueError, "count must be at most 8, got 9"),
        (lambda m, x: choose_levels(SHORT, 3, lowest=5, highest=4), ValueError, "lowest must be at most 4, got 5"),
        (lambda m, x: karras_levels(3, 2.0, 1.0), ValueError, "smallest must be below largest, got 2.0 and 1.0"),
        (lambda m, x: on_levels(m, torch.tensor([1.0])), TypeError, r"model must have a network with on\(schedule\)"),
        (lambda m, x: on_levels(m, torch.tensor([1.0, 0.5])), ValueError, "kappa must rise"),
        (lambda m, x: on_levels(m, torch.tensor([0.0, 0.5])), ValueError, "kappa must be positive numbers"),
        (
            lambda m, x: on_levels(DDPM(some_network, SHORT, SHORT.beta + 0.1), torch.ones(1)),
            ValueError,
            "model must have a variance with a name, got a torch.float64 tensor",
        ),
        (lambda m, x: start(SHORT, x, points=x[:1]), ValueError, "points must hold at least 2 points, got 1"),
        (lambda m, x: start(SHORT, x, t=9), ValueError, "t must be at most 8, got 9"),
        (lambda m, x: best_levels(SHORT, torch.ones(8), 3), ValueError, r"mmses must hold T \+ 1 = 9 values"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(DDPM(some_network, SHORT), torch.zeros(3, 2))
