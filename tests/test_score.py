"""The score and continuous time: against closed forms, autograd, scipy's solvers, and densities that are known."""

from __future__ import annotations

import itertools
import math
from collections import deque

import pytest
import torch
from scipy.integrate import quad, solve_ivp
from synchronisations import Synchronisations
from test_ddpm import some_network
from test_schedule_best_levels import Normal
from torch.testing import assert_close

from diffusion_notes.data import Clusters, Peaks
from diffusion_notes.ddpm import DDPM
from diffusion_notes.fitting import train
from diffusion_notes.metrics import binned_kl
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import Prediction
from diffusion_notes.samplers import DDIMProcess, ExactNoise, choose_levels, on_levels, sample, walk
from diffusion_notes.schedule import Schedule, best_bound, log_snr_levels, mmse
from diffusion_notes.score import (
    ContinuousSchedule,
    annealed_langevin,
    bound_mixture,
    continuous_bound,
    denoising_score_matching,
    divergence,
    entropy_from_losses,
    forward_sde,
    implicit_score_matching,
    marginal_change,
    network_losses,
    noise_from_velocity,
    ode_log_prob,
    reverse_sde,
    straightness,
    velocity_from_noise,
)
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
CLOCKS = ["linear", "cosine", "log_snr", "flow"]
LONG = Schedule.linear(T=1000)
each_clock = pytest.mark.parametrize("clock", CLOCKS)


def between(clock, first=0.9999, last=1e-4, T=3.0):
    return ContinuousSchedule(clock, T, first, last)


def exact(data, schedule=LONG):
    return DDPM(ExactNoise(data, schedule), schedule)


def small_network(seed=0):
    """With a last layer that is not zero, so that it is no linear map."""
    network = NoiseMLP(LONG, width=16, depth=2, features=4, generator=torch.Generator().manual_seed(seed)).double()
    torch.nn.init.normal_(network.layers[-1].weight, std=0.1, generator=torch.Generator().manual_seed(seed))
    return network.requires_grad_(False)


def small_model(seed=0):
    return DDPM(small_network(seed), LONG)


# Levels in continuous time


@each_clock
def test_the_ends_are_those_that_were_asked_for(clock):
    schedule = between(clock)
    ends = schedule.alpha_bar(torch.tensor([0.0, 3.0], **float64))
    assert_close(ends, torch.tensor([0.9999, 1e-4], **float64))
    assert schedule.alpha_bar(3).item() == pytest.approx(1e-4)


@each_clock
def test_what_follows_from_a_level(clock):
    schedule = between(clock)
    time = torch.linspace(0, 3, 50, **float64)
    level = schedule.alpha_bar(time)
    assert bool((level.diff() < 0).all())
    assert_close(schedule.log_snr(time), level.logit())
    assert_close(schedule.kappa(time), ((1 - level) / level).sqrt())


@each_clock
def test_beta_is_how_fast_log_alpha_bar_falls(clock):
    schedule = between(clock)
    time = torch.linspace(0.01, 2.99, 50, **float64).requires_grad_()
    (slope,) = torch.autograd.grad(schedule.alpha_bar(time).log().sum(), time)
    assert_close(schedule.beta(time), -slope)


@pytest.mark.parametrize("first", [1.0, 0.99])
def test_each_clock_is_even_in_what_its_name_says(first):
    time = torch.linspace(0, 3, 20, **float64)

    def is_even(values):
        assert_close(values.diff(), values.diff()[:1].expand(19))

    is_even(between("linear", first).beta(time))
    is_even(between("cosine", first).alpha_bar(time).sqrt().acos())
    kappa = between("flow", first).kappa(time)
    is_even(kappa / (1 + kappa))
    is_even(between("log_snr", 0.99).log_snr(time))
    rates = between("linear", first).beta(time)
    assert (rates[-1] / rates[0]).item() == pytest.approx(200)


