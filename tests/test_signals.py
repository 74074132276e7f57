"""Priors from data are a change of variables, a series is its values in turn, and what is told is exact."""

from __future__ import annotations

import math

import pytest
import scipy.integrate
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from diffusion_notes.chains import elbo, sample
from diffusion_notes.data import Clusters, ConditionalMixture, KickedOscillator, TwoNotes
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import ForwardProcess, bound_terms, kl_form, posterior_form
from diffusion_notes.distributions import draw
from diffusion_notes.guidance import ConditionalDDPM
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.samplers import ExactNoise, on_levels
from diffusion_notes.samplers import sample as sample_in_few_calls
from diffusion_notes.schedule import Schedule
from diffusion_notes.signals import (
    ExactGiven,
    PriorProcess,
    TowardsPrior,
    WithPrior,
    draw_next,
    forecast,
    one_after_the_other,
    series_bound,
)
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
SCHEDULE = Schedule.linear(T=12, beta_1=0.02, beta_T=0.4)
MU = torch.tensor([0.5, -2.0], **float64)
STD = torch.tensor([0.2, 3.0], **float64)
Q = PriorProcess(SCHEDULE, MU, STD)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(dim: int = 2, condition: int = 0, schedule: Schedule = SCHEDULE) -> NoiseMLP:
    made = NoiseMLP(schedule, dim, width=8, depth=1, features=3, generator=generator(5), condition=condition)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator(6))
    return made.double().requires_grad_(False)


MODEL = DDPM(network(), SCHEDULE, "beta")
CHAIN = TowardsPrior(MODEL, MU, STD)


def points(n: int = 6) -> torch.Tensor:
    return MU + STD * torch.randn(n, 2, generator=generator(1), **float64)


# -- another q ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 7, 12])
def test_the_marginal_is_the_equation(t):
    x0 = points()
    kept = SCHEDULE.alpha_bar[t]
    q = Q.marginal(x0, t)
    torch.testing.assert_close(q.mean, kept.sqrt() * x0 + (1 - kept.sqrt()) * MU)
    torch.testing.assert_close(q.stddev, ((1 - kept).sqrt() * STD).expand(6, 2))


def test_the_steps_lead_to_the_marginals():
    """Mean and variance step by step, by hand."""
    x0 = points()
    mean, variance = x0, torch.zeros_like(x0)
    for t in range(1, 13):
        step = Q.step(mean, t)
        mean = step.mean
        variance = SCHEDULE.alpha[t] * variance + step.variance
        torch.testing.assert_close(mean, Q.marginal(x0, t).mean)
        torch.testing.assert_close(variance, Q.marginal(x0, t).variance)


@pytest.mark.parametrize("t", [2, 7, 12])
def test_the_posterior_is_bayes_rule(t):
    x0, xt = points(), points(6) + 0.1
    at = Q.posterior(xt, x0, t)
    for z in (at.mean, at.mean + 0.3 * at.stddev):
        bayes = Q.step(z, t).log_prob(xt) + Q.marginal(x0, t - 1).log_prob(z) - Q.marginal(x0, t).log_prob(xt)
        torch.testing.assert_close(at.log_prob(z), bayes)


def test_it_is_the_standard_one_in_whitened_coordinates():
    """Path by path, each term but the first: and that by the determinant."""
    x0 = points()
    here, white = elbo(CHAIN, x0, generator(2)), elbo(MODEL, Q.whiten(x0), generator(2))
    torch.testing.assert_close(here.total, white.total - STD.log().sum())
    torch.testing.assert_close(here.reconstruction, white.reconstruction - STD.log().sum())
    torch.testing.assert_close(here.layers, white.layers)
    torch.testing.assert_close(here.prior, white.prior)


def test_every_form_of_the_bound_is_the_same():
    x0 = points()
    path = [x0]
    noise = generator(3)
    for t in range(1, 13):
        path.append(draw(Q.step(path[-1], t), noise))
    forward = elbo_of_path(path)
    torch.testing.assert_close(posterior_form(CHAIN, path).sum(0), -forward)
    many = x0[:1].expand(3000, 2)
    unbiased = bound_terms(CHAIN, many, generator(4)).total
    off = (unbiased.mean() + elbo(CHAIN, many, generator(7)).total.mean()).abs()
    assert off < 4 * (unbiased.std() + elbo(CHAIN, many, generator(8)).total.std()) / 3000**0.5
    assert kl_form(CHAIN, path).shape == (13, 6)


def elbo_of_path(path: list[torch.Tensor]) -> torch.Tensor:
    total = CHAIN.prior(path[-1]).log_prob(path[-1])
    for t in range(1, 13):
        total = total + CHAIN.generate(path[t], t).log_prob(path[t - 1]) - CHAIN.infer(path[t - 1], t).log_prob(path[t])
    return total


