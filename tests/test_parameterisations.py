"""Five names for one prediction, against diffusers, autograd and Gaussians written out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_ddpm import some_network
from test_diffusion import conditioned, each_schedule, in_diffusers, schedules, without_noise
from torch.distributions import Independent, Normal, kl_divergence

from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.parameterisations import Prediction, best_variance, variational_constant, variational_weight
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
WAYS = {
    "x0": Prediction.from_x0,
    "mean": Prediction.from_mean,
    "score": Prediction.from_score,
    "v": Prediction.from_v,
}
each_way = pytest.mark.parametrize("way", WAYS)


@given(schedules, st.data(), st.integers(0, 1000))
def test_every_name_leads_back_to_the_noise(schedule, data, seed):
    t = torch.tensor(data.draw(st.lists(st.integers(1, schedule.T), min_size=1, max_size=4)))
    xt, noise = torch.randn(2, len(t), 3, generator=torch.Generator().manual_seed(seed), **float64)
    guess = Prediction(schedule, xt, t, noise)
    for way, make in WAYS.items():
        back = make(schedule, xt, t, getattr(guess, way))
        torch.testing.assert_close(back.noise, noise, rtol=1e-9, atol=1e-9)
        for i in range(len(t)):  # a batch of t is each t
            one = Prediction(schedule, xt[i], int(t[i]), noise[i])
            torch.testing.assert_close(getattr(one, way), getattr(guess, way)[i])
            torch.testing.assert_close(make(schedule, xt[i], int(t[i]), getattr(one, way)).noise, back.noise[i])


@each_way
def test_every_name_keeps_what_it_was_given(way, generator):
    schedule, t = Schedule.linear(T=20, beta_T=0.3), torch.tensor([1, 2, 11, 20])
    xt, given_value = torch.randn(2, 4, 3, generator=generator, **float64)
    guess = WAYS[way](schedule, xt, t, given_value)
    assert guess.schedule is schedule
    assert guess.xt is xt
    assert guess.t is t
    with pytest.raises(AttributeError):  # its parts were checked together
        guess.t = 1
    torch.testing.assert_close(getattr(guess, way), given_value, rtol=1e-10, atol=1e-10)


@each_way
def test_single_precision_stays_single(way, generator):
    xt, noise = torch.randn(2, 4, 2, generator=generator)
    t = torch.tensor([1, 300, 700, 1000])
    single, double = (Prediction(Schedule.linear(1000), xt.to(d), t, noise.to(d)) for d in (xt.dtype, torch.float64))
    value = getattr(single, way)
    assert value.dtype == WAYS[way](single.schedule, xt, t, value).noise.dtype == torch.float32
    torch.testing.assert_close(value.double(), getattr(double, way), rtol=1e-5, atol=1e-5)


def truth(T, generator, make=Schedule.linear):
    """Some data, some noise, and the prediction that is right about them."""
    schedule = make(T)
    t = torch.randint(1, T + 1, (50,), generator=generator)
    x0, noise = torch.randn(2, 50, 2, generator=generator, **float64)
    kept = (1 - schedule.beta).cumprod(0)[t].unsqueeze(1)
    return x0, noise, Prediction(schedule, kept.sqrt() * x0 + (1 - kept).sqrt() * noise, t, noise)


@each_schedule
@pytest.mark.parametrize("T", [1, 10, 1000])
def test_of_the_true_noise_x0_is_the_data_and_the_score_that_of_q(T, make, generator):
    x0, _, right = truth(T, generator, make)
    torch.testing.assert_close(right.x0, x0, rtol=1e-9, atol=1e-9)
    xt = right.xt.clone().requires_grad_()
    kept = (1 - right.schedule.beta).cumprod(0)[right.t].unsqueeze(1)
    log_q = Normal(kept.sqrt() * x0, (1 - kept).sqrt()).log_prob(xt).sum()
    (gradient,) = torch.autograd.grad(log_q, xt)
    torch.testing.assert_close(right.score, gradient, rtol=1e-9, atol=1e-9)


@each_schedule
@pytest.mark.parametrize("T", [1, 10, 1000])
def test_the_mean_is_that_of_the_posterior_of_the_predicted_data(T, make, generator):
    """For t > 1 with the true noise and with any other; at t = 1 it is the predicted data itself."""
    x0, _, right = truth(T, generator, make)
    wrong = Prediction(right.schedule, right.xt, right.t, some_network(right.xt, right.t))
    for guess, data in ((right, x0), (wrong, wrong.x0)):
        later = guess.t > 1
        if later.any():
            posterior = ForwardProcess(guess.schedule).posterior(guess.xt[later], data[later], guess.t[later])
            torch.testing.assert_close(guess.mean[later], posterior.mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(guess.mean[~later], data[~later])
    step = DDPM(some_network, right.schedule).step(right.xt, right.t)
    torch.testing.assert_close(wrong.mean, step.mean)


@pytest.mark.parametrize("T", [1, 10, 1000])
def test_v_is_that_of_diffusers(T, generator):
    x0, noise, right = truth(T, generator)
    velocity = in_diffusers(right.schedule).get_velocity(x0, noise, right.t - 1)
    torch.testing.assert_close(right.v, velocity, rtol=1e-9, atol=1e-9)


@each_schedule
@pytest.mark.parametrize("T", [5, 1000])
@pytest.mark.parametrize(("way", "theirs"), [("noise", "epsilon"), ("x0", "sample"), ("v", "v_prediction")])
def test_a_step_of_diffusers_understands_each_name(T, make, way, theirs, generator):
    schedule = make(T)
    scheduler = in_diffusers(schedule, prediction_type=theirs, variance_type="fixed_small")
    xt, output = torch.randn(2, 5, 3, generator=generator, **float64)
    for t in sorted({1, 2, T // 2 + 1, T}):
        guess = (WAYS | {"noise": Prediction})[way](schedule, xt, t, output)
        result, mean = without_noise(scheduler, output, t, xt)
        torch.testing.assert_close(guess.x0, result.pred_original_sample, rtol=1e-9, atol=1e-9)
        # they go by way of x0, which a large t makes large and then small again
        torch.testing.assert_close(guess.mean, mean, rtol=1e-8, atol=1e-8)


def test_the_score_of_the_expected_noise_is_that_of_the_data(generator):
    """Tweedie's formula, on the swiss roll, whose score is known."""
    schedule, roll = Schedule.linear(T=100, beta_T=0.1), SwissRoll()
    for t in (1, 10, 60, 100):
        diffused = roll.diffuse(schedule.alpha_bar[t])
        xt = diffused.sample(20, generator, **float64)
        guess = Prediction(schedule, xt, t, roll.expected_noise(xt, schedule.alpha_bar[t]))
        torch.testing.assert_close(guess.score, diffused.score(xt), rtol=1e-7, atol=1e-7)