def test_without_noise_at_its_start_it_begins_with_the_data():
    for clock in ("linear", "cosine", "flow"):
        schedule = ContinuousSchedule(clock)
        assert schedule.alpha_bar(0).item() == 1
        assert schedule.kappa(0).item() == 0
        assert schedule.log_snr(0).item() == math.inf
        assert schedule.beta(0).isfinite()
    with pytest.raises(ValueError, match="first must be below 1 with the clock 'log_snr'"):
        ContinuousSchedule("log_snr")


def test_its_steps_are_a_schedule():
    schedule = between("cosine")
    steps = schedule.steps(7)
    assert_close(steps.alpha_bar[1:], schedule.alpha_bar(torch.linspace(0, 3, 7, **float64)))
    whole = ContinuousSchedule("cosine", T=3.0)
    assert_close(whole.steps(6).alpha_bar, whole.alpha_bar(torch.linspace(0, 3, 7, **float64)))


def test_the_linear_one_is_that_of_ho_et_al_but_for_the_length_of_the_steps():
    continuous = ContinuousSchedule("linear", T=1000, last=LONG.alpha_bar[-1].item())
    levels = continuous.steps(1000).alpha_bar
    assert_close(levels.log(), LONG.alpha_bar.log(), rtol=0.02, atol=2e-3)


# What the score may be learned from


def field(x):
    return torch.stack((x[:, 0].sin() * x[:, 1], x.square().sum(-1)), -1)


def test_the_divergence_is_the_trace_of_the_jacobian(generator):
    x = torch.randn(7, 2, generator=generator, **float64)
    value, found = divergence(field, x)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: field(point[None])[0]))(x)
    assert_close(value, field(x))
    assert_close(found, jacobian.diagonal(dim1=-2, dim2=-1).sum(-1))


def test_hutchinsons_estimate_is_the_mean_of_quadratic_forms(generator):
    x = torch.randn(7, 2, generator=generator, **float64)
    probes = torch.randn(3, 7, 2, generator=generator, **float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: field(point[None])[0]))(x)
    assert_close(divergence(field, x, probes)[1], torch.einsum("kni,nij,knj->n", probes, jacobian, probes) / 3)
    unit = math.sqrt(2) * torch.eye(2, **float64)[:, None].expand(2, 7, 2)
    assert_close(divergence(field, x, unit)[1], divergence(field, x)[1])


def test_a_field_that_is_the_same_everywhere_has_no_divergence():
    value, found = divergence(torch.ones_like, torch.zeros(3, 2))
    assert value.tolist() == [[1, 1]] * 3
    assert found.tolist() == [0, 0, 0]


def test_without_gradients_nothing_is_left_to_differentiate():
    with torch.no_grad():
        value, found = divergence(field, torch.ones(3, 2))
    assert not value.requires_grad
    assert not found.requires_grad


@pytest.mark.parametrize("t", [30, 300])
def test_denoising_score_matching_is_score_matching_up_to_a_constant(t, generator):
    """The difference of two networks, which is that of their errors; both are given the same noise."""
    n, data = 200_000, Clusters()
    level = LONG.alpha_bar[t].item()
    x0 = data.sample(n, generator, **float64)
    losses, errors = [], []
    for model in (small_model(0), small_model(1)):
        losses.append(denoising_score_matching(model, x0, t, torch.Generator().manual_seed(1)))

        def error(x, model=model):
            guess = Prediction(LONG, x, t, model.predict(x, t)).score
            return (guess - data.diffuse(level).score(x)).square().sum(-1)

        errors.append(data.diffuse(level).expect(error))
    apart = losses[0] - losses[1]
    assert abs(apart.mean() - (errors[0] - errors[1])) < 4.5 * apart.std() / n**0.5