def test_the_prior_term_is_a_divergence_of_gaussians():
    x0 = points()
    terms = bound_terms(CHAIN, x0, generator())
    q = Q.marginal(x0, 12)
    full = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    torch.testing.assert_close(terms.prior, kl_divergence(full, MultivariateNormal(MU, torch.diag(STD.square()))))


def test_the_loss_is_weighted_by_the_inverse_of_the_covariance():
    """As Lee et al. 2022 write it, in the coordinates of the data, with the noise of the same draws."""
    x0, t = points(), 7
    epsilon = torch.randn(6, 2, generator=generator(9), **float64)
    coloured = STD * epsilon
    xt = SCHEDULE.sqrt_alpha_bar[t] * (x0 - MU) + MU + SCHEDULE.sqrt_one_minus_alpha_bar[t] * coloured
    predicted = STD * MODEL.predict(Q.whiten(xt), t)
    precision = torch.linalg.inv(torch.diag(STD.square()))
    weighted = torch.einsum("ni,ij,nj->n", coloured - predicted, precision, coloured - predicted)
    kl = kl_divergence(Q.posterior(xt, x0, t), CHAIN.step(xt, t))
    weight = variational_weight(SCHEDULE, SCHEDULE.beta)[t]
    rest = 0.5 * 2 * (SCHEDULE.beta_tilde[t] / SCHEDULE.beta[t] - 1 - (SCHEDULE.beta_tilde[t] / SCHEDULE.beta[t]).log())
    torch.testing.assert_close(kl, weight * weighted + rest)


def test_the_mean_and_one_scale_are_a_shift_of_the_schedule():
    """With Sigma = s^2 I it is the standard diffusion at other levels: kappa times s."""
    s = 0.4
    q = PriorProcess(SCHEDULE, torch.zeros(2, **float64), torch.full((2,), s, **float64))
    other = ForwardProcess(Schedule.through(1 / (1 + (s * SCHEDULE.kappa[1:]).square())))
    x0 = points()
    for t in (1, 7, 12):
        ours, theirs = q.marginal(x0, t), other.marginal(x0, t)
        ratio = SCHEDULE.sqrt_alpha_bar[t] / other.schedule.sqrt_alpha_bar[t]
        torch.testing.assert_close(ours.mean, ratio * theirs.mean)
        torch.testing.assert_close(ours.stddev, ratio * theirs.stddev)


