"""Every number that the errata state is computed here, and every error that is no equation is shown by a computation.

The errors that are equations go through the checker, in both forms: see ``errata_equations``.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
import torch
from errata_demonstrations import (
    DEMONSTRATED,
    LINE,
    STEP,
    at_the_end,
    average,
    best_factor,
    column,
    covariance,
    demonstrates,
    entropy,
    given,
    normal,
    perfect,
    seeded,
    standard_normal_nodes,
    steps_of,
    walk,
    x_t,
)
from errata_equations import ERRATA
from notebooks import ROOT
from test_notebooks import NUMBER, STRUCTURE, prose
from torch.distributions import kl_divergence

from diffusion_notes.chains import Affine, LinearGaussianChain
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import (
    ForwardProcess,
    bound_terms,
    discretised_log_prob,
    forward_form,
    kl_form,
    posterior_form,
)
from diffusion_notes.distributions import draw, gaussian
from diffusion_notes.hierarchical_vae import splits
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_constant, variational_weight
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

TEXT = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
WITHOUT = {
    54: "what it is about was measured on images, by Ho et al.; nothing small enough to run here can show it",
}
"""Entries that are neither an equation nor shown by a computation, and why."""

SHORT, LONG = Schedule.linear(T=50), Schedule.linear(T=1000)
COARSE = Schedule.linear(T=5, beta_1=0.1, beta_T=0.6)


def log_normal(x: float, variance: float) -> float:
    return -(x**2) / (2 * variance) - math.log(2 * math.pi * variance) / 2


def numbers() -> dict[str, float]:
    """By what is printed: what it should be."""
    s, a = 0.5, 0.1
    between, encoder = Affine.scalar(a, math.sqrt(1 - a**2)), Affine.scalar(1 / (1 + s**2), s / math.sqrt(1 + s**2))
    chain = LinearGaussianChain([Affine.scalar(1.0, s), between], [encoder, between])
    it = splits(chain, torch.tensor([[1.2]], dtype=torch.float64))
    return {
        "0.226": -log_normal(0, 1 / 4),
        "0.919": -log_normal(0, 1),
        "0.86": (it.printed - it.log_prob).item(),
        "0.00004": LONG.alpha_bar[-1].item(),
        "0.603": SHORT.alpha_bar[-1].item(),
        "0.276": LONG.alpha_bar[1:].mean().item(),  # each coordinate's smallest loss is alpha_bar, for N(0, 1) data
        "1.419": entropy(1.0),
    }


def test_every_number_is_computed():
    body = re.sub(r"^\d+\. ", "", TEXT, flags=re.MULTILINE)
    stated = set(NUMBER.findall(prose(body))) - STRUCTURE - {"1000", "50"}  # the two T
    stated -= {str(n) for n in range(1, 11)}  # the post's equations
    assert stated == set(numbers())
    for text, value in numbers().items():
        assert round(value, len(text.partition(".")[2])) == float(text), text


def test_they_are_numbered_in_order_and_of_one_of_three_kinds():
    entries = re.findall(r"^(\d+)\. \*\*.*?\*\* \((\w+)", TEXT, re.MULTILINE)
    assert [int(n) for n, _ in entries] == list(range(1, len(entries) + 1))
    assert len(entries) > 60
    assert {kind for _, kind in entries} == {"wrong", "slip", "loose"}


def test_every_entry_is_an_equation_or_demonstrated_or_says_why_not():
    listed = {int(n) for n in re.findall(r"^(\d+)\. ", TEXT, re.MULTILINE)}
    computed = {entry.number for entry in ERRATA} | set(DEMONSTRATED)
    assert computed | set(WITHOUT) == listed
    assert not computed & set(WITHOUT)
    assert all(name in globals() for name in DEMONSTRATED.values())  # or pytest would not see it


# The VAE


@demonstrates(2)
def test_whether_the_prior_is_learned_decides_what_the_model_can_be():
    """Data N(0, 2), and a decoder N(x; z, 1/4) that is not learned."""

    def surprise(prior_variance):
        prior = normal(0, prior_variance).log_prob(LINE)

        def at(n):
            decoder = normal(LINE, 1 / 4).log_prob(math.sqrt(2) * n.unsqueeze(-1))
            return -(decoder + prior).logsumexp(-1) - math.log(STEP)

        return average(at)

    fixed, learned = surprise(1), min(surprise(v / 4) for v in range(1, 12))
    assert learned == pytest.approx(entropy(2), abs=1e-6)
    assert fixed > learned + 0.05


@demonstrates(4)
def test_the_right_average_needs_exponentially_many_samples_and_the_printed_one_goes_to_the_wrong_place():
    prior, dims = normal(0, 1).log_prob(LINE).exp() * STEP, torch.tensor([1, 10, 20])

    def decoder(x, w):
        return normal(w * LINE, 1 / 4).log_prob(x)

    log_p = decoder(torch.tensor(1.0), 1)  # of one coordinate; all of them are alike
    first, second = ((log_p.exp() ** k * prior).sum() for k in (1, 2))
    right = (second / first**2) ** dims - 1  # relative variance of one sample: of a product, and of a sum
    first, second = ((log_p**k * prior).sum() for k in (1, 2))
    printed = (second / first**2 - 1) / dims
    assert (right[1:] / right[:-1] > 100).all()
    assert (printed[1:] < printed[:-1]).all()

    slopes = [w / 20 for w in range(21)]  # data N(0, 1), so the best is w² + 1/4 = 1
    printed_best = max(slopes, key=lambda w: average(lambda n: (decoder(n.unsqueeze(-1), w) * prior).sum(-1)))
    best = max(slopes, key=lambda w: average(lambda n: (decoder(n.unsqueeze(-1), w).exp() * prior).sum(-1).log()))
    assert printed_best == 0
    assert best == pytest.approx(math.sqrt(3 / 4), abs=0.026)


@demonstrates(6)
def test_a_q_that_is_zero_somewhere_makes_the_average_too_small_and_the_bound_looser():
    vae = LinearGaussianChain([Affine.scalar(1.0, 0.5)], [Affine.scalar(0.8, math.sqrt(0.2))])  # q is the posterior
    log_joint = normal(LINE, 1 / 4).log_prob(torch.tensor(1.0)) + normal(0, 1).log_prob(LINE)
    log_p = vae.log_prob(column(1.0)).item()

    def average_and_bound(log_q):
        inside = log_q > -math.inf
        q, log_ratio = log_q[inside].exp() * STEP, (log_joint - log_q)[inside]
        return (q * log_ratio.exp()).sum().log().item(), (q * log_ratio).sum().item()

    whole = vae.infer(column(1.0), 1).base_dist.log_prob(LINE).squeeze(0)
    half = torch.where(LINE < 0.8, whole, -math.inf)
    half -= half.logsumexp(-1) + math.log(STEP)
    assert average_and_bound(whole) == pytest.approx((log_p, log_p), abs=1e-9)
    log_average, bound = average_and_bound(half)
    assert log_average == pytest.approx(log_p - math.log(2), abs=0.02)
    assert bound <= log_average + 1e-12


# The diffusion model


@demonstrates(13)
def test_the_variables_of_t_steps_are_one_more_than_t():
    ddpm = perfect(COARSE)
    assert len(walk(ddpm, column(1.0))) == ddpm.length + 1
    assert len(steps_of(ddpm).joint().mean) == ddpm.length + 1


@demonstrates(14)
def test_averaged_over_the_model_the_surprise_goes_below_the_entropy_of_the_data():
    data, model = normal(0, 1), normal(0, 1 / 4)
    under_p = average(lambda n: -model.log_prob(n / 2))
    under_q = average(lambda n: -model.log_prob(n))
    assert under_p < data.entropy() - 0.6
    assert under_q > data.entropy() + 0.6


@demonstrates(15)
@pytest.mark.parametrize("variance", [1 / 4, 2.0])
def test_the_bound_depends_on_the_prior_that_is_never_said(variance):
    """The averages of L_T for p(x_T) = N(0, 1), and for p(x_T) = q(x_T), which nothing printed rules out."""
    end, usual = at_the_end(SHORT, 0.0, variance), normal(0, 1)
    costs = [
        average(lambda n, p=p: kl_divergence(at_the_end(SHORT, math.sqrt(variance) * n, 0.0), p)) for p in (usual, end)
    ]
    assert costs[0] - costs[1] == pytest.approx(kl_divergence(end, usual).item(), rel=1e-9)
    assert costs[0] > costs[1] + 0.05


@demonstrates(17)
def test_l_bounds_the_surprise_from_above_and_the_calligraphic_l_its_negative_from_below():
    ddpm, x0 = perfect(COARSE, factor=1.3), column(0.7)
    chain = steps_of(ddpm)
    lower, log_p = chain.exact_elbo(x0).total.item(), chain.log_prob(x0).item()
    L = posterior_form(ddpm, walk(ddpm, x0.expand(20_000, 1))).sum(0)
    error = L.std().item() / len(L) ** 0.5
    assert L.mean().item() == pytest.approx(-lower, abs=4 * error)
    assert lower < log_p < 0
    assert abs(L.mean().item() - lower) > 100 * error


@demonstrates(18)
def test_the_bound_of_one_point_may_lie_below_the_entropy_and_its_average_over_the_data_may_not():
    ddpm = perfect(SHORT, factor=1.05)
    chain = steps_of(ddpm)
    one = -chain.exact_elbo(column(0.0)).total.item()
    every = average(lambda n: -chain.exact_elbo(n.unsqueeze(-1)).total)
    assert one < entropy(1) - 0.3
    assert every > entropy(1)
    path = walk(ddpm, torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    sampled = forward_form(ddpm, path).sum(0)  # x_0 drawn as well: over q(x_{0:T})
    assert sampled.mean().item() == pytest.approx(every, abs=4 * sampled.std().item() / len(sampled) ** 0.5)


@demonstrates(20)
def test_q_at_the_end_is_near_a_standard_gaussian_only_if_little_of_the_data_is_left():
    def apart(schedule):
        return kl_divergence(at_the_end(schedule, 2.0, 1 / 4), normal(0, 1)).item()

    t = torch.arange(1, 2001, dtype=torch.float64)
    summable = Schedule(torch.cat((t.new_zeros(1), 0.1 / t**2)))
    assert apart(SHORT) > 1
    assert 0 < apart(LONG) < 1e-4
    assert apart(summable) > 1  # many steps alone do not do it


@demonstrates(21)
def test_one_random_t_is_unbiased_only_if_multiplied_by_the_number_of_terms():
    ddpm, x0 = perfect(COARSE, factor=1.2), column(0.7)
    exact, n = -steps_of(ddpm).exact_elbo(x0).total.item(), 40_000
    each = bound_terms(ddpm, x0.expand(n, 1), seeded()).each
    one = each[torch.randint(COARSE.T, (n,), generator=seeded()), torch.arange(n)]
    for factor, unbiased in ((COARSE.T, True), (1, False)):
        estimate = each[-1] + factor * one  # L_T is known
        assert (abs(estimate.mean().item() - exact) < 4 * estimate.std().item() / n**0.5) == unbiased


@demonstrates(22)
def test_what_the_turn_does_to_which_variance():
    """A schedule that ends in noise, a perfect model, and one x_0."""
    schedule, x0 = Schedule.linear(T=100, beta_T=0.2), column(0.5).expand(1000, 1)
    less, ddpm, more = (perfect(schedule, factor=factor) for factor in (0.9, 1.0, 1.1))
    path = walk(ddpm, x0)
    before, after, kl = (rows(ddpm, path) for rows in (forward_form, posterior_form, kl_form))

    def spread_of_one(rows):
        """The standard deviation of one random row, times their number."""
        return (len(rows) * rows.square().mean(1).sum() - rows.mean(1).sum() ** 2).sqrt()

    torch.testing.assert_close(before.sum(0), after.sum(0), rtol=0, atol=1e-9)  # Bayes' rule changes no path
    assert before.sum(0).std() < 1e-9 < 1 < kl.sum(0).std()  # the whole sum: noisier
    constant = variational_constant(schedule, schedule.beta, 1)[1:].unsqueeze(1)
    assert spread_of_one(kl[:-1]) > spread_of_one(before[:-1])  # a single term: quieter without its constant only
    assert spread_of_one(kl[:-1] - constant) < 0.7 * spread_of_one(before[:-1])

    def slope(rows):  # in the factor of all predictions, in which every term is a parabola
        return (rows(more, path) - rows(less, path))[1:-1] / 0.2

    walked, averaged = slope(forward_form), slope(kl_form)
    assert (averaged.std(1) < walked.std(1)).all()
    assert spread_of_one(averaged) < spread_of_one(walked) / 5


@demonstrates(23)
def test_for_a_data_set_q_is_a_finite_mixture_and_its_reverse_is_no_gaussian():
    """The data set -1, 1, and x_2 = 0. Also: with x_0 given the reverse is a Gaussian, which is why (1) helps."""
    q, data, above = ForwardProcess(COARSE), column(-1.0, 1.0), column(0.0)
    log_below = (q.marginal(data.unsqueeze(1), 1).log_prob(LINE.unsqueeze(-1)).logsumexp(0)) - math.log(2)
    log_q = q.marginal(data, 2).log_prob(above).logsumexp(0) - math.log(2)  # the mixture
    up = q.step(LINE.unsqueeze(-1), 2).log_prob(above)
    reverse = (up + log_below - log_q).exp()
    known = (up + q.marginal(data[:1], 1).log_prob(LINE.unsqueeze(-1)) - q.marginal(data[:1], 2).log_prob(above)).exp()
    for density, gaussian_one in ((reverse, False), (known, True)):
        assert (density.sum() * STEP).item() == pytest.approx(1, abs=1e-9)
        mean = (LINE * density).sum() * STEP
        second, fourth = (((LINE - mean) ** k * density).sum() * STEP for k in (2, 4))
        assert ((fourth / second**2 - 3).abs() < 1e-6) == gaussian_one


@demonstrates(25)
def test_the_forward_posterior_is_determined_before_it_is_written_out():
    """From the three densities that were known before it, at every x_{t-1}: nothing is left to choose."""
    q, x0, xt, t, below = ForwardProcess(COARSE), column(0.7), column(-0.3), 3, LINE.unsqueeze(-1)
    log_density = q.step(below, t).log_prob(xt) + q.marginal(x0, t - 1).log_prob(below) - q.marginal(x0, t).log_prob(xt)
    weight, written = log_density.exp() * STEP, q.posterior(xt, x0, t)
    mean = (LINE * weight).sum()
    moments = [weight.sum().item(), mean.item(), ((LINE - mean) ** 2 * weight).sum().item()]
    assert moments == pytest.approx([1, written.mean.item(), written.variance.item()], abs=1e-9)


@demonstrates(26)
def test_the_sum_alone_leaves_the_first_density_standing():
    ddpm = perfect(COARSE)
    path = walk(ddpm, column(0.7))
    log_q = [ddpm.q.marginal(path[0], t).log_prob(path[t]).item() for t in range(1, COARSE.T + 1)]
    inside = sum(above - below for below, above in pairwise(log_q))
    assert abs(inside - log_q[-1]) > 0.1
    assert inside + log_q[0] == pytest.approx(log_q[-1], abs=1e-12)


@demonstrates(30)
def test_l_t_can_be_large_when_q_ends_exactly_at_a_standard_gaussian():
    usual, C = normal(0, 1), covariance(SHORT)
    assert kl_divergence(at_the_end(SHORT, 0.0, 1.0), usual).item() == pytest.approx(0, abs=1e-12)
    cost = average(lambda n: kl_divergence(at_the_end(SHORT, n, 0.0), usual))
    assert cost == pytest.approx(math.log(C[0, 0] / given(C, 0, SHORT.T)) / 2, rel=1e-9)  # what x_T knows of x_0
    assert cost > 0.4


@demonstrates(32)
def test_a_divergence_in_closed_form_still_depends_on_what_is_left_to_average():
    ddpm = perfect(COARSE, factor=1.3)

    def divergence(x0, noise, t=3):
        x0, xt = (x.unsqueeze(-1) for x in (x0, x_t(COARSE, t, x0, noise)))
        return kl_divergence(ddpm.q.posterior(xt, x0, t), ddpm.step(xt, t)) if t > 1 else -ddpm.step(xt, t).log_prob(x0)

    each = [average(lambda x, n, t=t: divergence(x, n, t), numbers=2) for t in range(1, COARSE.T + 1)]
    stages = [
        divergence(*torch.zeros(2, 1, dtype=torch.float64)).item(),
        average(lambda n: divergence(0 * n, n)),
        each[2],
        sum(each[1:]),
    ]
    assert all(abs(after - before) > 0.01 for before, after in pairwise(stages))
    # with everything averaged it is the bound, here of data with E[x_0²] = 1, in which the bound is a parabola
    prior = average(lambda n: kl_divergence(at_the_end(COARSE, n, 0.0), normal(0, 1)))
    assert prior + sum(each) == pytest.approx(-steps_of(ddpm).exact_elbo(column(1.0)).total.item(), rel=1e-9)


@demonstrates(33)
def test_a_density_and_a_probability_of_boxes_differ_by_d_log_w():
    x, w = torch.tensor([[0.3, -1.2]], dtype=torch.float64), 1e-3
    p = perfect(LONG).step(x / LONG.alpha[1].sqrt() + 0.005, 1)
    cdf = p.base_dist.cdf
    density, box = -p.log_prob(x).item(), -(cdf(x + w / 2) - cdf(x - w / 2)).log().sum().item()
    assert density < 0 < box
    assert box - density == pytest.approx(-2 * math.log(w), rel=1e-3)
    assert -discretised_log_prob(p, x, w).item() == pytest.approx(box, rel=1e-6)


@demonstrates(34)
def test_a_fixed_first_step_costs_something_and_the_schedule_can_be_learned():
    """Sohl-Dickstein et al. take p(x_0|x_1) = q(x_1|x_0) π(x_0) / π(x_1) with π = N(0, 1); the data are N(0, 1/4)."""
    q, pi, x0, x1 = ForwardProcess(COARSE), normal(0, 1), column(0.7), column(-0.2)
    fixed = gaussian(COARSE.alpha[1].sqrt() * x1, COARSE.beta[1].sqrt())
    by_bayes = q.marginal(x0, 1).log_prob(x1) + (pi.log_prob(x0) - pi.log_prob(x1)).squeeze(-1)
    torch.testing.assert_close(fixed.log_prob(x0), by_bayes)

    ddpm, data = perfect(COARSE, 1 / 4), column(0.5)  # the bound is a parabola in x_0, so E[x_0²] = 1/4 is enough
    chain = steps_of(ddpm)
    first = Affine.scalar(COARSE.alpha[1].sqrt().item(), COARSE.beta[1].sqrt().item())
    theirs = LinearGaussianChain([first, *chain.generative[1:]], chain.inference)
    assert theirs.exact_elbo(data).total.item() < chain.exact_elbo(data).total.item() - 0.01

    def bound(beta):
        up = [Affine((1 - b).sqrt().reshape(1, 1), b.new_zeros(1), b.sqrt()) for b in beta]
        return LinearGaussianChain(chain.generative, up).exact_elbo(data).total.sum()

    beta = COARSE.beta[1:].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bound(beta), beta)
    assert gradient.norm() > 0.1
    assert bound(beta + 1e-3 * gradient) > bound(beta)


# Predicting the noise


def noise_mmse(schedule, variance):
    """Var(ε | x_t) for data N(0, variance), as a table over t: the covariance of ε and x_t is √(1 - ᾱ_t)."""
    return 1 - schedule.one_minus_alpha_bar / covariance(schedule, variance).diagonal()


def weighted_terms(schedule, variance, sigma_squared):
    weight = variational_weight(schedule, sigma_squared)
    return weight * noise_mmse(schedule, variance) + variational_constant(schedule, sigma_squared, 1)


@demonstrates(37)
def test_the_best_variance_depends_on_the_data_and_lies_between_the_two_if_theirs_is_at_most_one():
    t, grid = 3, torch.logspace(-1, 0.2, 241, dtype=torch.float64).tolist()
    best = {}
    for variance in (1e-6, 1 / 4, 1.0, 4.0):
        cost = {value: weighted_terms(COARSE, variance, torch.full_like(COARSE.beta, value))[t] for value in grid}
        best[variance] = min(cost, key=cost.get)
        # that of q(x_{t-1} | x_t), from the joint Gaussian
        assert best[variance] == pytest.approx(given(covariance(COARSE, variance), t - 1, t).item(), rel=0.01)
    small, large = COARSE.beta_tilde[t].item(), COARSE.beta[t].item()
    assert [best[1e-6], best[1.0]] == pytest.approx([small, large], rel=0.01)
    assert 1.02 * small < best[1 / 4] < 0.98 * large
    assert best[4.0] > 1.02 * large


def test_on_the_roll_the_choice_whose_constant_vanishes_is_the_expensive_one():
    """Also of entry 37. The smallest loss is computed at t = 2 and 10, between which it is nearly a straight line."""
    ends = SwissRoll().noise_mmse(LONG.alpha_bar[[2, 10]])
    loss = ends[0] + (ends[1] - ends[0]) * torch.arange(9, dtype=torch.float64) / 8
    large, small = LONG.beta, LONG.sigma_tilde.square()
    constant = variational_constant(LONG, large, 2)
    assert (variational_constant(LONG, small, 2)[2:].abs() < 1e-12).all()
    dearer = (variational_weight(LONG, small) - variational_weight(LONG, large))[2:11] * loss - constant[2:11]
    assert dearer.sum() > 0.5
    assert dearer.sum() > 5 * constant[11:].sum()  # which is more than the other t can give back


@demonstrates(41)
def test_the_constant_depends_on_t_and_d_and_the_variance_and_cannot_be_dropped_where_that_is_chosen():
    def constant(t, dim, sigma_squared):
        zero = torch.zeros(dim, dtype=torch.float64)
        return kl_divergence(gaussian(zero, COARSE.beta_tilde[t].sqrt()), gaussian(zero, sigma_squared.sqrt())).item()

    beta = COARSE.beta
    values = [constant(3, 1, beta[3]), constant(4, 1, beta[4]), constant(3, 2, beta[3]), constant(3, 1, 2 * beta[3])]
    assert len({round(value, 3) for value in values}) == 4
    sigma_squared = torch.logspace(-2, 2, 401, dtype=torch.float64)
    whole = kl_divergence(normal(0, COARSE.beta_tilde[3]), normal(0.4, sigma_squared))
    distance = 0.4**2 / (2 * sigma_squared)
    assert sigma_squared[whole.argmin()].item() == pytest.approx(COARSE.beta_tilde[3].item() + 0.4**2, rel=0.02)
    assert distance.argmin() == len(sigma_squared) - 1  # without the constant: as large as it may be


@demonstrates(42)
def test_at_the_first_step_the_divergence_has_no_value_and_the_reconstruction_has():
    """x_0 is given, so q(x_0 | x_1, x_0) is narrower than any Gaussian."""
    x0, x1 = column(0.7), column(0.5)
    p = perfect(COARSE).step(x1, 1)
    costs = [kl_divergence(gaussian(x0, torch.full_like(x0, std)), p).item() for std in (1e-2, 1e-50, 1e-100)]
    assert costs[1] - costs[0] == pytest.approx(math.log(1e48), rel=1e-3)
    assert costs[2] - costs[1] == pytest.approx(math.log(1e50), rel=1e-3)
    assert abs(p.log_prob(x0).item()) < 2


@demonstrates(47)
def test_the_target_is_affine_in_the_pair_and_what_is_learned_is_affine_in_x_t_only_for_a_gaussian():
    t, xt = 2, column(0.0, 0.5, 1.0)
    node, weight = standard_normal_nodes(60)
    two_points = torch.tensor([-1.0, 1.0], dtype=torch.float64)

    def bend(x0, weight):
        """The second difference of E[ε | x_t], by Bayes' rule over the data."""
        mean, variance = COARSE.sqrt_alpha_bar[t] * x0, COARSE.one_minus_alpha_bar[t]
        given_xt = (weight.log() + normal(mean, variance).log_prob(xt)).softmax(-1)
        low, middle, high = (given_xt * (xt - mean) / variance.sqrt()).sum(-1)
        return abs(low - 2 * middle + high).item()

    assert bend(node, weight) < 1e-9
    assert bend(two_points, torch.ones_like(two_points)) > 0.1
    low, high = ForwardProcess(COARSE).posterior(column(0.5, 0.5), two_points.unsqueeze(-1), t).mean
    assert abs(low - high) > 0.1  # so the target is no function of x_t, affine or not