@pytest.mark.parametrize("t", [30, 300])
def test_hyvarinens_is_score_matching_less_the_fisher_information(t):
    data, model = Clusters(), small_model()
    now = data.diffuse(LONG.alpha_bar[t].item())

    def terms(x):
        guess = Prediction(LONG, x, t, model.predict(x, t)).score
        score = now.score(x)
        implicit = implicit_score_matching(model, x, t)
        return torch.stack((implicit, (guess - score).square().sum(-1), score.square().sum(-1)), -1)

    implicit, explicit, fisher = now.expect(terms)
    assert_close(implicit, explicit - fisher, rtol=1e-6, atol=1e-6)


def test_each_point_may_have_a_time_of_its_own(generator):
    x, t = torch.randn(4, 2, generator=generator, **float64), torch.tensor([1, 10, 100, 1000])
    model = small_model()
    together = implicit_score_matching(model, x, t)
    alone = [implicit_score_matching(model, x[i : i + 1], t[i].item()) for i in range(4)]
    assert_close(together, torch.cat(alone))
    together = denoising_score_matching(model, x, t, torch.Generator().manual_seed(0))
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), **float64)
    xt = LONG.at("sqrt_alpha_bar", t, x) * x + LONG.at("sqrt_one_minus_alpha_bar", t, x) * noise
    assert_close(together, (Prediction(LONG, xt, t, model.predict(xt, t)).score + noise / (
        LONG.at("sqrt_one_minus_alpha_bar", t, x)
    )).square().sum(-1))  # fmt: skip


def test_hyvarinens_can_be_differentiated_by_the_parameters(generator):
    model = DDPM(small_network(), LONG)
    weight = model.network.layers[0].weight.requires_grad_()
    x = torch.randn(5, 2, generator=generator, **float64)

    def loss():
        return implicit_score_matching(model, x, 300).mean()

    loss().backward()
    step = 1e-6
    with torch.no_grad():
        weight[1, 0] += step
        above = loss()
        weight[1, 0] -= 2 * step
        below = loss()
    assert weight.grad[1, 0].item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-5)


# Walks


def test_langevin_at_one_level_goes_to_the_law_that_its_steps_have(generator):
    """Where all is Gaussian a step is y' = (1 - a) y + noise, whose variance in the end is known."""
    n, delta, t = 40_000, 0.2, 400
    kappa = LONG.kappa[t].item()
    variance = 0.5 + kappa**2
    ((seen, xt),) = annealed_langevin(
        exact(Normal(0.5)), torch.zeros(n, 2, **float64), [t], 150, delta, generator
    )  # fmt: skip
    h = delta * kappa**2
    expected = h / (1 - (1 - h / 2 / variance) ** 2) / (1 + kappa**2)
    assert seen == t
    assert xt.square().mean().item() == pytest.approx(expected, rel=4.5 * (1 / n) ** 0.5)


def test_langevin_takes_y_along_to_the_next_level(generator):
    silent = DDPM(lambda xt, t: torch.zeros_like(xt), LONG)
    start = torch.randn(4, 2, generator=generator, **float64)
    (_, first), (_, second) = annealed_langevin(silent, start, [900, 10], 1, 1e-20, generator)
    signal = LONG.sqrt_alpha_bar
    assert_close(first, start)
    assert_close(second, start / signal[900] * signal[10])


def test_annealed_langevin_finds_all_clusters_in_their_shares(generator):
    levels = choose_levels(LONG, 15, "log_snr", highest=900)[::-1]
    model = exact(Clusters())
    start = torch.randn(3000, 2, generator=generator)
    *_, (_, x) = annealed_langevin(model, start, levels, 100, 0.2, generator)
    assert binned_kl(x, Clusters()) < 0.05
    memoryless = next(annealed_langevin(model, start, [1], 100, 0.2, generator))[1]
    assert binned_kl(memoryless, Clusters()) > 1