def some_table(T, seed=0):
    return 0.05 + torch.rand(T + 1, generator=torch.Generator().manual_seed(seed), **float64)


each_variance = pytest.mark.parametrize("variance", ["beta", "beta_tilde", "table"])


@each_variance
@pytest.mark.parametrize("make", [lambda T: Schedule.linear(T, 0.1, 0.5), Schedule.linear, Schedule.cosine])
@pytest.mark.parametrize(("T", "dim"), [(1, 2), (2, 1), (9, 3)])
def test_each_term_is_a_weighted_square_and_a_constant(T, dim, make, variance, generator):
    """At every x_0 and x_t: torch's divergence of the two Gaussians, written out from the β."""
    schedule = make(T)
    ddpm = DDPM(some_network, schedule, some_table(T) if variance == "table" else variance)
    weight = variational_weight(schedule, ddpm.sigma_squared)
    constant = variational_constant(schedule, ddpm.sigma_squared, dim)
    assert weight.shape == constant.shape == (T + 1,)
    assert weight.dtype == constant.dtype == torch.float64
    assert weight[0] == constant[0] == 0
    x0, noise = torch.randn(2, 6, dim, generator=generator, **float64)
    beta = schedule.beta.tolist()
    for t in range(1, T + 1):
        kept = math.prod(1 - b for b in beta[: t + 1])
        xt = math.sqrt(kept) * x0 + math.sqrt(1 - kept) * noise
        predicted = some_network(xt, t)
        mean = (xt - beta[t] / math.sqrt(1 - kept) * predicted) / math.sqrt(1 - beta[t])
        if t == 1:
            sigma2 = some_table(T)[1].item() if variance == "table" else beta[1]
            expected = -Independent(Normal(mean, math.sqrt(sigma2)), 1).log_prob(x0)
        else:
            q = conditioned(schedule, xt, x0, t)
            std = {"beta": math.sqrt(beta[t]), "beta_tilde": q.stddev, "table": some_table(T)[t].sqrt()}[variance]
            expected = kl_divergence(q, Independent(Normal(mean, std), 1))
        ours = weight[t] * (noise - predicted).square().sum(-1) + constant[t]
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-8)


@given(schedules, st.integers(1, 5))
def test_the_constant_is_zero_where_the_variance_is_the_posteriors_and_positive_elsewhere(schedule, dim):
    exact = DDPM(some_network, schedule, "beta_tilde").sigma_squared
    constant = variational_constant(schedule, exact, dim)[2:]
    torch.testing.assert_close(constant, torch.zeros_like(constant), rtol=0, atol=1e-14)
    for factor in (0.9, 1.1):
        assert (variational_constant(schedule, factor * exact, dim)[2:] > 0.004 * dim / 2).all()