@demonstrates(48)
def test_only_the_noise_that_made_this_x_t_gives_the_mean():
    t, x0, noise = 3, column(0.7), -1.2
    xt = x_t(COARSE, t, x0, noise)
    target = ForwardProcess(COARSE).posterior(xt, x0, t).mean.item()
    guesses = torch.linspace(-3, 3, 61, dtype=torch.float64)
    means = (xt.squeeze() - COARSE.beta[t] / COARSE.sqrt_one_minus_alpha_bar[t] * guesses) / COARSE.sqrt_alpha[t]
    assert guesses[(means - target).abs() < 1e-9].tolist() == pytest.approx([noise])


@demonstrates(49)
def test_a_step_of_the_sampler_is_given_x_t_from_which_neither_x_0_nor_the_noise_can_be_told():
    ddpm, t, noise = perfect(COARSE), 3, column(-1.0, 0.5)
    x0 = (0.4 - COARSE.sqrt_one_minus_alpha_bar[t] * noise) / COARSE.sqrt_alpha_bar[t]
    xt = x_t(COARSE, t, x0, noise)
    steps, targets = ddpm.step(xt, t).mean, ddpm.q.posterior(xt, x0, t).mean
    assert abs(steps[0] - steps[1]).item() < 1e-12
    assert abs(targets[0] - targets[1]).item() > 0.1