@each_clock
def test_the_forward_sde_has_the_marginals(clock, generator):
    n, schedule = 20_000, between(clock, first=0.999, last=0.05, T=1.0)
    x0 = torch.tensor([[0.7, -1.1]], **float64).expand(n, 2)
    seen = dict(forward_sde(schedule, x0, 400, generator))
    for k in (100, 200, 400):
        left = schedule.alpha_bar(k / 400).item() / 0.999
        x = seen[k]
        assert_close(x.mean(0), math.sqrt(left) * x0[0], rtol=0, atol=0.04)
        assert_close(x.var(0), torch.full((2,), 1 - left, **float64), rtol=0.04, atol=0)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 1.7])
def test_the_walk_back_has_the_variance_that_its_steps_have(eta):
    """Where all is Gaussian, in closed form, step by step; with many steps it is that of q(x_t)."""
    schedule, n, steps = between("cosine", 1.0, 0.01, T=1.0), 10_000, 400
    generator = torch.Generator().manual_seed(2)
    end = 0.01 * 0.3 + 0.99
    xT = math.sqrt(end) * torch.randn(n, 2, generator=generator, **float64)
    walk_back = reverse_sde(exact(Normal(0.3)), schedule, xT, steps, eta, generator)
    variance, h = end, 1 / steps
    for k, x in walk_back:
        time = k / steps
        if k % 100 == 0:
            assert x.square().mean().item() == pytest.approx(variance, rel=4.5 * (1 / n) ** 0.5)
            level = schedule.alpha_bar(time).item()
            assert variance == pytest.approx(level * 0.3 + 1 - level, rel=0.05)
        if k > 0:
            level, rate = schedule.alpha_bar(time).item(), schedule.beta(time).item()
            factor = 1 + h / 2 * rate * (1 - (1 + eta**2) / (level * 0.3 + 1 - level))
            variance = factor**2 * variance + eta**2 * h * rate


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_walk_back_ends_with_the_data(eta, generator):
    clusters = Clusters()
    schedule = ContinuousSchedule("cosine", T=1.0, last=1e-4)
    start = torch.randn(4000, 2, generator=generator)
    _, x = deque(reverse_sde(exact(clusters), schedule, start, 300, eta, generator), maxlen=1).pop()
    assert binned_kl(x, clusters) < 0.08
    if eta == 0:
        _, again = deque(reverse_sde(exact(clusters), schedule, start, 300, eta), maxlen=1).pop()
        assert torch.equal(x, again)


def test_eta_is_that_of_ddim_in_the_limit_of_small_steps():
    schedule = ContinuousSchedule("linear", T=1.0, last=1e-3)
    fine = schedule.steps(100_000)
    t = 50_000
    rate = schedule.beta(0.5).item() / 100_000
    assert DDIMProcess(fine, 0.6).sigma[t].item() == pytest.approx(0.6 * math.sqrt(rate), rel=1e-3)


# The equations of motion


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("data", [Clusters(), SwissRoll()], ids=["clusters", "roll"])
def test_sde_and_ode_move_the_density_as_it_moves(data, eta, generator):
    for level in (0.99, 0.7, 0.1):
        x = data.diffuse(level).sample(40, generator, **float64)
        seen, said = marginal_change(data, x, level, eta)
        assert_close(seen, said, rtol=1e-5, atol=1e-6)


def test_the_change_is_the_derivative_in_the_level(generator):
    """By autograd, through the density of the roll."""
    x = SwissRoll().diffuse(0.6).sample(20, generator, **float64)
    level = torch.full((20,), 0.6, **float64, requires_grad=True)
    (slope,) = torch.autograd.grad(SwissRoll().diffuse(level).log_prob(x).sum(), level)
    assert_close(marginal_change(SwissRoll(), x, 0.6)[0], -0.6 * slope, rtol=1e-7, atol=1e-7)


# log p by the ODE


