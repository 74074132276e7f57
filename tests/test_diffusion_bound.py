"""The terms of the bound, against moments carried along linear-Gaussian chains and Gaussians written out."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from test_ddpm import some_network
from test_diffusion import conditioned, each_schedule
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence

from diffusion_notes import diffusion
from diffusion_notes.chains import Affine, LinearGaussianChain, elbo
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import (
    BoundTerms,
    bound_terms,
    discretised_log_prob,
    forward_form,
    kl_form,
    one_step,
    posterior_form,
)
from diffusion_notes.distributions import gaussian, standard_normal
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_constant
from diffusion_notes.pretrained import swiss_roll_ddpm
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
each_variance = pytest.mark.parametrize("variance", ["beta", "beta_tilde", "table"])
each_length = pytest.mark.parametrize("T", [1, 2, 5, 12])


def table(T: int, seed: int = 0):
    return 0.05 + torch.rand(T + 1, generator=torch.Generator().manual_seed(seed), **float64)


def model(T: int, variance, network=some_network, make=lambda T: Schedule.linear(T, 0.1, 0.5)) -> DDPM:
    return DDPM(network, make(T), table(T) if variance == "table" else variance)


def slopes(T: int):
    return torch.linspace(0.9, 0.2, T + 1, **float64)


def linear(T: int, variance) -> DDPM:
    """With the network k_t x_t, every conditional is linear and Gaussian."""
    return model(T, variance, lambda xt, t: slopes(T)[t].reshape(-1, 1) * xt)


def written_out(ddpm: DDPM, t: int) -> tuple[float, float, float]:
    """What p_θ(x_{t-1} | x_t) does: the factors of x_t and of the predicted noise, and σ_t², from the β alone."""
    beta, below = ddpm.schedule.beta.tolist(), 1 - math.prod(1 - b for b in ddpm.schedule.beta[:t].tolist())
    above = (1 - beta[t]) * below + beta[t]
    named = {"beta": beta[t], "beta_tilde": below * beta[t] / above if t > 1 else beta[1]}
    sigma2 = named[ddpm.variance] if isinstance(ddpm.variance, str) else ddpm.variance[t].item()
    return 1 / math.sqrt(1 - beta[t]), beta[t] / math.sqrt(above) / math.sqrt(1 - beta[t]), sigma2


def generated(ddpm: DDPM, xt, t: int) -> Independent:
    """p_θ(x_{t-1} | x_t)."""
    keep, remove, sigma2 = written_out(ddpm, t)
    return Independent(Normal(keep * xt - remove * ddpm.network(xt, t), math.sqrt(sigma2)), 1)


def as_chain(T: int, variance) -> LinearGaussianChain:
    """The same model, known to the chain chapter only as pairs of numbers."""
    ddpm, generative, inference = linear(T, variance), [], []
    for t, beta in enumerate(ddpm.schedule.beta.tolist()):
        if t > 0:
            keep, remove, sigma2 = written_out(ddpm, t)
            generative.append(Affine.scalar(float(keep - remove * slopes(T)[t]), math.sqrt(sigma2)))
            inference.append(Affine.scalar(math.sqrt(1 - beta), math.sqrt(beta)))
    return LinearGaussianChain(generative, inference)


def expected_terms(T: int, variance, x0):
    """Each term of the linear model, from the moments of the pair (x_{t-1}, x_t) carried up from x_0.

    q(x_{t-1} | x_t, x_0) enters by its entropy only, that of the pair less that of x_t.
    """
    ddpm, rows, mean, var = linear(T, variance), [], x0, 0.0
    for t in range(1, T + 1):
        beta = ddpm.schedule.beta[t].item()
        shrink = math.sqrt(1 - beta)
        above, spread = shrink * mean, shrink**2 * var + beta
        keep, remove, sigma2 = written_out(ddpm, t)
        factor = keep - remove * slopes(T)[t]
        residual = (mean - factor * above) ** 2 + var - 2 * factor * shrink * var + factor**2 * spread
        row = 0.5 * (math.log(2 * math.pi * sigma2) + residual / sigma2)
        if t > 1:
            row = row - 0.5 * math.log(2 * math.pi * math.e * (var * spread - (shrink * var) ** 2) / spread)
        rows.append(row.sum(-1))
        mean, var = above, spread
    rows.append(0.5 * (mean**2 + var - 1 - math.log(var)).sum(-1))
    return torch.stack(rows)


signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], **float64)


@pytest.fixture
def corners(monkeypatch):
    """Noises of ±1 instead of draws, four rows in turn: their mean is the exact mean of whatever is quadratic."""
    monkeypatch.setattr(diffusion, "draw", lambda p, _: p.mean + p.stddev * signs.repeat(len(p.mean) // 4, 1))


points = torch.tensor([[0.3, -1.2], [2.0, 0.1], [0.0, 0.0]], **float64)


@each_length
@each_variance
def test_the_mean_of_each_term_is_exact(T, variance, corners):
    got = bound_terms(linear(T, variance), points.repeat_interleave(4, 0))
    expected = expected_terms(T, variance, points)
    assert got.each.shape == (T + 1, 12)
    torch.testing.assert_close(got.each.reshape(T + 1, 3, 4).mean(-1), expected, rtol=1e-10, atol=1e-10)


@each_length
@each_variance
def test_the_mean_of_the_sum_is_the_bound_of_a_chain_that_knows_no_diffusion(T, variance, corners):
    got = bound_terms(linear(T, variance), points.repeat_interleave(4, 0)).total.reshape(3, 4).mean(-1)
    exact = sum(as_chain(T, variance).exact_elbo(points[:, i : i + 1]).total for i in range(2))
    torch.testing.assert_close(got, -exact, rtol=1e-10, atol=1e-10)


@each_length
@each_variance
def test_the_mean_over_t_of_one_step_is_the_bound(T, variance, corners, monkeypatch):
    """Every t as often as every other, and every corner for each: no luck is left."""

    def every(low, high, size, **_):
        return torch.arange(low, high).repeat_interleave(4).expand(*size)

    monkeypatch.setattr(torch, "randint", every)
    for x0 in points:
        got = one_step(linear(T, variance), x0.expand(4 * T, 2))
        expected = expected_terms(T, variance, x0.unsqueeze(0)).sum()
        torch.testing.assert_close(got.mean(), expected, rtol=1e-10, atol=1e-10)


@each_length
@each_variance
def test_the_variational_loss_is_the_bound_up_to_a_constant(T, variance, monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **_: torch.arange(low, high).repeat_interleave(4))
    monkeypatch.setattr("diffusion_notes.ddpm.randn_like", lambda x, _: signs.repeat(len(x) // 4, 1))
    ddpm = linear(T, variance)
    variational = DDPM(ddpm.network, ddpm.schedule, ddpm.variance, "variational")
    constant = variational_constant(ddpm.schedule, ddpm.sigma_squared, dim=2).sum()
    for x0 in points:
        expected = expected_terms(T, variance, x0.unsqueeze(0))
        got = variational.loss(x0.expand(4 * T, 2)) + constant + expected[T].sum()
        torch.testing.assert_close(got, expected.sum(), rtol=1e-10, atol=1e-10)


@each_variance
def test_the_mean_over_gaussian_data(variance, generator):
    """x_0 ~ N(0, s² I): the exact mean is over the corners ±s, since the mean given x_0 is quadratic in it."""
    T, s, n = 5, 0.7, 100_000
    exact = expected_terms(T, variance, s * signs).mean(1)
    x0 = s * torch.randn(n, 2, generator=generator, **float64)
    each = bound_terms(linear(T, variance), x0, generator).each
    assert ((each.mean(1) - exact).abs() < 4.5 * each.std(1) / n**0.5 + 1e-12).all()
    one = one_step(linear(T, variance), x0, generator)
    assert abs(one.mean() - exact.sum()) < 4.5 * one.std() / n**0.5
    path = [x for _, x in linear(T, variance).q.walk(x0, generator)]
    along = posterior_form(linear(T, variance), path)
    assert ((along.mean(1) - exact).abs() < 4.5 * along.std(1) / n**0.5).all()


class Spy:
    """A network that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, xt, t):
        self.asked.append((xt, t))
        return some_network(xt, t)