@demonstrates(52)
def test_what_is_omitted_is_a_weight_that_depends_on_t():
    """For a network that cannot serve all t alike, leaving the weight out changes the answer, by how it varies only."""
    weight = variational_weight(SHORT, SHORT.beta)[1:]
    one = torch.ones_like(weight)
    assert weight.max() > 5 * weight.min()
    assert best_factor(SHORT, 3 * one) == pytest.approx(best_factor(SHORT, one), rel=1e-12)
    assert abs(best_factor(SHORT, weight) - best_factor(SHORT, one)) > 0.02


@demonstrates(53)
def test_with_its_weights_it_is_the_bound_and_without_them_less_than_any_bound_can_be():
    """Standard normal data and a perfect model, for which the bound is reached."""
    prior = average(lambda n: kl_divergence(at_the_end(SHORT, n, 0.0), normal(0, 1)))
    assert prior + weighted_terms(SHORT, 1.0, SHORT.beta).sum().item() == pytest.approx(entropy(1), rel=1e-9)
    assert noise_mmse(SHORT, 1.0)[1:].mean() < entropy(1) - 0.5


@demonstrates(57)
def test_the_law_of_t_is_the_weighting():
    weight = variational_weight(SHORT, SHORT.beta)[1:]
    law = weight / weight.sum()
    t = torch.multinomial(law, 200_000, replacement=True, generator=seeded())
    drawn = torch.bincount(t, minlength=SHORT.T) / len(t)
    uniform = torch.full_like(law, 1 / SHORT.T)
    as_in_the_bound, not_weighted = (best_factor(SHORT, w) for w in (weight, uniform))
    # no weight in the loss, but t drawn in proportion to it
    assert best_factor(SHORT, drawn) == pytest.approx(as_in_the_bound, rel=0.01)
    assert abs(not_weighted - as_in_the_bound) > 0.02


