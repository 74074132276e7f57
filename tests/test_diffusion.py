"""The schedule and the forward process, against diffusers and against steps taken one by one."""

from __future__ import annotations

import decimal
import math

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal

from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import draw
from diffusion_notes.schedule import Schedule

schedules = st.one_of(
    st.builds(Schedule.linear, st.integers(1, 60), st.floats(1e-5, 0.5), st.floats(1e-5, 0.5)),
    st.builds(Schedule.cosine, st.integers(1, 60)),
)
each_schedule = pytest.mark.parametrize("make", [Schedule.linear, Schedule.cosine])


def in_diffusers(schedule: Schedule, **settings) -> DDPMScheduler:
    """diffusers' scheduler, with its tables in double precision: it makes them in single."""
    beta = schedule.beta[1:]
    scheduler = DDPMScheduler(schedule.T, trained_betas=beta.numpy(), clip_sample=False, **settings)
    scheduler.betas, scheduler.alphas, scheduler.alphas_cumprod = beta, 1 - beta, (1 - beta).cumprod(0)
    return scheduler


def without_noise(scheduler: DDPMScheduler, output, t: int, xt):
    """What diffusers' step returns, and the mean that it adds its noise to."""
    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    result = scheduler.step(output, t - 1, xt, generator=seeds[0])
    if t == 1:
        return result, result.prev_sample
    noise = torch.randn(xt.shape, generator=seeds[1], dtype=xt.dtype)
    return result, result.prev_sample - scheduler._get_variance(t - 1).sqrt() * noise


def conditioned(schedule: Schedule, xt, x0, t: int) -> Independent:
    """q(x_{t-1} | x_t, x_0), by conditioning the joint Gaussian of the pair: no formula of the chapter."""
    mean, variance = x0, 0.0
    for beta in schedule.beta[1:t].tolist():
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    beta = schedule.beta[t].item()
    covariance, spread = math.sqrt(1 - beta) * variance, (1 - beta) * variance + beta
    mean = mean + covariance / spread * (xt - math.sqrt(1 - beta) * mean)
    return Independent(Normal(mean, math.sqrt(variance - covariance**2 / spread)), 1)


@given(schedules, st.floats(1e-6, 1e6))
def test_the_nearest_step_has_the_nearest_level(schedule, kappa):
    t = schedule.nearest(kappa)
    assert 1 <= t <= schedule.T
    apart = (schedule.kappa[1:].log() - math.log(kappa)).abs()
    assert apart[t - 1] <= apart.min() + 1e-12
    assert schedule.nearest(schedule.kappa[t].item()) == t