def test_of_a_gaussian_it_is_known(generator):
    data = Normal(0.4)
    x = math.sqrt(0.4) * torch.randn(20, 2, generator=generator, **float64)
    prior = data.diffuse(LONG.alpha_bar[-1].item()).log_prob
    found = ode_log_prob(exact(data), x, steps=128, lowest=1e-4, log_prior=prior)
    assert_close(found.value, data.log_prob(x), rtol=0, atol=1e-4)
    # the map of a Gaussian to a wider one is a scaling
    width = math.sqrt((LONG.alpha_bar[-1] * 0.4 + LONG.one_minus_alpha_bar[-1]).item() / 0.4)
    assert_close(found.latent, width * x, rtol=1e-4, atol=0)


@pytest.mark.parametrize("data", [Clusters(), SwissRoll(noise=0.1)], ids=["clusters", "roll"])
def test_of_known_data_it_is_their_density(data, generator):
    x = data.sample(40, generator, **float64)
    prior = data.diffuse(LONG.alpha_bar[-1].item()).log_prob
    found = ode_log_prob(exact(data), x, steps=96, lowest=1e-3, log_prior=prior)
    away = (found.value - data.log_prob(x)).abs()
    assert away.max() < 2e-3
    assert away.median() < 5e-5


def test_the_estimate_of_the_error_is_of_its_size(generator):
    data = Clusters()
    x = data.sample(40, generator, **float64)
    prior = data.diffuse(LONG.alpha_bar[-1].item()).log_prob
    found = ode_log_prob(exact(data), x, steps=32, lowest=1e-3, log_prior=prior)
    true = (found.value - data.log_prob(x)).abs()
    ratio = (found.error / true).log().mean().exp()
    assert 0.1 < ratio < 10
    finer = ode_log_prob(exact(data), x, steps=64, lowest=1e-3, log_prior=prior)
    assert finer.error.median() < found.error.median() / 6


def test_of_a_network_it_is_what_another_solver_finds(generator):
    """SciPy's, with an adaptive step, and the trace of the whole Jacobian."""
    network = small_network()
    model = DDPM(network, LONG)
    x = torch.tensor([[0.5, -0.3]], **float64)
    found = ode_log_prob(model, x, steps=128)
    low, high = (math.log(LONG.kappa[t].item()) for t in (1, 1000))

    def noise(y, kappa):
        asked = on_levels(model, torch.tensor([kappa], **float64))
        return asked.predict(y / math.sqrt(1 + kappa**2), 1)

    def rate(state, kappa):
        y = torch.tensor(state[:2], **float64)[None]
        trace = torch.autograd.functional.jacobian(lambda point: noise(point[None], kappa)[0], y[0]).trace()
        return [*noise(y, kappa)[0].tolist(), trace.item()]

    options = {"rtol": 1e-7, "atol": 1e-8}
    first = solve_ivp(
        lambda w, state: [each * w / math.exp(low) for each in rate(state, math.exp(low))],
        (0, math.exp(low)), [*x[0].tolist(), 0.0], **options,
    )  # fmt: skip
    rest = solve_ivp(
        lambda u, state: [each * math.exp(u) for each in rate(state, math.exp(u))],
        (low, high), first.y[:, -1], **options,
    )  # fmt: skip
    *y, volume = rest.y[:, -1]
    signal = LONG.sqrt_alpha_bar[-1].item()
    latent = signal * torch.tensor(y, **float64)
    normal = -latent.square().sum().item() / 2 - math.log(2 * math.pi)
    assert_close(found.latent[0], latent, rtol=1e-5, atol=1e-6)
    assert found.value.item() == pytest.approx(normal + 2 * math.log(signal) + volume, abs=1e-5)