# The interpretation


@demonstrates(58)
def test_every_layer_pulls_at_the_objective():
    """Each layer may have its own factor a_t here; (10) has a slope in all of them, a single layer's term in one."""
    noise, variance = SHORT.one_minus_alpha_bar[1:], covariance(SHORT).diagonal()[1:]
    a = torch.zeros(SHORT.T, dtype=torch.float64, requires_grad=True)
    loss = 1 - 2 * a * noise.sqrt() + a**2 * variance
    (of_all,) = torch.autograd.grad(loss.mean(), a, retain_graph=True)
    (of_one,) = torch.autograd.grad(loss[9], a)
    assert torch.count_nonzero(of_all) == SHORT.T
    assert torch.count_nonzero(of_one) == 1


@demonstrates(59)
def test_the_divergence_is_not_symmetric_and_cannot_be_made_zero():
    t, q, C = 3, ForwardProcess(COARSE), covariance(COARSE)

    def expected(slope, variance, order=1):
        def divergence(x0, noise):
            x0, xt = (x.unsqueeze(-1) for x in (x0, x_t(COARSE, t, x0, noise)))
            return kl_divergence(*(q.posterior(xt, x0, t), gaussian(slope * xt, variance.sqrt()))[::order])

        return average(divergence, numbers=2)

    known = math.log(given(C, t - 1, t) / given(C, t - 1, t, 0)) / 2  # what x_0 says of x_{t-1} beyond x_t
    slope, variance = C[t - 1, t] / C[t, t], given(C, t - 1, t)
    assert expected(slope, variance) == pytest.approx(known, rel=1e-9)
    assert known > 0.1
    others = [(a, v) for a in (-0.1, 0, 0.1) for v in (0.8, 1, 1.25) if (a, v) != (0, 1)]
    assert min(expected(slope + a, v * variance) for a, v in others) > known
    assert abs(expected(slope, variance, order=-1) - known) > 0.1