@each_length
@each_variance
def test_each_draw_is_the_divergence_of_two_gaussians(T, variance, generator):
    """For any network: at each x_t that the network saw, torch's divergence of covariances written out."""
    ddpm = model(T, variance, Spy())
    each = bound_terms(ddpm, points, generator).each
    asked, ddpm.network = {t: xt for xt, t in ddpm.network.asked}, some_network
    assert sorted(asked) == list(range(1, T + 1))
    for t, xt in asked.items():
        p = generated(ddpm, xt, t)
        if t == 1:
            expected = -p.log_prob(points)
        else:
            both = (conditioned(ddpm.schedule, xt, points, t), p)
            expected = kl_divergence(*(MultivariateNormal(d.mean, torch.diag_embed(d.variance)) for d in both))
        torch.testing.assert_close(each[t - 1], expected, rtol=1e-10, atol=1e-10)
    left = math.prod(1 - beta for beta in ddpm.schedule.beta.tolist())
    end = MultivariateNormal(left**0.5 * points, (1 - left) * torch.eye(2, **float64))
    prior = MultivariateNormal(torch.zeros(2, **float64), torch.eye(2, **float64))
    torch.testing.assert_close(each[T], kl_divergence(end, prior), rtol=1e-10, atol=1e-10)


@each_length
@each_variance
def test_one_step_is_T_times_its_term_beyond_the_constant_and_t_is_uniform(T, variance, generator):
    n = 20_000
    ddpm = model(T, variance, Spy())
    got = one_step(ddpm, points[:1].expand(n, 2), generator)
    ((xt, t),), ddpm.network = ddpm.network.asked, some_network
    assert t.shape == got.shape == (n,)
    counts = torch.bincount(t, minlength=T + 1)[1:]
    assert counts.sum() == n
    assert ((counts - n / T).abs() < 5 * (n / T) ** 0.5).all()
    sigma, tilde = ddpm.sigma_squared.sqrt(), ddpm.schedule.beta_tilde.sqrt()
    constant = [0.0, 2 * math.log(sigma[1]) + math.log(2 * math.pi)]  # in two dimensions, with equal means
    constant += [2 * kl_divergence(Normal(0, tilde[i]), Normal(0, sigma[i])).item() for i in range(2, T + 1)]
    known = bound_terms(ddpm, points[:1], generator).prior + sum(constant)
    for i in range(1, T + 1):
        here = xt[t == i]
        p, x0 = generated(ddpm, here, i), points[:1].expand_as(here)
        step = -p.log_prob(x0) if i == 1 else kl_divergence(conditioned(ddpm.schedule, here, x0, i), p)
        torch.testing.assert_close(got[t == i], known + T * (step - constant[i]), rtol=1e-9, atol=1e-9)