def test_it_is_the_density_of_what_the_sampler_makes():
    """It integrates to one, and its latents lead back."""
    model = small_model()
    axis = torch.linspace(-4.5, 4.5, 61, **float64)
    x = torch.cartesian_prod(axis, axis)
    found = ode_log_prob(model, x, steps=24)
    assert (found.value.exp().sum() * (axis[1] - axis[0]) ** 2).item() == pytest.approx(1, abs=0.01)
    some = ode_log_prob(model, x[::100]).latent
    levels = torch.linspace(math.log(LONG.kappa[1]), math.log(LONG.kappa[-1]), 400, **float64).exp()
    back = sample(on_levels(model, levels), some, "heun", 799, levels=range(1, 401), last="half")
    assert_close(back, x[::100], rtol=0, atol=2e-3)


def test_hutchinsons_estimate_of_it(generator):
    """With the unit vectors for z it is the exact one; with random signs it scatters about it."""
    model = small_model()
    x = torch.randn(6, 2, generator=generator, **float64)
    true = ode_log_prob(model, x, steps=16)
    unit = math.sqrt(2) * torch.eye(2, **float64)[:, None].expand(2, 6, 2)
    assert_close(ode_log_prob(model, x, steps=16, probes=unit).value, true.value)
    many = x.repeat_interleave(300, 0)
    signs = torch.randint(2, (1, len(many), 2), generator=generator).double() * 2 - 1
    rough = ode_log_prob(model, many, steps=16, probes=signs).value.view(6, 300)
    assert bool(((rough.mean(1) - true.value).abs() < 4.5 * rough.std(1) / 300**0.5).all())
    assert bool((rough.std(1) > 1e-3).all())


def test_nothing_is_looked_at_within_the_loop():
    model = small_model()
    x = torch.zeros(3, 2, **float64)
    counts = []
    for steps in (4, 12):
        with Synchronisations() as watch:
            ode_log_prob(model, x, steps)
            list(reverse_sde(model, ContinuousSchedule(), x, steps))
            list(annealed_langevin(model, x, [900, 1], steps))
        counts.append(len([name for name in watch.seen if name != "tolist"]))
    assert counts[0] == counts[1]


# The bound as an integral


def test_the_losses_of_a_network_by_quadrature(generator):
    n, data, model = 100_000, Clusters(), small_model()
    levels = LONG.alpha_bar[[20, 300]]
    smallest, excess = network_losses(model, data, levels)
    assert_close(smallest, levels / (1 - levels) * mmse(data, levels))
    x0 = data.sample(n, generator, **float64)
    for k, t in enumerate((20, 300)):
        loss = (1 - levels[k]) * denoising_score_matching(model, x0, t, generator)
        assert abs(loss.mean() - smallest[k] - excess[k]) < 4.5 * loss.std() / n**0.5


def smallest_losses(data):
    return lambda levels: levels / (1 - levels) * mmse(data, levels)


def test_the_entropy_of_known_data_from_their_losses():
    for noise in (0.05, 0.08):
        data = Clusters(noise)
        assert entropy_from_losses(smallest_losses(data), 2, nodes=56) == pytest.approx(data.entropy().item(), abs=1e-4)
    roll = SwissRoll(noise=0.2)
    assert entropy_from_losses(roll.noise_mmse, 2, reach=20, nodes=40) == pytest.approx(roll.entropy().item(), abs=1e-4)


def test_the_entropy_on_a_line_against_scipy():
    peaks = Peaks(noise=0.3, share=0.2)

    def losses(levels):
        each = []
        for level in levels.tolist():
            now = peaks.diffuse(level)
            each.append(1 - (1 - level) * now.expect(lambda x, now=now: now.score(x).square().sum(-1)))
        return torch.stack(each)

    def integrand(x):
        log_density = peaks.log_prob(torch.tensor([[x]], **float64)).item()
        return -math.exp(log_density) * log_density

    entropy, _ = quad(integrand, -4, 4, limit=200, points=[-1, 1])
    assert entropy_from_losses(losses, 1) == pytest.approx(entropy, abs=1e-6)