@demonstrates(60)
def test_up_and_back_down_a_point_does_not_return_but_the_distribution_does():
    schedule, generator = Schedule.linear(T=50, beta_T=0.1), seeded()
    ddpm = perfect(schedule)
    x0 = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    back = ddpm.sample(draw(ddpm.q.marginal(x0, schedule.T), generator), generator)
    assert back.var().item() == pytest.approx(1, rel=0.05)
    # up and down both shrink by √α_t at each step, so the covariance of the two ends is ᾱ_T
    assert (back - x0).square().mean().item() == pytest.approx(2 * (1 - schedule.alpha_bar[-1].item()), rel=0.05)
    xt = column(1.0)
    for t in range(2, schedule.T + 1):  # a step takes away a part of E[ε | x_t], and then adds noise
        taken, all_of_it = xt - schedule.sqrt_alpha[t] * ddpm.step(xt, t).mean, ddpm.network(xt, t)
        assert 0 < taken < schedule.sqrt_one_minus_alpha_bar[t] * all_of_it


@demonstrates(61)
def test_the_bound_reaches_the_logarithm_and_the_training_objective_is_no_bound():
    """A perfect model of standard normal data."""
    ddpm, x0 = perfect(SHORT), column(0.0, 0.5, 2.0)
    bound, log_p = steps_of(ddpm).exact_elbo(x0).total, normal(0, 1).log_prob(x0).squeeze(-1)
    torch.testing.assert_close(bound, log_p)
    assert (log_p.exp() - bound >= 1).all()  # so it stays far from the likelihood itself

    def loss(t):
        return average(lambda x0, n: (n - ddpm.network(x_t(SHORT, t, x0, n).unsqueeze(-1), t).squeeze(-1)) ** 2, 2)

    objective = sum(loss(t) for t in range(1, SHORT.T + 1)) / SHORT.T
    assert objective == pytest.approx(SHORT.alpha_bar[1:].mean().item(), rel=1e-9)
    assert -objective > average(normal(0, 1).log_prob) + 0.3


