"""The generative model, against diffusers' scheduler and against the exact reverse process of a Gaussian."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from torch.testing import assert_close

from diffusion_notes.chains import Affine, Chain, LinearGaussianChain, elbo
from diffusion_notes.ddpm import DDPM
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

float64, nan = {"dtype": torch.float64}, float("nan")


def some_network(xt, t):
    """Any function of the point and the time will do."""
    t = torch.as_tensor(t).to(xt).reshape(-1, 1)
    return torch.sin(xt.flip(-1) + t / 10) + 0.3 * xt


@pytest.mark.parametrize("T", [5, 50, 1000])
@pytest.mark.parametrize(("ours", "theirs"), [(Schedule.linear, "linear"), (Schedule.cosine, "squaredcos_cap_v2")])
@pytest.mark.parametrize(("variance", "variance_type"), [("beta_tilde", "fixed_small"), ("beta", "fixed_large")])
def test_a_step_is_that_of_diffusers(T, ours, theirs, variance, variance_type, generator):
    ddpm = DDPM(some_network, ours(T), variance)
    scheduler = DDPMScheduler(
        num_train_timesteps=T,
        trained_betas=ddpm.schedule.beta[1:].numpy(),
        variance_type=variance_type,
        clip_sample=False,
    )
    xt = torch.randn(7, 2, generator=generator, **float64)
    for t in sorted({2, T // 2, T}):
        ours_t = ddpm.step(xt, t)
        seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
        theirs_t = scheduler.step(some_network(xt, t), t - 1, xt, generator=seeds[0]).prev_sample
        noise = torch.randn(xt.shape, generator=seeds[1], **float64)
        # diffusers keeps its tables in float32
        torch.testing.assert_close(ours_t.mean + ours_t.stddev * noise, theirs_t, rtol=3e-3, atol=3e-4)
    first = scheduler.step(some_network(xt, 1), 0, xt).prev_sample
    torch.testing.assert_close(ddpm.step(xt, 1).mean, first, rtol=1e-3, atol=1e-4)


def exact_network(schedule, mean, variance):
    """E[ε | x_t] where the data are N(mean, variance I)."""

    def network(xt, t):
        alpha_bar = schedule.alpha_bar[t].to(xt).reshape(-1, 1)
        total = alpha_bar * variance + 1 - alpha_bar
        return (1 - alpha_bar).sqrt() * (xt - alpha_bar.sqrt() * mean) / total

    return network


def test_the_mean_is_the_exact_posterior_mean_for_gaussian_data(generator):
    """With data N(m, s² I), E[x_{t−1} | x_t] is known without any of the formulas of the chapter."""
    schedule, m, s2 = Schedule.linear(T=30, beta_T=0.3), 0.7, 0.4
    ddpm = DDPM(exact_network(schedule, m, s2), schedule)
    xt = torch.randn(5, 3, generator=generator, **float64)
    for t in range(1, 31):
        before, now, alpha = schedule.alpha_bar[t - 1], schedule.alpha_bar[t], schedule.alpha[t]
        variance_before = before * s2 + 1 - before  # of x_{t-1}
        covariance = alpha.sqrt() * variance_before
        variance_now = now * s2 + 1 - now
        expected = before.sqrt() * m + covariance / variance_now * (xt - now.sqrt() * m)
        torch.testing.assert_close(ddpm.step(xt, t).mean, expected)


def test_variances_and_the_first_step():
    schedule = Schedule.linear(T=10)
    x = torch.zeros(1, 2, **float64)
    for t in range(1, 11):
        small, large = (DDPM(some_network, schedule, v).step(x, t).variance[0, 0] for v in ("beta_tilde", "beta"))
        torch.testing.assert_close(large, schedule.beta[t])
        torch.testing.assert_close(small, schedule.beta[1] if t == 1 else schedule.beta_tilde[t])


def test_sigma_squared_is_the_variance_of_each_step():
    schedule, x = Schedule.linear(T=10), torch.zeros(1, 1, **float64)
    for variance in ("beta", "beta_tilde", 0.01 * torch.arange(11, **float64)):
        ddpm = DDPM(some_network, schedule, variance)
        assert ddpm.sigma_squared.shape == (11,)
        assert ddpm.sigma_squared.dtype == torch.float64
        for t in range(1, 11):
            torch.testing.assert_close(ddpm.step(x, t).variance.item(), ddpm.sigma_squared[t].item())


def test_a_table_of_variances_is_used_as_it_is(generator):
    """And changes nothing but the variance: the mean is that of the network."""
    schedule, table = Schedule.linear(T=10), torch.rand(11, generator=generator) + 0.1
    table[0] = -1  # is not used
    ddpm = DDPM(some_network, schedule, table.requires_grad_())
    assert not ddpm.sigma_squared.requires_grad
    t = torch.tensor([1, 2, 9, 10])
    for dtype in (torch.float32, torch.float64):
        xt = torch.randn(4, 2, generator=generator, dtype=dtype)
        p = ddpm.step(xt, t)
        assert p.stddev.dtype == dtype
        torch.testing.assert_close(p.variance, table.detach()[t].to(dtype).unsqueeze(1).expand(4, 2))
        assert torch.equal(p.mean, DDPM(some_network, schedule).step(xt, t).mean)
        for i in range(4):
            torch.testing.assert_close(ddpm.step(xt[i : i + 1], int(t[i])).stddev, p.stddev[i : i + 1])


def test_settings_tell_one_variance_and_objective_from_another():
    schedule = Schedule.linear(T=10)
    tables = [schedule.beta, schedule.beta.clone(), 2 * schedule.beta, "beta", "beta_tilde"]
    one, same, *others = (DDPM(some_network, schedule, table).settings() for table in tables)
    assert one == same
    assert len({settings["variance"] for settings in (one, *others)}) == 4
    simple, variational = (DDPM(some_network, schedule, "beta", name).settings() for name in ("simple", "variational"))
    assert simple == DDPM(some_network, schedule, "beta").settings() != variational
    assert all(isinstance(value, str) for settings in (one, *others) for value in settings.values())


@pytest.mark.parametrize(("beta_1", "beta_T"), [(1e-100, 1e-100), (1e-100, 1 - 1e-16), (1 - 1e-16, 1 - 1e-16)])
@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_every_schedule_that_there_is_makes_a_model(variance, beta_1, beta_T):
    schedule = Schedule.linear(100, beta_1, beta_T)
    x, t = torch.ones(100, 2, **float64), torch.arange(1, 101)
    for objective in ("simple", "variational"):
        ddpm = DDPM(NoiseMLP(schedule, width=4).double(), schedule, variance, objective, "weight")
        p = ddpm.step(x, t)
        assert p.mean.isfinite().all()
        assert p.log_prob(p.mean).isfinite().all()
        assert ddpm.loss(x).isfinite()


def test_a_batch_of_t_is_each_t(generator):
    ddpm = DDPM(some_network, Schedule.linear(T=10))
    xt = torch.randn(4, 2, generator=generator, **float64)
    t = torch.tensor([1, 2, 9, 10])
    batch = ddpm.step(xt, t)
    for i in range(4):
        one = ddpm.step(xt[i : i + 1], int(t[i]))
        torch.testing.assert_close(batch.mean[i : i + 1], one.mean)
        torch.testing.assert_close(batch.stddev[i : i + 1], one.stddev)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde", "table"])
def test_the_sampler_has_the_moments_of_its_chain(variance, generator):
    """With Gaussian data every step is linear, so the mean and variance of x_0 follow by recursion."""
    schedule = Schedule.linear(T=50, beta_T=0.3)
    table = torch.linspace(0.1, 0.02, 51, **float64)
    network = exact_network(schedule, 0.5, 0.25)
    mean, var = 0.0, 1.0
    sigma2 = {"beta": schedule.beta, "beta_tilde": schedule.beta_tilde, "table": table}[variance].tolist()
    zero, one = torch.zeros(1, 1, **float64), torch.ones(1, 1, **float64)
    for t in range(50, 0, -1):
        root, noise = schedule.alpha[t].sqrt().item(), (1 - schedule.alpha_bar[t]).sqrt().item()
        shift, slope = network(zero, t).item(), (network(one, t) - network(zero, t)).item()
        beta = schedule.beta[t].item()
        mean = (mean - beta / noise * (slope * mean + shift)) / root
        var = ((1 - beta / noise * slope) / root) ** 2 * var + (sigma2[t] if t > 1 else 0)
    ddpm = DDPM(network, schedule, table if variance == "table" else variance)
    x0 = ddpm.sample(torch.randn(100_000, 1, generator=generator, **float64), generator)
    assert x0.mean().item() == pytest.approx(mean, abs=0.007)
    assert x0.var().item() == pytest.approx(var, rel=0.02)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_its_bound_is_that_of_any_chain(variance, generator):
    """A diffusion model is a chain of latents: `elbo` knows no diffusion. With a linear network the
    same chain can be written as a linear-Gaussian one, whose every term has a closed form.
    """
    schedule = Schedule.linear(T=8, beta_T=0.5)
    ddpm = DDPM(exact_network(schedule, 0.5, 0.25), schedule, variance)
    assert isinstance(ddpm, Chain)
    assert ddpm.length == 8
    zero, one = torch.zeros(1, 1, **float64), torch.ones(1, 1, **float64)

    def affine(conditional):
        start = conditional(zero)
        return Affine(conditional(one).mean - start.mean, start.mean[0], start.stddev[0, 0])

    linear = LinearGaussianChain(
        [affine(lambda z, t=t: ddpm.step(z, t)) for t in range(1, 9)],
        [affine(lambda z, t=t: ddpm.q.step(z, t)) for t in range(1, 9)],
    )
    x0 = torch.tensor([[0.9]], **float64)
    bound = elbo(ddpm, x0.expand(100_000, 1), generator)
    error = bound.terms.std(1) / 100_000**0.5
    assert ((bound.terms.mean(1) - linear.exact_elbo(x0).terms[:, 0]).abs() < 4.5 * error).all()
    assert linear.exact_elbo(x0).total < linear.log_prob(x0)


def test_the_walk_goes_from_T_to_0_and_ends_without_noise(generator):
    ddpm = DDPM(some_network, Schedule.linear(T=6))
    xT = torch.randn(3, 2, generator=generator)
    path = list(ddpm.walk(xT, torch.Generator().manual_seed(1)))
    assert [t for t, _ in path] == [6, 5, 4, 3, 2, 1, 0]
    assert torch.equal(path[0][1], xT)
    torch.testing.assert_close(path[-1][1], ddpm.step(path[-2][1], 1).mean)
    assert torch.equal(ddpm.sample(xT, torch.Generator().manual_seed(1)), path[-1][1])
    trainable = DDPM(NoiseMLP(ddpm.schedule), ddpm.schedule)
    assert not trainable.sample(xT).requires_grad


def test_the_loss_of_a_perfect_network_is_the_smallest(generator):
    roll, schedule = SwissRoll(), Schedule.linear(T=20, beta_T=0.3)
    perfect = DDPM(lambda xt, t: roll.expected_noise(xt, schedule.alpha_bar[t]), schedule)
    x0 = roll.sample(20_000, generator, **float64)
    losses = torch.stack([perfect.loss(chunk, generator) for chunk in x0.split(1000)])
    floor = roll.noise_mmse(schedule.alpha_bar[1:]).mean()
    assert abs(losses.mean() - floor) < 4 * losses.std() / len(losses) ** 0.5


def test_the_loss_is_a_sum_over_coordinates_and_a_mean_over_points(generator):
    silent = DDPM(lambda xt, t: torch.zeros_like(xt), Schedule.linear(T=10))
    loss = silent.loss(torch.zeros(100_000, 3), generator)
    assert loss.item() == pytest.approx(3, abs=0.05)  # E‖ε‖² is the dimension


def test_the_loss_draws_every_t_equally_often(generator):
    seen = []
    spy = DDPM(lambda xt, t: (seen.append(t), torch.zeros_like(xt))[1], Schedule.linear(T=4))
    spy.loss(torch.zeros(40_000, 1), generator)
    counts = torch.bincount(seen[0], minlength=6)
    assert counts[0] == counts[5] == 0
    assert (abs(counts[1:5] - 10_000) < 400).all()


@pytest.mark.parametrize("objective", ["simple", "variational"])
@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_t_in_proportion_to_its_weight_has_the_same_loss_and_of_the_bound_less_noise(objective, variance, generator):
    schedule = Schedule.linear(T=1000)
    x0 = torch.randn(200_000, 1, dtype=torch.float64, generator=generator)

    def losses(t_sampling):
        ddpm = DDPM(lambda xt, t: 0.3 * xt, schedule, variance, objective, t_sampling)
        return torch.stack([ddpm.loss(part, generator) for part in x0.split(500)])

    uniform, drawn = losses("uniform"), losses("weight")
    assert drawn.mean() == pytest.approx(uniform.mean().item(), abs=4 * uniform.std().item() / len(uniform) ** 0.5)
    if objective == "variational":
        assert drawn.std() < uniform.std() / 2


def test_t_is_drawn_in_proportion_to_its_weight_in_the_bound(generator):
    schedule = Schedule.linear(T=4, beta_1=0.1, beta_T=0.7)
    seen = []
    DDPM(
        lambda xt, t: seen.append(t) or torch.zeros_like(xt), schedule, "beta", "variational", t_sampling="weight"
    ).loss(torch.zeros(100_000, 2), generator)
    weight = schedule.beta / (2 * schedule.alpha * (1 - schedule.alpha_bar))
    share = torch.bincount(seen[0], minlength=5)[1:] / len(seen[0])
    assert_close(share, (weight[1:] / weight[1:].sum()).float(), rtol=0, atol=0.006)


def test_t_is_drawn_in_proportion_to_a_table_and_the_loss_is_the_same(generator):
    """Whatever the table; its first value is not used."""
    schedule, table = Schedule.linear(T=4, beta_1=0.1, beta_T=0.7), torch.tensor([9.0, 4, 1, 2, 3])
    x0 = torch.randn(200_000, 1, generator=generator, **float64)
    seen = []

    def network(xt, t):
        seen.append(t)
        return 0.3 * xt

    for objective in ("simple", "variational"):
        uniform, other = (DDPM(network, schedule, "beta", objective, how) for how in ("uniform", table))
        seen.clear()
        losses = torch.stack([other.loss(part, generator) for part in x0.split(1000)])
        assert_close(
            torch.bincount(torch.cat(seen)) / len(x0), torch.tensor([0, 0.4, 0.1, 0.2, 0.3]), rtol=0, atol=0.005
        )
        usual = torch.stack([uniform.loss(part, generator) for part in x0.split(1000)])
        assert losses.mean() == pytest.approx(usual.mean().item(), abs=4 * usual.std().item() / len(usual) ** 0.5)


def test_a_table_of_the_weights_draws_as_the_weights_do():
    """And any multiple of it."""
    schedule = Schedule.linear(T=10, beta_T=0.5)
    x0 = torch.zeros(50, 2, **float64)
    usual = DDPM(some_network, schedule, "beta", "variational", t_sampling="weight")
    for factor in (1e-5, 3):
        table = factor * variational_weight(schedule, usual.sigma_squared)
        other = DDPM(some_network, schedule, "beta", "variational", table)
        losses = [ddpm.loss(x0, torch.Generator().manual_seed(1)) for ddpm in (usual, other)]
        assert_close(*losses)


@pytest.mark.parametrize("first", [0.0, -1.0, float("inf"), nan])
def test_the_first_value_of_a_table_may_be_anything(first):
    schedule, table = Schedule.linear(T=4), torch.tensor([1.0, 4, 1, 2, 3])
    usual = DDPM(some_network, schedule, t_sampling=table.clone())
    table[0] = first
    other = DDPM(some_network, schedule, t_sampling=table)
    losses = [ddpm.loss(torch.zeros(50, 2, **float64), torch.Generator().manual_seed(1)) for ddpm in (usual, other)]
    assert losses[0] == losses[1]


def test_a_table_that_suits_the_loss_makes_its_noise_smaller(generator):
    """Here the prediction is very wrong at one t: the best table is in proportion to the root of E loss²."""
    schedule, table = Schedule.linear(T=100), torch.full((101,), 3**0.5)
    table[7] = 101
    x0 = torch.randn(20_000, 1, generator=generator)

    def network(xt, t):
        seen.append(t)
        return torch.where(t.unsqueeze(-1) == 7, 10.0, 0.0).expand_as(xt)

    seen = []
    noise = [
        torch.stack([DDPM(network, schedule, t_sampling=how).loss(x, generator) for x in x0.split(200)]).std()
        for how in ("uniform", table)
    ]
    assert noise[1] < noise[0] / 3


def drawn(monkeypatch, u, objective, variance="beta"):
    """The t of four steps that belong to given uniform numbers."""
    seen = []
    ddpm = DDPM(lambda xt, t: seen.append(t) or 0 * xt, Schedule.linear(T=4), variance, objective, t_sampling="weight")
    monkeypatch.setattr(torch, "rand", lambda n, **where: torch.tensor(u, dtype=where["dtype"]).expand(n))
    ddpm.loss(torch.zeros(len(u), 1, **float64))
    return seen[0].tolist(), ddpm


def test_with_equal_weights_each_t_has_its_quarter(monkeypatch):
    """Of the interval from 0, which is drawn sometimes, to 1, which never is; a border belongs to the next one."""
    for variance in ("beta", torch.full((5,), 1e-6), torch.full((5,), 1e6)):  # whatever they weigh in the bound
        t, _ = drawn(monkeypatch, [0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.9999], "simple", variance)
        assert t == [1, 1, 2, 2, 3, 3, 4, 4]


def test_in_the_bound_the_border_is_where_the_weights_before_it_end(monkeypatch):
    ddpm = drawn(monkeypatch, [0.0], "variational")[1]
    borders = ddpm.tables.whole("cdf", torch.zeros(1, **float64)).tolist()
    assert borders[0] == 0
    assert borders[4] == pytest.approx(1, abs=1e-15)
    assert drawn(monkeypatch, borders[:4], "variational")[0] == [1, 2, 3, 4]


def test_settings_name_how_t_is_drawn_only_where_that_is_not_uniform():
    """So that runs that were stored before there was such a thing can be resumed."""
    schedule = Schedule.linear(T=4)
    with_it, without = (DDPM(some_network, schedule, t_sampling=choice).settings() for choice in ("weight", "uniform"))
    assert with_it == without | {"t_sampling": "weight"}
    assert "t_sampling" not in without
    tables = [torch.ones(5), torch.ones(5), torch.arange(1.0, 6)]
    one, same, other = (DDPM(some_network, schedule, t_sampling=table).settings() for table in tables)
    assert one == same != other
    assert isinstance(one["t_sampling"], str)
    network = NoiseMLP(schedule)
    assert (without["network"], DDPM(network, schedule).settings()["network"]) == ("function", repr(network))


def test_the_names_of_what_is_asked_for_may_be_any_strings_that_are_equal(generator):
    schedule = Schedule.linear(T=4, beta_T=0.5)
    x0, beta, simple = torch.zeros(8, 2, **float64), "".join(("be", "ta")), "".join(("sim", "ple"))
    usual, other = DDPM(some_network, schedule, "beta", "simple"), DDPM(some_network, schedule, beta, simple)
    assert torch.equal(other.sigma_squared, schedule.beta)
    losses = [ddpm.loss(x0, torch.Generator().manual_seed(1)) for ddpm in (usual, other)]
    assert losses[0] == losses[1]
    assert other.mean_weight == 1


def test_a_gpu_samples_all_points_at_once():
    """As does anything that is no CPU."""
    sizes = []
    DDPM(lambda xt, t: sizes.append(len(xt)) or xt, Schedule.linear(T=3)).sample(torch.zeros(5000, 2, device="meta"))
    assert sizes == [5000] * 3


def test_a_cpu_samples_in_blocks_and_nobody_sees_it(generator):
    sizes = []
    ddpm = DDPM(lambda xt, t: sizes.append(len(xt)) or torch.sin(xt), Schedule.linear(T=3))
    x = torch.randn(5000, 2, dtype=torch.float64, generator=generator)
    together = ddpm.sample(x, generator.manual_seed(1))
    assert sum(sizes) == 3 * 5000
    assert max(sizes) <= 2048
    noise = [torch.randn(x.shape, dtype=x.dtype, generator=generator) for _ in [generator.manual_seed(1)] * 2]
    for t, n in ((3, noise[0]), (2, noise[1])):
        x = ddpm.step(x, t).mean + ddpm.sigma_squared[t].sqrt() * n
    assert_close(together, ddpm.step(x, 1).mean)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: DDPM("net", d.schedule), TypeError, "network must be callable"),
        (lambda d: DDPM(some_network, 1000), TypeError, "schedule must be a Schedule"),
        (lambda d: DDPM(NoiseMLP(Schedule.linear(9)), d.schedule), ValueError, "made for another schedule"),
        (
            lambda d: DDPM(lambda xt, t: xt[:, :1], d.schedule).loss(torch.zeros(3, 2)),
            ValueError,
            "network must return",
        ),
        (
            lambda d: DDPM(lambda xt, t: xt[:, 0], d.schedule).sample(torch.zeros(2, 2)),
            ValueError,
            "network must return",
        ),
        (lambda d: d.step(torch.zeros(5, 2), torch.ones(5, 1, dtype=torch.long)), ValueError, "t must have a shape"),
        (lambda d: DDPM(some_network, d.schedule, "learned"), ValueError, "'beta' or 'beta_tilde'"),
        (
            lambda d: DDPM(some_network, d.schedule, objective="bound"),
            ValueError,
            "'simple', 'variational', 'flow', got 'bound",
        ),
        (lambda d: DDPM(some_network, d.schedule, d.schedule.beta.tolist()), ValueError, "or a table of values"),
        (lambda d: DDPM(some_network, d.schedule, d.schedule.beta[1:]), ValueError, r"must hold T \+ 1 = 11 values"),
        (
            lambda d: DDPM(some_network, d.schedule, d.schedule.beta[:, None]),
            ValueError,
            r"must hold T \+ 1 = 11 values",
        ),
        (lambda d: DDPM(some_network, d.schedule, torch.arange(11)), TypeError, "variance must be a floating"),
        (lambda d: DDPM(some_network, d.schedule, d.schedule.beta_tilde), ValueError, "must be positive and finite"),
        (lambda d: DDPM(some_network, d.schedule, -d.schedule.beta), ValueError, "must be positive and finite"),
        (lambda d: DDPM(some_network, d.schedule, d.schedule.beta * nan), ValueError, "must be positive and finite"),
        (lambda d: d.loss(torch.zeros(0, 2)), ValueError, "at least 1 points"),
        (lambda d: d.loss(torch.zeros(3)), ValueError, r"shape \(n, D\)"),
        (lambda d: d.loss(None), TypeError, "x0 must be"),
        (lambda d: d.step(torch.zeros(1, 2), 0), ValueError, "t must lie in 1, ..., 10"),
        (lambda d: d.step(torch.zeros(1, 2), 11), ValueError, "t must lie in 1, ..., 10"),
        (lambda d: d.step(torch.zeros(1, 2), 0.5), TypeError, "t must be an integer"),
        (lambda d: d.infer(torch.zeros(1, 2), 0), ValueError, "i must be at least 1, got 0"),
        (lambda d: d.infer(torch.zeros(1, 2), 11), ValueError, "i must be at most 10, got 11"),
        (lambda d: d.generate(torch.zeros(1, 2), 0), ValueError, "i must be at least 1, got 0"),
        (
            lambda d: DDPM(lambda xt, t: xt.repeat(1, 2), d.schedule).step(torch.zeros(3, 2), 1),
            ValueError,
            "network must return",
        ),
        (lambda d: d.step([1.0], 3), TypeError, "xt must be"),
        (lambda d: d.sample(torch.zeros(2, dtype=torch.int)), TypeError, "xT must be"),
        (lambda d: next(d.walk(torch.zeros(2))), ValueError, r"shape \(n, D\)"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(DDPM(some_network, Schedule.linear(T=10)))