def test_the_bound_of_a_perfect_network_is_the_entropy_of_what_is_left_of_the_data():
    data, first, last = Clusters(), 0.99, 0.05
    bound = continuous_bound(smallest_losses(data), 2, 1 + 2 * 0.08**2, first, last, reconstruct=False)
    left = data.diffuse(first).entropy().item() - math.log(first)
    end = data.diffuse(last)
    prior = end.expect(lambda x: end.log_prob(x) + x.square().sum(-1) / 2 + math.log(2 * math.pi)).item()
    assert bound == pytest.approx(left + prior, abs=1e-5)


def test_it_is_the_limit_of_many_steps():
    """Of the best chain of so many layers, which is a sum and knows nothing of an integral."""
    data, second = Clusters(), 1 + 2 * 0.08**2
    limit = continuous_bound(smallest_losses(data), 2, second, first=0.999, last=0.01)
    gaps = []
    for count in (25, 50, 100):
        levels = log_snr_levels(count, first=0.999, last=0.01)
        gaps.append(best_bound(levels, mmse(data, levels), second) - limit)
    # what the best variance of the last step gains over the decoder's does not go away
    apart = [above - below for above, below in itertools.pairwise(gaps)]
    assert all(step > 0 for step in apart)
    assert apart[0] / apart[1] == pytest.approx(2, rel=0.1)


def test_a_falling_weight_makes_a_mixture_of_bounds():
    """The weighted loss, as a sum of integrals from minus infinity, up to each level of the staircase."""
    log_snr = torch.linspace(-12, 12, 1201, **float64)
    weight = 1 / (1 + (log_snr / 2).exp())
    mass = bound_mixture(log_snr, weight)
    assert bool((mass >= 0).all())
    assert mass.sum().item() == pytest.approx(weight[0].item())

    def loss(level):
        return 2 * level  # of a standard normal

    def area(up_to):  # half the integral of 2 sigmoid
        return math.log1p(math.exp(up_to))

    mixture = sum(each * area(place) for each, place in zip(mass.tolist(), log_snr.tolist(), strict=True))
    steps = [area(log_snr[0].item())] + [
        area(b) - area(a) for a, b in itertools.pairwise(log_snr.tolist())
    ]  # fmt: skip
    weighted = sum(w * step for w, step in zip(weight.tolist(), steps, strict=True))
    assert mixture == pytest.approx(weighted)
    smooth, _ = quad(lambda place: loss(1 / (1 + math.exp(-place))) / 2 / (1 + math.exp(place / 2)), -40, 60)
    assert mixture == pytest.approx(smooth, rel=0.01)


def test_a_weight_that_rises_makes_none():
    with pytest.raises(ValueError, match="weight must not be negative or rise"):
        bound_mixture(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.6]))


# Flow matching


def test_velocity_and_noise_say_the_same(generator):
    x0, noise = torch.randn(2, 9, 2, generator=generator, **float64)
    tau = torch.rand(9, generator=generator, **float64)
    x = (1 - tau)[:, None] * x0 + tau[:, None] * noise
    assert_close(velocity_from_noise(x, tau, noise), noise - x0)
    assert_close(noise_from_velocity(x, tau, noise - x0), noise)
    assert_close(velocity_from_noise(x, 0.0, noise), noise - x)


def test_the_curves_are_those_of_the_ode_under_another_name(generator):
    """The velocity is the slope of (1 - tau) y, with y on the ODE."""
    model = exact(Clusters())
    kappa = torch.linspace(0.5, 0.6, 101, **float64)
    path = dict(walk(on_levels(model, kappa), torch.randn(5, 2, generator=generator, **float64), "heun", 201,
                     levels=range(1, 102)))  # fmt: skip
    tau = kappa / (1 + kappa)
    curve = torch.stack([(1 - tau[t - 1]) * path[t] * (1 + kappa[t - 1] ** 2).sqrt() for t in range(1, 102)])
    slope = (curve[51] - curve[49]) / (tau[51] - tau[49])
    asked = on_levels(model, kappa)
    velocity = velocity_from_noise(curve[50], tau[50].item(), asked.predict(path[51], 51))
    assert_close(slope, velocity, rtol=1e-4, atol=1e-4)