def test_a_prior_of_each_point_is_a_prior_of_that_point():
    x0 = points(3)
    mu, std = points(3), torch.rand(3, 2, generator=generator(2), **float64) + 0.1
    together = bound_terms(TowardsPrior(MODEL, mu, std), x0, generator()).prior
    each = [
        bound_terms(TowardsPrior(MODEL, m, s), x[None], generator()).prior for m, s, x in zip(mu, std, x0, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(each))


def test_a_perfect_network_is_perfect_towards_any_prior():
    """For data that are the prior, the bound is the log density: nothing is lost."""
    white = DDPM(lambda z, t: SCHEDULE.sqrt_one_minus_alpha_bar[t] * z, SCHEDULE, exact_variance())
    x0 = points(2000)
    bound = elbo(TowardsPrior(white, MU, STD), x0, generator()).total
    truth = Independent(Normal(MU, STD), 1).log_prob(x0)
    assert (bound - truth).abs().max() < 1e-9


def exact_variance() -> torch.Tensor:
    """Of x_{t-1} given x_t for standard normal data: that of a step forward."""
    return SCHEDULE.beta.clone()


def test_samples_come_from_the_model():
    white = DDPM(lambda z, t: SCHEDULE.sqrt_one_minus_alpha_bar[t] * z, SCHEDULE, exact_variance())
    x = sample(TowardsPrior(white, MU, STD), torch.zeros(40_000, 2, **float64), generator())
    torch.testing.assert_close(x.mean(0), MU, atol=0.06, rtol=0.01)
    torch.testing.assert_close(x.std(0), STD, atol=0, rtol=0.02)


# -- another start ------------------------------------------------------------------------------------


def test_a_better_start_is_in_the_last_term_alone():
    x0 = points()
    started = WithPrior(MODEL, MU, STD)
    ours, theirs = bound_terms(started, x0, generator()), bound_terms(MODEL, x0, generator())
    assert torch.equal(ours.each[:-1], theirs.each[:-1])
    q = MODEL.q.marginal(x0, 12)
    full = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    torch.testing.assert_close(ours.prior, kl_divergence(full, MultivariateNormal(MU, torch.diag(STD.square()))))
    path = elbo(started, x0, generator()).total - elbo(MODEL, x0, generator()).total
    noisy = draw(MODEL.q.marginal(x0, 12), generator())
    assert path.shape == noisy.shape[:1]


def test_the_fitted_start_has_the_moments_of_the_end():
    x0 = points(50_000)
    fitted = WithPrior.fitted(MODEL, x0).prior(x0[:1])
    end = draw(MODEL.q.marginal(x0, 12), generator())
    torch.testing.assert_close(fitted.mean[0], end.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(fitted.stddev[0], end.std(0), atol=0, rtol=0.02)


def test_no_diagonal_gaussian_starts_better():
    """The mean and the variances of q(x_T) have the smallest L_T, which is what is differentiated here."""
    x0 = points(500)
    fitted = WithPrior.fitted(MODEL, x0)

    def last(mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        return kl_divergence(MODEL.q.marginal(x0, 12), WithPrior(MODEL, mean, log_std.exp()).prior(x0)).mean()

    slopes = torch.autograd.functional.jacobian(last, (fitted.mean, fitted.std.log()))
    for slope in slopes:
        assert slope.abs().max() < 1e-12


def test_the_mismatch_of_a_short_diffusion():
    """Of the roll in fifty steps: what the page says by quadrature, from draws."""
    short = Schedule.linear(T=50)
    roll = SwissRoll()
    model = DDPM(lambda x, t: x, short)
    x0 = roll.sample(30_000, generator(), **float64)
    fitted = WithPrior.fitted(model, x0)
    end = roll.diffuse(short.alpha_bar[-1])
    xT = draw(model.q.marginal(x0, 50), generator(1))
    for chain, known in ((model, 0.0834), (fitted, 0.0037)):
        lost = end.log_prob(xT) - chain.prior(xT).log_prob(xT)
        assert lost.mean().item() == pytest.approx(known, abs=3 * lost.std().item() / 30_000**0.5)


# -- what is told -------------------------------------------------------------------------------------


def test_a_perfect_network_that_is_told_is_the_perfect_network_of_what_is_left():
    """Of a mixture that is the clusters for every condition."""
    clusters = Clusters()
    exact = ExactNoise(clusters, SCHEDULE)
    angle = torch.arange(8, **float64) * math.pi / 4
    mean = torch.stack((angle.cos(), angle.sin()), -1).expand(6, 8, 2)
    law = ConditionalMixture(torch.zeros(6, 8, **float64), mean, torch.full_like(mean, 0.08**2))
    told = ExactGiven(law, SCHEDULE)
    xt = torch.randn(6, 2, generator=generator(), **float64)
    for t in (1, 5, 12):
        torch.testing.assert_close(told(xt, t), exact(xt, t))
    levels = torch.tensor([0.3, 1.0, 4.0], **float64)
    few = on_levels(DDPM(told, SCHEDULE, "beta"), levels)
    torch.testing.assert_close(few.predict(xt, 2), on_levels(DDPM(exact, SCHEDULE, "beta"), levels).predict(xt, 2))


def test_every_point_keeps_its_condition_however_many_there_are():
    notes = TwoNotes()
    x, c = notes.sample(3000, generator(), **float64)
    schedule = Schedule.cosine(T=10)
    together = DDPM(ExactGiven(notes.given(c), schedule), schedule, "beta").predict(x, 5)
    some = DDPM(ExactGiven(notes.given(c[2900:]), schedule), schedule, "beta").predict(x[2900:], 5)
    torch.testing.assert_close(together[2900:], some)


def test_whitening_a_waveform_leaves_a_law_that_the_band_powers_do_not_change():
    notes = TwoNotes()
    x, c = notes.sample(40, generator(), **float64)
    std = notes.band_variance(c).sqrt()
    schedule = Schedule.cosine(T=10)
    law = notes.given(c)
    white = ConditionalMixture(law.log_weight, law.mean, law.variance / std.square().unsqueeze(1))
    torch.testing.assert_close(white.variance, white.variance[:1].expand_as(white.variance))
    torch.testing.assert_close(white.log_prob(x / std) - std.log().sum(-1), law.log_prob(x))
    chain = TowardsPrior(DDPM(ExactGiven(white, schedule), schedule, "beta"), torch.zeros_like(std), std)
    assert (elbo(chain, x, generator()).total - law.log_prob(x)).mean() < 0


# -- one after the other ------------------------------------------------------------------------------


def test_each_value_stands_before_its_history():
    series = torch.arange(10.0).reshape(2, 5)
    rows = one_after_the_other(series, order=3)
    assert rows.tolist() == [[3, 0, 1, 2], [4, 1, 2, 3], [8, 5, 6, 7], [9, 6, 7, 8]]


def forecaster() -> ConditionalDDPM:
    return ConditionalDDPM(network(1, 2), SCHEDULE, condition=2, variance="beta")


def test_the_bound_of_a_series_is_that_of_its_values():
    model, series = forecaster(), torch.randn(3, 5, generator=generator(), **float64)
    found = series_bound(model, series, generator(1))
    assert found.shape == (3, 3)
    many = series_bound(model, series[:1].expand(6000, 5), generator(2))
    for k in range(3):
        history, value = series[:1, k : k + 2].expand(6000, 2), series[:1, k + 2 : k + 3].expand(6000, 1)
        alone = -bound_terms(model.given(history), value, generator(3)).total
        spread = (alone.std() + many[:, k].std()).item() / 6000**0.5
        assert many[:, k].mean().item() == pytest.approx(alone.mean().item(), abs=4 * spread)


def test_a_forecast_goes_on_from_its_own_values():
    """An AR(2) of Gaussian noise, whose law at every step is known in closed form."""
    first, second, noise = -0.5, 1.2, 0.3

    def next_value(history, random):
        mean = first * history[:, :1] + second * history[:, 1:]
        return mean + noise * torch.randn(mean.shape, generator=random, **float64)

    start = torch.tensor([[0.5, 1.0], [-1.0, 0.0]], **float64)
    members = forecast(next_value, start, steps=4, members=30_000, generator=generator())
    assert members.shape == (30_000, 2, 4)
    transition = torch.tensor([[0.0, 1.0], [first, second]], **float64)
    covariance = torch.zeros(2, 2, **float64)
    mean = start.T
    for k in range(4):
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + torch.diag(torch.tensor([0.0, noise**2], **float64))
        torch.testing.assert_close(members[..., k].mean(0), mean[1], atol=0.02, rtol=0)
        torch.testing.assert_close(members[..., k].std(0), covariance[1, 1].sqrt().expand(2), atol=0, rtol=0.02)


def test_a_history_keeps_its_members():
    """Nothing is random: every member of a history is the same, and that of this history."""
    start = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    members = forecast(lambda h, g: h.sum(-1, keepdim=True), start, steps=3, members=5)
    assert members.tolist() == [[[3, 5, 8], [30, 50, 80]]] * 5


def test_the_next_value_is_drawn_by_the_sampler():
    model = forecaster()
    history = torch.randn(7, 2, generator=generator(), **float64)
    found = draw_next(model, calls=6)(history, generator(1))
    noise = torch.randn(7, 1, generator=generator(1), **float64)
    torch.testing.assert_close(found, sample_in_few_calls(model.given(history), noise, "dpmpp_2m", 6, levels="log_snr"))


def test_the_exact_noise_draws_the_exact_next_value():
    """Many calls with a perfect network, against the exact distribution function."""
    clock = KickedOscillator()
    history = torch.tensor([[0.4, 0.6]], **float64).expand(4000, 2)
    law = clock.given(history)
    schedule = Schedule.cosine(T=200)
    model = DDPM(ExactGiven(law, schedule), schedule, "beta")
    noise = torch.randn(4000, 1, generator=generator(), **float64)
    x = sample_in_few_calls(model, noise, "dpmpp_2m", 100, levels="log_snr")
    uniform = law.cdf(x).sort().values
    even = (torch.arange(4000, **float64) + 0.5) / 4000
    assert (uniform - even).abs().max() < 0.04  # the law of Kolmogorov and Smirnov: 1.63 / 4000^(1/2) in 99 % of cases


def test_the_bound_of_the_next_value_against_quadrature():
    """The average of the negative bound over q(x_0 | h) is never below the entropy, which is an integral."""
    clock = KickedOscillator()
    one = clock.given(torch.tensor([[0.4, 0.6]], **float64))

    def integrand(u: float) -> float:
        log_density = one.log_prob(torch.tensor([[u]], **float64)).item()
        return -log_density * math.exp(log_density)

    entropy, _ = scipy.integrate.quad(integrand, -3, 4, points=[0.0, 0.5, 1.0], limit=300)
    law = clock.given(torch.tensor([[0.4, 0.6]], **float64).expand(4000, 2))
    schedule = Schedule.cosine(T=50)
    total = bound_terms(DDPM(ExactGiven(law, schedule), schedule, "beta"), law.sample(generator()), generator(1)).total
    gap = total.mean().item() - entropy
    assert gap - 2 * total.std().item() / 4000**0.5 > 0.0
    assert gap < 0.25


def test_samples_of_the_prior_can_be_made_by_any_sampler():
    """DPM-Solver++ in whitened coordinates, then coloured: for Gaussian data, Gaussian samples."""
    schedule = Schedule.cosine(T=100)
    white = DDPM(lambda z, t: schedule.sqrt_one_minus_alpha_bar[t] * z, schedule, "beta")
    q = PriorProcess(schedule, MU, STD)
    z = sample_in_few_calls(
        white, torch.randn(20_000, 2, generator=generator(), **float64), "dpmpp_2m", 20, levels="log_snr"
    )
    x = q.colour(z)
    torch.testing.assert_close(x.std(0), STD, atol=0, rtol=0.03)
    torch.testing.assert_close(q.whiten(x), z)