@given(schedules, st.integers(1, 5), st.integers(0, 1000))
def test_no_other_variance_costs_the_bound_less(schedule, dim, seed):
    """The terms are convex in 1/σ², so a slope of zero is enough; and a little to either side it costs more."""
    loss = dim * (0.01 + torch.rand(schedule.T + 1, generator=torch.Generator().manual_seed(seed), **float64))
    best = best_variance(schedule, loss, dim)
    assert best.shape == (schedule.T + 1,)
    assert best[0] == 0

    def cost(sigma_squared):
        whole = variational_weight(schedule, sigma_squared) * loss + variational_constant(schedule, sigma_squared, dim)
        return whole[1:]

    for factor in (0.99, 1.01):
        assert (cost(factor * best) > cost(best)).all()
    up, down = cost(best * (1 + 1e-5)), cost(best * (1 - 1e-5))
    torch.testing.assert_close((up - down) / 2e-5, torch.zeros_like(up), rtol=0, atol=1e-4 * dim)


def test_the_best_variance_for_gaussian_data_is_that_of_the_step_back(generator):
    """Cov(x_{t-1} | x_t) from the joint covariance, with no formula of the noise in it."""
    schedule, variance = Schedule.linear(T=12, beta_1=0.01, beta_T=0.3), 0.3
    kept = schedule.alpha_bar
    now, shared = kept * variance + 1 - kept, schedule.alpha.sqrt()
    before = kept.roll(1) * variance + 1 - kept.roll(1)
    back = before - (shared * before).square() / now
    best = best_variance(schedule, 3 * kept * variance / now, 3)
    torch.testing.assert_close(best[1:], back[1:], rtol=1e-12, atol=1e-15)


def test_the_weights_of_the_paper():
    """Ho et al. 2020, section 3.4: the bound weighs small t most, with the variances of either kind."""
    schedule = Schedule.linear(T=1000)
    weight = variational_weight(schedule, schedule.beta)
    assert weight[1].item() == pytest.approx(0.5 / (1 - 1e-4))  # β_1² / (2 β_1 α_1 β_1)
    assert weight[1000].item() == pytest.approx(0.5 * 0.02 / 0.98 / (1 - 4.036e-05), rel=1e-6)
    assert (weight[1:].diff()[:50] < 0).all()
    assert weight[1] > 20 * weight[1000]


prediction = {"schedule": Schedule.linear(9), "xt": torch.zeros(5, 2), "t": 3, "noise": torch.zeros(5, 2)}


@pytest.mark.parametrize("make", [Prediction, *WAYS.values()], ids=["noise", *WAYS])
@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"schedule": "linear"}, TypeError, "schedule must be a Schedule, got str"),
        ({"xt": [0.0]}, TypeError, "xt must be a floating-point tensor"),
        ({"noise": None}, TypeError, "must be a floating-point tensor, got NoneType"),
        ({"noise": torch.zeros(5, 2, dtype=torch.int)}, TypeError, "must be a floating-point tensor"),
        ({"noise": torch.zeros(5, 1)}, ValueError, r"must have the shape of xt, \(5, 2\), got \(5, 1\)"),
        ({"t": 0}, ValueError, "t must lie in 1, ..., 9, got 0"),
        ({"t": torch.full((5,), 10)}, ValueError, "t must lie in 1, ..., 9"),
        ({"t": torch.ones(5, 1, dtype=torch.long)}, ValueError, "t must have a shape that fits"),
        ({"t": 1.5}, TypeError, "t must be an integer"),
    ],
)
def test_a_bad_prediction_is_named(make, changed, error, words):
    with pytest.raises(error, match=words):
        make(*(prediction | changed).values())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        *(
            case
            for f in (variational_weight, lambda schedule, table: variational_constant(schedule, table, 2))
            for case in (
                (lambda s, f=f: f("linear", s.beta), TypeError, "schedule must be a Schedule"),
                (lambda s, f=f: f(s, "beta"), TypeError, "sigma_squared must be a floating-point tensor"),
                (
                    lambda s, f=f: f(s, s.beta[1:]),
                    ValueError,
                    r"sigma_squared must hold T \+ 1 = 10 values, got .* \(9,\)",
                ),
                (lambda s, f=f: f(s, s.beta[:, None]), ValueError, r"sigma_squared must hold T \+ 1 = 10 values"),
            )
        ),
        (lambda s: best_variance("linear", s.beta, 2), TypeError, "schedule must be a Schedule"),
        (lambda s: best_variance(s, "beta", 2), TypeError, "loss must be a floating-point tensor"),
        (lambda s: best_variance(s, s.beta[1:], 2), ValueError, r"loss must hold T \+ 1 = 10 values"),
        (lambda s: best_variance(s, 0 * s.beta, 2), ValueError, r"loss\[1\], ..., loss\[T\] must be positive"),
        (lambda s: best_variance(s, s.beta, 0), ValueError, "dim must be at least 1"),
        (lambda s: variational_constant(s, s.beta, 0), ValueError, "dim must be at least 1"),
        (lambda s: variational_constant(s, s.beta, "2"), TypeError, "dim must be an integer"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(Schedule.linear(9))