@pytest.mark.parametrize("T", [10, 50, 1000])
@pytest.mark.parametrize(("ours", "theirs"), [(Schedule.linear, "linear"), (Schedule.cosine, "squaredcos_cap_v2")])
def test_tables_are_those_of_diffusers(T, ours, theirs):
    schedule = ours(T)
    reference = DDPMScheduler(num_train_timesteps=T, beta_schedule=theirs, beta_start=1e-4, beta_end=0.02)
    # theirs are float32, and their index is one less
    torch.testing.assert_close(schedule.beta[1:].float(), reference.betas, rtol=2e-5, atol=1e-7)
    torch.testing.assert_close(schedule.alpha_bar[1:].float(), reference.alphas_cumprod, rtol=1e-3, atol=1e-7)
    for t in (2, T // 2, T):
        variance = reference._get_variance(t - 1, variance_type="fixed_small").double()
        torch.testing.assert_close(schedule.beta_tilde[t], variance, rtol=2e-3, atol=1e-9)


@given(schedules)
def test_the_index_is_the_papers(schedule):
    T = schedule.T
    for table in (schedule.beta, schedule.alpha, schedule.alpha_bar, schedule.beta_tilde):
        assert table.shape == (T + 1,)
        assert table.dtype == torch.float64
    assert schedule.beta[0] == 0
    assert schedule.alpha[0] == schedule.alpha_bar[0] == 1
    assert schedule.one_minus_alpha_bar[0] == schedule.from_x0[0] == schedule.from_xt[0] == schedule.from_xt[1] == 0
    assert schedule.from_x0[1].item() == pytest.approx(1, rel=1e-14)  # at t = 1 the mean is x_0 itself
    assert schedule.beta_tilde[0] == schedule.beta_tilde[1] == 0
    torch.testing.assert_close(schedule.alpha_bar[1], schedule.alpha[1])


@given(schedules)
def test_tables_hold_together(schedule):
    alpha, alpha_bar, beta = schedule.alpha, schedule.alpha_bar, schedule.beta
    torch.testing.assert_close(alpha_bar[1:], alpha_bar[:-1] * alpha[1:])
    assert (alpha_bar[1:] < alpha_bar[:-1]).all()
    assert (schedule.beta_tilde[1:] < beta[1:]).all()
    for name in ("alpha", "beta", "alpha_bar"):
        torch.testing.assert_close(getattr(schedule, f"sqrt_{name}").square(), getattr(schedule, name))
    torch.testing.assert_close(schedule.sigma_tilde[2:].square(), schedule.beta_tilde[2:])
    assert schedule.sigma_tilde[1] == beta[1].sqrt()
    torch.testing.assert_close(schedule.sqrt_one_minus_alpha_bar.square(), 1 - alpha_bar)


@given(schedules)
def test_many_steps_are_one(schedule):
    """q(x_t | x_0) from the steps' own means and variances, one after the other."""
    q = ForwardProcess(schedule)
    mean, variance = torch.tensor([[0.7, -1.3]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    x0 = mean
    for t in range(1, schedule.T + 1):
        shrink = q.step(torch.ones_like(x0), t).mean  # the step's mean is linear in x
        variance = shrink.square() * variance + q.step(mean, t).variance
        mean = q.step(mean, t).mean
        torch.testing.assert_close(q.marginal(x0, t).mean, mean)
        torch.testing.assert_close(q.marginal(x0, t).variance, variance)


@given(schedules, st.data())
def test_beta_tilde_is_the_variance_of_the_bayes_posterior(schedule, data):
    t = data.draw(st.integers(1, schedule.T))
    ahead = schedule.alpha[t] / schedule.beta[t]  # precision that x_t brings
    if t > 1:
        behind = 1 / (1 - schedule.alpha_bar[t - 1])  # precision that x_0 brings
        torch.testing.assert_close(schedule.beta_tilde[t], 1 / (ahead + behind))
    else:
        assert schedule.beta_tilde[1] == 0


@pytest.mark.parametrize(
    ("schedule", "tolerance"),
    [
        (Schedule.linear(T=1000), 3e-15),
        (Schedule.cosine(T=1000), 3e-15),
        (Schedule.cosine(T=10), 3e-15),
        (Schedule.linear(T=1000, beta_1=1e-12, beta_T=1e-12), 2e-14),
        (Schedule.linear(T=60, beta_1=1e-9, beta_T=0.5), 3e-15),
    ],
)
def test_the_variance_of_the_noise_is_that_of_exact_arithmetic(schedule, tolerance):
    """In 60 digits. The difference 1 - alpha_bar in double precision is off by 1e-12 at t = 1, or has no digit."""
    with decimal.localcontext(prec=60):
        alpha_bar = decimal.Decimal(1)
        for t in range(1, schedule.T + 1):
            alpha_bar *= 1 - decimal.Decimal(schedule.beta[t].item())
            ours = decimal.Decimal(schedule.one_minus_alpha_bar[t].item())
            assert abs(ours / (1 - alpha_bar) - 1) < tolerance
            assert abs(decimal.Decimal(schedule.alpha_bar[t].item()) / alpha_bar - 1) < 1e-13


@each_schedule
@pytest.mark.parametrize("T", [2, 7, 50, 1000])
def test_the_posterior_is_bayes_rule(T, make, generator):
    """q(x_{t-1} | x_0) q(x_t | x_{t-1}) / q(x_t | x_0), as log densities at points of the chain and elsewhere."""
    q = ForwardProcess(make(T))
    t = torch.randint(2, T + 1, (200,), generator=generator)
    x0 = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    before = draw(q.marginal(x0, t - 1), generator)
    xt = draw(q.step(before, t), generator)
    spread = q.posterior(xt, x0, t).stddev
    for below in (before, before + 3 * spread, xt):
        bayes = q.marginal(x0, t - 1).log_prob(below) + q.step(below, t).log_prob(xt) - q.marginal(x0, t).log_prob(xt)
        torch.testing.assert_close(q.posterior(xt, x0, t).log_prob(below), bayes, rtol=1e-9, atol=1e-9)


@given(schedules.filter(lambda schedule: schedule.T > 1), st.data())
def test_the_posterior_is_the_pair_conditioned(schedule, data):
    t = data.draw(st.integers(2, schedule.T))
    xt, x0 = torch.tensor([[0.3, -2.0], [1.0, 5.0]], dtype=torch.float64).split(1)
    ours, expected = ForwardProcess(schedule).posterior(xt, x0, t), conditioned(schedule, xt, x0, t)
    torch.testing.assert_close(ours.mean, expected.mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours.variance, expected.variance, rtol=1e-9, atol=0)


@each_schedule
@pytest.mark.parametrize("T", [2, 50, 1000])
def test_the_posterior_is_that_of_diffusers(T, make, generator):
    schedule = make(T)
    scheduler = in_diffusers(schedule, prediction_type="sample", variance_type="fixed_small")
    xt, x0 = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    for t in sorted({2, T // 2 + 1, T}):
        ours = ForwardProcess(schedule).posterior(xt, x0, t)
        result, mean = without_noise(scheduler, x0, t, xt)
        assert torch.equal(result.pred_original_sample, x0)
        torch.testing.assert_close(ours.mean, mean, rtol=1e-9, atol=1e-9)
        variance = scheduler._get_variance(t - 1).expand(5, 3)
        torch.testing.assert_close(ours.variance, variance, rtol=1e-9, atol=0)


def test_a_posterior_of_a_batch_of_t_is_each_t(generator):
    q = ForwardProcess(Schedule.linear(T=20))
    xt, x0 = torch.randn(2, 4, 3, generator=generator)
    t = torch.tensor([2, 7, 7, 20])
    batch = q.posterior(xt, x0, t)
    assert batch.mean.dtype == torch.float32
    for i in range(4):
        one = q.posterior(xt[i], x0[i], int(t[i]))
        torch.testing.assert_close(batch.mean[i], one.mean)
        torch.testing.assert_close(batch.stddev[i], one.stddev)


def test_a_batch_of_t_is_each_t(generator):
    schedule = Schedule.linear(T=20)
    q = ForwardProcess(schedule)
    x = torch.randn(4, 3, generator=generator)
    t = torch.tensor([1, 7, 7, 20])
    for conditional in (q.step, q.marginal):
        batch = conditional(x, t)
        for i in range(4):
            one = conditional(x[i], int(t[i]))
            torch.testing.assert_close(batch.mean[i], one.mean)
            torch.testing.assert_close(batch.stddev[i], one.stddev)


def test_samples_have_the_moments_of_q(generator):
    q = ForwardProcess(Schedule.linear(T=100))
    x0 = torch.tensor([1.0, -2.0], dtype=torch.float64).expand(200_000, 2)
    sample = draw(q.marginal(x0, 60), generator)
    alpha_bar = q.schedule.alpha_bar[60]
    error = ((1 - alpha_bar) / len(x0)).sqrt()
    assert ((sample.mean(0) - alpha_bar.sqrt() * x0[0]).abs() < 4.5 * error).all()
    assert sample.var().item() == pytest.approx((1 - alpha_bar + alpha_bar * x0.var()).item(), rel=0.02)


def test_the_walk_takes_every_step(generator):
    q = ForwardProcess(Schedule.linear(T=30, beta_T=0.2))
    x0 = torch.tensor([0.5, -1.5], dtype=torch.float64).expand(100_000, 2)
    path = dict(q.walk(x0, generator))
    assert list(path) == list(range(31))
    assert torch.equal(path[0], x0)
    for t in (1, 10, 30):
        alpha_bar = q.schedule.alpha_bar[t]
        error = ((1 - alpha_bar) / len(x0)).sqrt()
        assert ((path[t].mean(0) - alpha_bar.sqrt() * x0[0]).abs() < 4.5 * error).all()
        assert path[t].var(0).mean().item() == pytest.approx(1 - alpha_bar.item(), rel=0.02)
    # what two times share is what the later one keeps of the earlier: Cov(x_10, x_30) = √(ᾱ_30/ᾱ_10) Var(x_10)
    kept = (q.schedule.alpha_bar[30] / q.schedule.alpha_bar[10]).sqrt()
    covariance = torch.cov(torch.stack((path[10][:, 0], path[30][:, 0])))
    assert covariance[0, 1].item() == pytest.approx((kept * covariance[0, 0]).item(), rel=0.03)


def test_at_casts_only_what_is_asked_for():
    schedule = Schedule.linear(T=1000)
    like = torch.zeros(3, 2)
    got = schedule.at("sqrt_one_minus_alpha_bar", torch.tensor([1, 2, 3]), like)
    assert got.shape == (3, 1)
    assert got.dtype == torch.float32
    # computed in float64 and then cast: float32 arithmetic would be wrong in the fourth digit
    assert got[0].item() == pytest.approx(0.01, rel=1e-7)
    assert schedule.at("beta", 5, like.double()).dtype == torch.float64
    assert schedule.at("beta", 5, like).shape == (1,)


def test_at_keeps_precisions_and_devices_apart():
    schedule = Schedule.linear(T=10)
    for _ in range(2):
        for like in (torch.zeros(1), torch.zeros(1).double(), torch.zeros(1, device="meta"), torch.zeros(1).bfloat16()):
            got = schedule.at("beta", 3, like)
            assert (got.dtype, got.device) == (like.dtype, like.device)


def test_tables_are_float64_and_free_of_gradients_whatever_is_given():
    beta = torch.tensor([0.0, 0.1, 0.2], requires_grad=True)
    for table in ("beta", "alpha_bar", "beta_tilde"):
        assert getattr(Schedule(beta), table).dtype == torch.float64
        assert not getattr(Schedule(beta), table).requires_grad


def test_a_table_first_used_for_inference_is_good_for_training():
    q = ForwardProcess(Schedule.linear(T=10))
    with torch.inference_mode():
        q.marginal(torch.zeros(1, 2), 3)
    x0 = torch.zeros(1, 2, requires_grad=True)
    q.marginal(x0, 3).mean.sum().backward()
    assert x0.grad is not None


def test_the_walk_follows_its_generator():
    q, x0 = ForwardProcess(Schedule.linear(T=3)), torch.zeros(2, 2)
    one, two = (dict(q.walk(x0, torch.Generator().manual_seed(4))) for _ in range(2))
    assert torch.equal(one[3], two[3])


def test_a_schedule_keeps_what_it_was_given():
    given_beta = torch.tensor([0.0, 0.1, 0.2])
    schedule = Schedule(given_beta)
    assert schedule.T == 2
    assert schedule.alpha_bar[2].item() == pytest.approx(0.9 * 0.8, rel=1e-7)


def test_a_schedule_and_its_process_are_themselves_and_stay_so():
    """They are compared as objects, since a comparison of tables has no one answer."""
    schedule = Schedule.linear(T=3)
    q = ForwardProcess(schedule)
    assert repr(schedule) == f"Schedule(beta={schedule.beta})"
    assert len({schedule, Schedule(schedule.beta), q, ForwardProcess(schedule)}) == 4
    assert schedule != Schedule(schedule.beta)
    for thing, name in ((schedule, "beta"), (q, "schedule")):
        with pytest.raises(AttributeError):
            setattr(thing, name, None)


def test_time_zero_is_a_time_where_that_is_said():
    schedule, x = Schedule.linear(T=9), torch.zeros(2, 2)
    schedule.check_t(0, x, least=0)
    with pytest.raises(ValueError, match="least must be at least 0, got -1"):
        schedule.check_t(0, x, least=-1)


def posterior_9(**changed):
    arguments = {"xt": torch.zeros(2, 2), "x0": torch.zeros(2, 2), "t": 2}
    return ForwardProcess(Schedule.linear(9)).posterior(**(arguments | changed))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Schedule.linear(0), ValueError, "T must be at least 1"),
        (lambda: Schedule.linear(10.0), TypeError, "T must be an integer"),
        (lambda: Schedule.linear(True), TypeError, "T must be an integer"),
        (lambda: Schedule.linear(10, beta_1=0.0), ValueError, "^beta_1 must .* strictly between 0 and 1"),
        (lambda: Schedule.linear(10, beta_1=1e-300), ValueError, r"^beta\[1\].* must not be below 1e-100, got 1e-300"),
        (
            lambda: Schedule(torch.tensor([0, 0.5, 1e-101], dtype=torch.float64)),
            ValueError,
            "^beta.* must not be below 1e-100",
        ),
        (lambda: Schedule.linear(10, beta_T=1.0), ValueError, "^beta_T must .* strictly between 0 and 1"),
        (lambda: Schedule.linear(10, beta_T=math.nan), ValueError, "^beta_T must .* strictly between 0 and 1"),
        (lambda: Schedule.cosine(10, s=-0.1), ValueError, "s must be between 0 and 1, got -0.1"),
        (lambda: Schedule.cosine(10, s=1.5), ValueError, "s must be between 0 and 1, got 1.5"),
        (lambda: Schedule.cosine(10, largest=1.0), ValueError, "largest must .* strictly between 0 and 1"),
        (lambda: Schedule.cosine(10, largest=1.5), ValueError, "largest must .* strictly between 0 and 1"),
        (lambda: Schedule(torch.tensor([0.0, 1.0])), ValueError, "must lie strictly between 0 and 1"),
        (lambda: Schedule(torch.tensor([-0.1, 0.2])), ValueError, r"beta\[0\] must be 0 .* got -0.1"),
        (lambda: Schedule.cosine(-3), ValueError, "T must be at least 1"),
        (lambda: Schedule.cosine("7"), TypeError, "T must be an integer"),
        (lambda: Schedule(torch.tensor([0.1, 0.2])), ValueError, r"beta\[0\] must be 0 .* got 0.1"),
        (lambda: Schedule(torch.tensor([0.0])), ValueError, "T \\+ 1 >= 2 values"),
        (lambda: Schedule(torch.zeros(2, 2)), ValueError, "T \\+ 1 >= 2 values"),
        (lambda: Schedule([0.0, 0.1]), TypeError, "beta must be"),
        (lambda: Schedule.linear(9).check_t(0, torch.zeros(2)), ValueError, r"1, ..., 9, got 0"),
        (lambda: Schedule.linear(9).check_t(10, torch.zeros(2)), ValueError, r"1, ..., 9, got 10"),
        (lambda: Schedule.linear(9).check_t(1.0, torch.zeros(2)), TypeError, "t must be an integer"),
        (lambda: Schedule.linear(9).check_t(torch.tensor(2.0), torch.zeros(2)), TypeError, "integer tensor"),
        (lambda: Schedule.linear(9).check_t(torch.tensor([True]), torch.zeros(1, 2)), TypeError, "integer tensor"),
        (
            lambda: Schedule.linear(9).check_t(torch.tensor([1], dtype=torch.uint8), torch.zeros(1, 2)),
            TypeError,
            "int32",
        ),
        (
            lambda: Schedule.linear(9).check_t(torch.tensor([1, -1]), torch.zeros(2, 2)),
            ValueError,
            "some of its entries",
        ),
        (
            lambda: ForwardProcess(Schedule.linear(9)).marginal(torch.zeros(5, 2), torch.ones(5, 1, dtype=torch.long)),
            ValueError,
            r"t must have a shape that fits the points' \(5,\), got \(5, 1\)",
        ),
        (lambda: ForwardProcess(Schedule.linear(9)).step(torch.zeros(2), 0), ValueError, "t must lie in 1"),
        (lambda: ForwardProcess(Schedule.linear(9)).marginal(torch.zeros(2), 10), ValueError, "t must lie in 1"),
        (lambda: ForwardProcess(Schedule.linear(9)).marginal([0.0], 1), TypeError, "x0 must be"),
        (lambda: Schedule.linear(9).check_t(2, torch.zeros(2), least=3), ValueError, "t must lie in 3, ..., 9, got 2"),
        (
            lambda: Schedule.linear(9).check_t(torch.tensor([3, 2]), torch.zeros(2, 2), least=3),
            ValueError,
            "t must lie in 3, ..., 9, and some",
        ),
        (lambda: posterior_9(t=1), ValueError, "t must lie in 2, ..., 9, got 1"),
        (lambda: posterior_9(t=10), ValueError, "t must lie in 2, ..., 9, got 10"),
        (lambda: posterior_9(t=torch.tensor([2, 1])), ValueError, "t must lie in 2, ..., 9, and some"),
        (lambda: posterior_9(t=torch.ones(2, 1, dtype=torch.long)), ValueError, "t must have a shape that fits"),
        (lambda: posterior_9(t=2.0), TypeError, "t must be an integer"),
        (lambda: posterior_9(xt=[0.0]), TypeError, "xt must be"),
        (lambda: posterior_9(x0="x"), TypeError, "x0 must be"),
        (lambda: next(ForwardProcess(Schedule.linear(9)).walk(3)), TypeError, "x0 must be"),
        (lambda: ForwardProcess(Schedule.linear(9)).step("x", 1), TypeError, "x must be"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