@each_length
def test_one_step_is_unbiased_for_any_network(T, generator):
    ddpm, x0, n = model(T, "beta"), points[:1].expand(60_000, 2), 60_000
    estimates = one_step(ddpm, x0, generator), bound_terms(ddpm, x0, generator).total, -elbo(ddpm, x0, generator).total
    for a, b in ((0, 1), (0, 2), (1, 2)):
        error = (estimates[a].var() + estimates[b].var()).sqrt() / n**0.5
        assert abs(estimates[a].mean() - estimates[b].mean()) < 4.5 * error


def test_a_trained_model_has_the_bound_of_its_chain(generator):
    """And it is not above minus the entropy, nor far below; at the same points, so that their noise is no matter."""
    roll, ddpm = SwissRoll(), swiss_roll_ddpm("beta").double()
    x0 = roll.sample(400, generator, **float64)
    with torch.no_grad():
        walked, turned_around = -elbo(ddpm, x0, generator).total, bound_terms(ddpm, x0, generator).total
    difference, gap = walked - turned_around, walked + roll.log_prob(x0)
    assert abs(difference.mean()) < 4.5 * difference.std() / 400**0.5
    error = gap.std() / 400**0.5
    assert error < 0.02
    assert -3 * error < gap.mean() < 0.15 + 3 * error
    assert turned_around.mean() > roll.entropy() - 3 * turned_around.std() / 400**0.5