def test_eulers_step_with_the_velocity_is_ddims(generator):
    model = exact(Clusters())
    taus = torch.linspace(0.02, 0.98, 12, **float64)
    kappa = taus / (1 - taus)
    asked = on_levels(model, kappa)
    signal = asked.schedule.sqrt_alpha_bar
    xT = torch.randn(20, 2, generator=generator, **float64)
    ddim = dict(walk(asked, xT, "ddim", 12))
    x = (1 - taus[-1]) / signal[-1] * xT
    for t in range(12, 1, -1):
        tau, below = taus[t - 1].item(), taus[t - 2].item()
        velocity = velocity_from_noise(x, tau, asked.predict(signal[t] * x / (1 - tau), t))
        x = x + (below - tau) * velocity
        assert_close(signal[t - 1] * x / (1 - below), ddim[t - 1])


def test_one_switch_trains_the_velocity(generator):
    """The loss is the squared error of the velocity, from the same draws."""
    schedule = ContinuousSchedule("flow", first=1.0, last=1e-6).steps(50)
    model = DDPM(some_network, schedule, objective="flow")
    x0 = torch.randn(100, 2, generator=generator, **float64)
    loss = model.loss(x0, torch.Generator().manual_seed(1))
    draws = torch.Generator().manual_seed(1)
    t = torch.randint(1, 51, (100,), generator=draws)
    noise = torch.randn(100, 2, generator=draws, **float64)
    kappa = schedule.kappa[t]
    tau = kappa / (1 + kappa)
    x = (1 - tau)[:, None] * x0 + tau[:, None] * noise
    xt = x / ((1 - tau).square() + tau.square()).sqrt()[:, None]
    velocity = velocity_from_noise(x, tau, some_network(xt, t))
    assert_close(loss, (noise - x0 - velocity).square().sum(-1).mean())


def test_it_learns(generator):
    schedule = ContinuousSchedule("flow", first=1.0, last=1e-5).steps(200)
    network = NoiseMLP(schedule, width=32, depth=2, generator=generator)
    model = DDPM(network, schedule, objective="flow")
    x = Clusters().sample(4000, generator)
    losses = [state.loss.item() for state in train(model, x, steps=300, generator=generator, progress=False)]
    assert sum(losses[-50:]) < 0.95 * sum(losses[:50])


def test_how_straight_a_path_is():
    there = torch.linspace(0, 1, 11, **float64)
    line = torch.stack((there, 2 * there), -1)[:, None]
    assert_close(straightness(line), torch.ones(1, **float64))
    angle = torch.linspace(0, math.pi, 2001, **float64)
    half_circle = torch.stack((angle.cos(), angle.sin()), -1)[:, None]
    assert_close(straightness(half_circle), torch.full((1,), math.pi / 2, **float64), rtol=1e-6, atol=0)


# What is refused


@pytest.mark.parametrize(
    ("levels", "message"),
    [([], "levels must fall"), ([1, 2], "levels must fall"), ([0], "each of levels"), ([1001], "each of levels")],
)
def test_levels_that_do_not_fall_are_refused(levels, message):
    with pytest.raises(ValueError, match=message):
        next(annealed_langevin(small_model(), torch.zeros(1, 2, **float64), levels))


def test_an_odd_number_of_steps_has_no_half():
    with pytest.raises(ValueError, match="steps must be even, got 5"):
        ode_log_prob(small_model(), torch.zeros(1, 2, **float64), steps=5)


def test_a_network_that_is_bound_to_its_levels_is_refused():
    model = DDPM(lambda xt, t: torch.zeros_like(xt), LONG)
    with pytest.raises(TypeError, match=r"model must have a network with on\(schedule\)"):
        ode_log_prob(model, torch.zeros(1, 2))