@demonstrates(62)
def test_something_of_x_0_is_always_left_and_in_one_published_schedule_too_much():
    root = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    scaled = Schedule(torch.cat((root.new_zeros(1), root**2)))  # of Stable Diffusion
    for schedule in (LONG, Schedule.cosine(T=1000), scaled):
        end = at_the_end(schedule, 1.0, 0.0)
        assert 0 < end.mean < 0.1
        assert kl_divergence(end, normal(0, 1)) > 0
    assert round(end.mean.item(), 6) == 0.068265  # table 1 of Lin et al.


@demonstrates(63)
def test_the_lower_latents_know_nearly_everything_and_all_of_them_no_more_than_the_first():
    C = covariance(SHORT)

    def information(*latents):
        return math.log(C[0, 0] / given(C, 0, *latents)) / 2

    assert information(*range(1, SHORT.T + 1)) == pytest.approx(information(1), rel=1e-6)
    assert information(1) > 4.5
    assert information(SHORT.T) < 0.5


@demonstrates(64)
def test_with_a_linear_q_between_different_dimensions_the_turned_bound_is_the_bound():
    generator = seeded()

    def step(below, above, std):
        weight = torch.randn(below, above, generator=generator, dtype=torch.float64)
        return Affine(weight, torch.zeros(below, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))

    chain = LinearGaussianChain([step(3, 2, 0.5), step(2, 1, 0.8)], [step(2, 3, 0.6), step(1, 2, 0.7)])
    it = splits(chain, torch.randn(5, 3, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(it.posterior_form, it.elbo)
    assert (it.elbo < it.log_prob).all()
    assert (it.repaired - it.elbo).abs().min() > 0.01


@demonstrates(65)
def test_one_step_for_one_t_changes_all_layers_that_share_their_parameters():
    network = NoiseMLP(SHORT, dim=1, generator=seeded()).double()
    ddpm, xt, times = DDPM(network, SHORT), column(-1.0, 0.3, 2.0), range(1, SHORT.T + 1)
    before = torch.stack([ddpm.step(xt, t).mean for t in times]).detach()
    (network(xt, 10) - 1).square().sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.01 * parameter.grad
    after = torch.stack([ddpm.step(xt, t).mean for t in times])
    assert ((after - before).abs().amax((1, 2)) > 1e-6).all()


@demonstrates(66)
def test_a_process_without_a_closed_form_is_sampled_by_running_it():
    """Two wells. The density, evolved on a line, is only needed to see that the samples have it."""
    line, steps, n, variance = torch.linspace(-3, 3, 241, dtype=torch.float64), 8, 50_000, 0.05

    def drift(x):
        return x + 0.3 * (x - x**3)

    noise = math.sqrt(variance) * torch.randn(steps, n, generator=seeded(), dtype=torch.float64)
    kernel = normal(drift(line), variance).log_prob(line.unsqueeze(-1)).exp() * (line[1] - line[0])
    start = torch.tensor(0.1, dtype=torch.float64)
    density, sample = normal(drift(start), variance).log_prob(line).exp(), drift(start) + noise[0]
    for each in noise[1:]:
        density, sample = kernel @ density, drift(sample) + each
    for f in (torch.sin, torch.square, torch.sigmoid, lambda x: torch.cos(3 * x)):
        evolved, seen = (f(line) * density).sum() * (line[1] - line[0]), f(sample)
        assert seen.mean().item() == pytest.approx(evolved.item(), abs=4 * seen.std().item() / n**0.5)
    middle, well = (density[(line - place).abs().argmin()] for place in (0.0, 0.9))
    assert well > 1.5 * middle  # so it is no Gaussian