@pytest.mark.parametrize("T", [1, 5])
def test_its_gradient_is_that_of_the_mean(T, corners, monkeypatch):
    """At t = 1 the posterior that is not a density is not in the way of the gradient."""
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **_: torch.arange(low, high).repeat_interleave(4))
    k = slopes(T).requires_grad_()
    ddpm = model(T, "beta_tilde", lambda xt, t: k[t].reshape(-1, 1) * xt)
    (ours,) = torch.autograd.grad(one_step(ddpm, points[:1].expand(4 * T, 2)).mean(), k)
    (expected,) = torch.autograd.grad(bound_terms(ddpm, points[:1].expand(4, 2)).total.mean(), k)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    assert (ours[1:] != 0).all()


@each_length
def test_points_may_have_one_coordinate(T, monkeypatch):
    """The corners of a line are its two ends, here each of them twice."""
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **_: torch.arange(low, high).repeat_interleave(4))
    monkeypatch.setattr(diffusion, "draw", lambda p, _: p.mean + p.stddev * signs[:, :1].repeat(len(p.mean) // 4, 1))
    for x0 in points[:, :1]:
        expected = expected_terms(T, "beta", x0.unsqueeze(0)).sum()
        torch.testing.assert_close(one_step(linear(T, "beta"), x0.expand(4 * T, 1)).mean(), expected)


NETWORKS = {
    "some": lambda schedule: some_network,
    "silent": lambda schedule: lambda xt, t: torch.zeros_like(xt),
    "perceptron": lambda schedule: NoiseMLP(schedule, 2, 8, 1, 2, generator=torch.Generator().manual_seed(1)).double(),
}


@each_schedule
@pytest.mark.parametrize(
    ("variance", "network"), list(zip(["beta", "beta_tilde", "table"], NETWORKS.values(), strict=True)), ids=NETWORKS
)
def test_the_two_sums_are_equal_on_every_path(make, variance, network):
    """For each variance and each network; not for each pair of them, since neither knows of the other."""
    schedule = make(1000)
    x0 = torch.tensor([[0.3, -1.2], [2.0, 0.1]], **float64)
    ddpm = DDPM(network(schedule), schedule, table(1000) if variance == "table" else variance)
    with torch.no_grad():
        one, two = (torch.Generator().manual_seed(7) for _ in range(2))
        path = [x for _, x in ddpm.q.walk(x0, one)]
        before, after = forward_form(ddpm, path), posterior_form(ddpm, path)
        assert before.shape == after.shape == (1001, 2)
        torch.testing.assert_close(before.sum(0), after.sum(0), rtol=0, atol=1e-10)
        torch.testing.assert_close(-elbo(ddpm, x0, two).total, before.sum(0), rtol=0, atol=1e-10)


@given(st.integers(1, 8), st.floats(1e-3, 0.9), st.floats(1e-3, 0.9), st.integers(0, 1000), st.booleans())
def test_the_two_sums_are_equal_at_any_points(T, beta_1, beta_T, seed, elsewhere):
    """Bayes' rule holds everywhere, not only where the chain goes."""
    generator = torch.Generator().manual_seed(seed)
    ddpm = DDPM(some_network, Schedule.linear(T, beta_1, beta_T), table(T, seed))
    x0 = torch.randn(3, 2, generator=generator, **float64)
    path = [x for _, x in ddpm.q.walk(x0, generator)]
    if elsewhere:
        path = [torch.randn(3, 2, generator=generator, **float64) for _ in path]
    torch.testing.assert_close(
        forward_form(ddpm, path).sum(0), posterior_form(ddpm, path).sum(0), rtol=1e-10, atol=1e-10
    )


@each_length
@each_variance
def test_the_rows_are_ratios_of_densities_written_out(T, variance, generator):
    ddpm = model(T, variance)
    path = [torch.randn(3, 2, generator=generator, **float64) for _ in range(T + 1)]
    walked, around, beta = forward_form(ddpm, path), posterior_form(ddpm, path), ddpm.schedule.beta.tolist()
    for t in range(1, T + 1):
        down = generated(ddpm, path[t], t).log_prob(path[t - 1])
        up = Independent(Normal(math.sqrt(1 - beta[t]) * path[t - 1], math.sqrt(beta[t])), 1).log_prob(path[t])
        back = conditioned(ddpm.schedule, path[t], path[0], t).log_prob(path[t - 1]) if t > 1 else 0
        torch.testing.assert_close(walked[t - 1], up - down)
        torch.testing.assert_close(around[t - 1], back - down)
    prior = Independent(Normal(torch.zeros(3, 2, **float64), 1), 1).log_prob(path[T])
    left = math.prod(1 - b for b in beta)
    end = Independent(Normal(left**0.5 * path[0], math.sqrt(1 - left)), 1).log_prob(path[T])
    torch.testing.assert_close(walked[T], -prior)
    torch.testing.assert_close(around[T], end - prior)


@each_length
@each_variance
def test_a_divergence_is_the_mean_of_its_row_over_the_latent_below(T, variance, generator):
    """A row is quadratic in x_{t-1}, so the corners of its Gaussian have the exact mean."""
    ddpm = model(T, variance)
    path = [points[:1].expand(4, 2), *torch.randn(T, 1, 2, generator=generator, **float64).expand(T, 4, 2)]
    each = kl_form(ddpm, path)
    assert each.shape == (T + 1, 4)
    torch.testing.assert_close(each[0], posterior_form(ddpm, path)[0])
    for t in range(2, T + 1):
        posterior = conditioned(ddpm.schedule, path[t], path[0], t)
        there = [*path[: t - 1], posterior.mean + posterior.variance.sqrt() * signs, *path[t:]]
        torch.testing.assert_close(
            each[t - 1], posterior_form(ddpm, there)[t - 1].mean().expand(4), rtol=1e-9, atol=1e-9
        )
    end = ddpm.q.marginal(path[0], T)
    there = [*path[:T], end.mean + end.variance.sqrt() * signs]
    torch.testing.assert_close(each[T], posterior_form(ddpm, there)[T].mean().expand(4), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("T", "n"), [(1, 500), (6, 500), (1000, 40)])
def test_with_the_exact_reverse_process_every_path_gives_log_p(T, n, generator):
    """Data from N(0, I) stay there, and p(x_{t-1} | x_t) = N(√α_t x_t, β_t I): each factor of the path cancels.

    The terms of Bayes' rule have only the mean in common with it: they vary.
    """
    schedule = Schedule.linear(T, beta_T=0.02 if T == 1000 else 0.5)
    alpha_bar = (1 - schedule.beta).cumprod(0)
    ddpm = DDPM(lambda xt, t: (1 - alpha_bar[t]).sqrt() * xt, schedule, "beta")
    x0 = points[:1].expand(n, 2)
    path = [x for _, x in ddpm.q.walk(x0, generator)]
    exact = 0.5 * points[0].square().sum() + math.log(2 * math.pi)
    torch.testing.assert_close(forward_form(ddpm, path).sum(0), exact.expand(n), rtol=0, atol=1e-9)
    along, apart = kl_form(ddpm, path).sum(0), bound_terms(ddpm, x0, generator).total
    for total in (along, apart):
        assert total.std() > 0.01
        assert abs(total.mean() - exact) < 4.5 * total.std() / n**0.5
    if T == 1000:  # neighbours on a path are alike, so their divergences do not average out
        assert along.std() > 1.5 * apart.std()


def test_the_terms_have_names():
    each = BoundTerms(torch.arange(8.0).reshape(4, 2))
    assert each.reconstruction.tolist() == [0, 1]
    assert each.steps.tolist() == [[2, 3], [4, 5]]
    assert each.prior.tolist() == [6, 7]
    assert each.total.tolist() == [12, 16]
    assert BoundTerms(torch.zeros(2, 3)).steps.shape == (0, 3)  # T = 1
    with pytest.raises(AttributeError):
        each.each = each.each + 1


def test_estimates_follow_their_generator():
    ddpm = model(5, "beta")
    for estimate in (lambda g: bound_terms(ddpm, points, g).total, lambda g: one_step(ddpm, points, g)):
        one, two, other = (estimate(torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)


@given(
    st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.2, 3)), min_size=1, max_size=3),
    st.floats(0.05, 20),
)
def test_a_box_has_the_probability_between_its_edges(coordinates, width):
    x, mean, std = torch.tensor(coordinates, **float64).T.unsqueeze(1)
    below, above = (norm.cdf((x + side * width / 2).numpy(), mean.numpy(), std.numpy()) for side in (-1, 1))
    ours = discretised_log_prob(gaussian(mean, std), x, width)
    assert ours.shape == (1,)
    assert ours <= 0
    assert ours.exp().item() == pytest.approx((above - below).prod(), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("width", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("x", [0.0, -6.0, 12.0, -40.0, 300.0, 1e4])
def test_the_tails_are_those_of_fifty_digits(x, width):
    with mpmath.workdps(50):
        edges = [(abs(mpmath.mpf(x)) + side * mpmath.mpf(width) / 2) / 2 / mpmath.sqrt(2) for side in (-1, 1)]
        expected = float(mpmath.log((mpmath.erfc(edges[0]) - mpmath.erfc(edges[1])) / 2))
    mean = torch.full((2, 1), 5.0, **float64)
    ours = discretised_log_prob(gaussian(mean, torch.full((2, 1), 2.0, **float64)), mean + x, width)
    assert ours.tolist() == pytest.approx([expected] * 2, rel=1e-10)


def test_boxes_that_tile_the_plane_hold_everything():
    p = gaussian(torch.tensor([[0.3, -0.2]], **float64), torch.tensor([[0.5, 1.1]], **float64))
    for width in (0.1, 0.75):
        ticks = width * torch.arange(-(8 // width), 8 // width + 1, **float64)
        log_prob = discretised_log_prob(p, torch.cartesian_prod(ticks, ticks), width)
        assert (log_prob <= 0).all()
        assert log_prob.logsumexp(0).item() == pytest.approx(0, abs=1e-10)


def test_a_narrow_box_is_the_density_times_its_volume(generator):
    p = gaussian(torch.randn(20, 3, generator=generator, **float64), torch.full((20, 3), 0.3, **float64))
    x = p.mean + torch.randn(20, 3, generator=generator, **float64)
    density = MultivariateNormal(p.mean, 0.09 * torch.eye(3, **float64)).log_prob(x)
    for width, error in ((1e-3, 1e-4), (1e-5, 1e-8)):
        expected = density + 3 * math.log(width)
        torch.testing.assert_close(discretised_log_prob(p, x, width), expected, rtol=0, atol=error)
    assert density.max() > 0  # a density may be
    x = x.float()
    single = discretised_log_prob(gaussian(p.mean.float(), p.stddev.float()), x, 0.01)
    torch.testing.assert_close(single.double(), discretised_log_prob(p, x.double(), 0.01), rtol=0, atol=1e-3)


@pytest.mark.parametrize("width", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 3e-8, 1e-9])
def test_the_two_ways_to_a_box_meet_where_both_are_good(width):
    """Around the mean a box has the probability erf(w / √8)."""
    x = torch.zeros(1, 1, **float64)
    ours = discretised_log_prob(standard_normal(x), x, width).item()
    assert ours == pytest.approx(math.log(math.erf(width / math.sqrt(8))), rel=0, abs=1e-10)


def test_one_gaussian_does_for_all_points(generator):
    x = torch.randn(5, 2, generator=generator, **float64)
    one = gaussian(torch.tensor([0.1, 0.2], **float64), torch.tensor([0.5, 2.0], **float64))
    each = gaussian(one.mean.expand(5, 2), one.stddev.expand(5, 2))
    assert torch.equal(discretised_log_prob(one, x, 0.1), discretised_log_prob(each, x, 0.1))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("away", [0.0, 0.3, 5.0, 40.0])
def test_tiny_boxes_keep_their_digits(dtype, error, away):
    """Against the difference of two tails in a hundred digits."""
    with mpmath.workdps(100):
        for width in (1e-2, 1e-4, 1e-5, 4e-6, 1e-8, 1e-12):
            x, w = (torch.tensor([[value]], dtype=dtype) for value in (away, width))
            low, high = (mpmath.mpf(x.item()) + sign * mpmath.mpf(w.item()) / 2 for sign in (-1, 1))
            exact = mpmath.log((mpmath.erfc(low / mpmath.sqrt(2)) - mpmath.erfc(high / mpmath.sqrt(2))) / 2)
            p = gaussian(torch.zeros_like(x), torch.ones_like(x))
            ours = discretised_log_prob(p, x, w.item())
            assert ours.item() == pytest.approx(float(exact), rel=error, abs=error)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d, path: bound_terms("ddpm", path[0]), TypeError, "chain must be a diffusion chain, .* got str"),
        (lambda d, path: bound_terms(d, [[0.0]]), TypeError, "x0 must be"),
        (lambda d, path: bound_terms(d, torch.zeros(0, 2)), ValueError, "at least 1 points"),
        (lambda d, path: bound_terms(d, torch.zeros(2)), ValueError, r"shape \(n, D\)"),
        (lambda d, path: bound_terms(d, path[0] / 0), ValueError, "x0 must be finite"),
        (
            lambda d, path: one_step(torch.nn.Linear(1, 1), path[0]),
            TypeError,
            "chain must be a diffusion .* got Linear",
        ),
        (lambda d, path: one_step(d, None), TypeError, "x0 must be"),
        (lambda d, path: one_step(d, torch.zeros(0, 2)), ValueError, "at least 1 points"),
        (lambda d, path: one_step(d, torch.zeros(2, 2, 2)), ValueError, r"shape \(n, D\)"),
        *(
            case
            for rows in (forward_form, posterior_form, kl_form)
            for case in (
                (lambda d, path, rows=rows: rows(None, path), TypeError, "chain must be a diffusion chain"),
                (lambda d, path, rows=rows: rows(d, path[:-1]), ValueError, "x_0, ..., x_T, 4 tensors, got 3"),
                (lambda d, path, rows=rows: rows(d, [*path, path[0]]), ValueError, "4 tensors, got 5"),
                (
                    lambda d, path, rows=rows: rows(d, [*path[:-1], path[0] / 0]),
                    ValueError,
                    r"path\[3\] must be finite",
                ),
                (lambda d, path, rows=rows: rows(d, []), ValueError, "4 tensors, got 0"),
                (lambda d, path, rows=rows: rows(d, [*path[:-1], "x"]), TypeError, r"path\[3\] must be"),
                (
                    lambda d, path, rows=rows: rows(d, [x[0] for x in path]),
                    ValueError,
                    r"path\[0\] must have shape \(n, D\)",
                ),
                (lambda d, path, rows=rows: rows(d, [*path[:-1], path[0][:1]]), ValueError, r"the shape of path\[0\]"),
                (
                    lambda d, path, rows=rows: rows(d, [path[0][:1], *path[1:]]),
                    ValueError,
                    r"path\[1\] must have the sh",
                ),
                (lambda d, path, rows=rows: rows(d, [x[:0] for x in path]), ValueError, "at least 1 points"),
            )
        ),
        (lambda d, path: discretised_log_prob("p", path[0], 0.1), TypeError, "p must be a Gaussian, got str"),
        (
            lambda d, path: discretised_log_prob(Independent(Bernoulli(torch.full((2, 2), 0.5)), 1), path[0], 0.1),
            TypeError,
            "p must be a Gaussian",
        ),
        (
            lambda d, path: discretised_log_prob(standard_normal(torch.zeros(3, 4)), torch.zeros(3, 2), 0.1),
            ValueError,
            r"p must have shape \(..., 2\), as x, got \(3, 4\)",
        ),
        (
            lambda d, path: discretised_log_prob(standard_normal(torch.zeros(3, 1)), torch.zeros(3, 2), 0.1),
            ValueError,
            r"p must have shape \(..., 2\), as x, got \(3, 1\)",
        ),
        (lambda d, path: discretised_log_prob(standard_normal(path[0]), 0.0, 0.1), TypeError, "x must be"),
        (lambda d, path: discretised_log_prob(standard_normal(path[0]), path[0][0], 0.1), ValueError, r"\(n, D\)"),
        (lambda d, path: discretised_log_prob(standard_normal(path[0]), path[0], 0.0), ValueError, "width must be"),
        (lambda d, path: discretised_log_prob(standard_normal(path[0]), path[0], math.inf), ValueError, "width must"),
        (lambda d, path: discretised_log_prob(standard_normal(path[0]), path[0], "w"), TypeError, "width must be"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(model(3, "beta"), [torch.zeros(2, 2)] * 4)
