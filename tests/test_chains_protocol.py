"""The one bound, against closed forms on linear-Gaussian chains of several lengths."""

from __future__ import annotations

import pytest
import torch
from test_chains_linear_gaussian import random_chain

from diffusion_notes.chains import (
    Affine,
    Bound,
    Chain,
    LinearGaussianChain,
    TopDownChain,
    elbo,
    importance_bound,
    infer_path,
    sample,
)
from diffusion_notes.chains.protocol import check_chain
from diffusion_notes.distributions import gaussian, standard_normal

float64 = {"dtype": torch.float64}
each_length = pytest.mark.parametrize("dims", [[2, 1], [2, 3, 1], [1, 2, 2, 3, 1, 2]], ids=len)


def points(dims, n=1):
    return torch.randn(n, dims[0], generator=torch.Generator().manual_seed(9), **float64)


@each_length
def test_every_term_is_estimated_without_bias(dims, generator):
    chain, x = random_chain(dims, 1), points(dims)
    exact = chain.exact_elbo(x).terms[:, 0]
    terms = elbo(chain, x.expand(200_000, -1), generator).terms
    assert terms.shape == (len(dims), 200_000)
    error = terms.std(1) / 200_000**0.5
    assert ((terms.mean(1) - exact).abs() <= 4.5 * error + 1e-12).all()


@each_length
def test_the_total_is_the_sum_and_its_error_is_honest(dims):
    chain, x = random_chain(dims, 2), points(dims)
    runs = [elbo(chain, x.expand(500, -1), torch.Generator().manual_seed(seed)) for seed in range(200)]
    torch.testing.assert_close(runs[0].total, runs[0].terms.sum(0))
    score = torch.stack([(run.mean - chain.exact_elbo(x).total) / run.standard_error for run in runs]).squeeze()
    assert abs(score.mean()) < 0.3
    assert 0.8 < score.std() < 1.2


def exact_posterior_chain(dims, seed):
    """A chain of length 1 whose q is the true posterior."""
    p = random_chain(dims, seed).generative[0]
    # an isotropic posterior needs orthogonal columns
    weight = torch.linalg.qr(p.weight)[0]
    variance = 1 / (1 + 1 / p.std**2)
    gain = variance / p.std**2 * weight.T
    return LinearGaussianChain([Affine(weight, p.bias, p.std)], [Affine(gain, -gain @ p.bias, variance.sqrt())])


def test_with_the_true_posterior_every_single_path_gives_log_p(generator):
    chain, x = exact_posterior_chain([3, 2], 4), points([3, 2], 50)
    torch.testing.assert_close(elbo(chain, x, generator).total, chain.log_prob(x))
    torch.testing.assert_close(importance_bound(chain, x, 3, generator), chain.log_prob(x))


@each_length
def test_more_importance_samples_come_closer_and_stay_below(dims, generator):
    chain, x = random_chain(dims, 6), points(dims)
    log_p, many = chain.log_prob(x), x.expand(20_000, -1)
    bounds = torch.stack([importance_bound(chain, many, k, generator) for k in (1, 4, 16)])
    mean, error = bounds.mean(1), bounds.std(1) / 20_000**0.5
    assert mean[0] < mean[1] < mean[2]
    assert (mean < log_p + 4 * error).all()
    assert abs(mean[0] - chain.exact_elbo(x).total) < 4.5 * error[0]


def test_one_importance_sample_is_the_elbo():
    chain, x = random_chain([2, 1], 8), points([2, 1], 5)
    one, two = (torch.Generator().manual_seed(3) for _ in range(2))
    torch.testing.assert_close(importance_bound(chain, x, 1, one), elbo(chain, x, two).total)


@each_length
def test_samples_have_the_marginal_of_the_model(dims, generator):
    chain, n = random_chain(dims, 10), 200_000
    x = sample(chain, points(dims).expand(n, -1), generator)
    joint = chain.joint()
    mean, covariance = joint.mean[: dims[0]], joint.covariance_matrix[: dims[0], : dims[0]]
    assert ((x.mean(0) - mean).abs() < 4.5 * (covariance.diagonal() / n).sqrt()).all()
    torch.testing.assert_close(x.T.cov().reshape(covariance.shape), covariance, rtol=0.03, atol=0.02)


def test_the_gradient_is_that_of_the_exact_bound(generator):
    """Reparameterised: the gradient of the estimate is an unbiased estimate of the gradient."""
    weight = torch.tensor([[0.5]], requires_grad=True, **float64)
    p = Affine(torch.tensor([[1.5]], **float64), torch.zeros(1, **float64), torch.tensor(0.7, **float64))
    q = Affine(weight, torch.zeros(1, **float64), torch.tensor(0.4, **float64))
    chain, x = LinearGaussianChain([p], [q]), torch.tensor([[0.8]], **float64)
    (exact,) = torch.autograd.grad(chain.exact_elbo(x).total.sum(), weight)
    estimates = []
    for _ in range(200):
        (gradient,) = torch.autograd.grad(elbo(chain, x.expand(500, -1), generator).mean, weight)
        estimates.append(gradient)
    estimates = torch.stack(estimates).flatten()
    assert abs(estimates.mean() - exact) < 4 * estimates.std() / 200**0.5


def test_the_parts_of_a_bound_have_names():
    bound = Bound(torch.arange(8.0).reshape(4, 2))
    assert bound.reconstruction.tolist() == [0, 1]
    assert bound.layers.tolist() == [[2, 3], [4, 5]]
    assert bound.prior.tolist() == [6, 7]
    assert bound.total.tolist() == [12, 16]
    assert bound.mean == 14
    with pytest.raises(AttributeError):
        bound.terms = bound.terms + 1
    assert bound.standard_error.item() == pytest.approx(2)


def test_a_chain_is_whatever_offers_the_four():
    assert isinstance(random_chain([1, 1], 0), Chain)
    assert not isinstance(torch.nn.Linear(1, 1), Chain)


def test_a_length_may_be_asked_for():
    chain = random_chain([1, 2, 1], 0)
    check_chain(chain)
    check_chain(chain, length=2)
    for length in (1, 3):
        with pytest.raises(ValueError, match=f"chain must have length {length}, got 2"):
            check_chain(chain, length=length)
    for length in (None, 1):
        with pytest.raises(TypeError, match="chain must have length, prior, infer and generate, got Linear"):
            check_chain(torch.nn.Linear(1, 1), length)


class TurnedAround:
    """A chain of single numbers, with the same p and the same q, which is walked from the top."""

    def __init__(self, chain):
        self.chain, self.length = chain, chain.length
        self.prior, self.generate = chain.prior, chain.generate

    def given_data(self, x, i):
        """The mean and the variance of q(z_i | x)."""
        mean, variance = x, 0.0
        for q in self.chain.inference[:i]:
            mean, variance = q(mean).mean, q.weight.square() * variance + q.std**2
        return mean, variance

    def infer_last(self, x):
        mean, variance = self.given_data(x, self.length)
        return gaussian(mean, variance.sqrt())

    def infer_below(self, z, x, i):
        """Of two Gaussians for z_{i-1}, the one that x gives and the one that z_i gives, the product."""
        assert 2 <= i <= self.length
        mean, variance = self.given_data(x, i - 1)
        q = self.chain.inference[i - 1]
        precision = 1 / variance + q.weight.square() / q.std**2
        return gaussian((mean / variance + q.weight * (z - q.bias) / q.std**2) / precision, precision.rsqrt())


@pytest.mark.parametrize("dims", [[1, 1], [1, 1, 1], [1, 1, 1, 1, 1]], ids=len)
def test_a_q_may_be_walked_from_the_top(dims, generator):
    """It is the same q, so on each path all terms together are the same; and so is the mean of the bound."""
    chain, x = random_chain(dims, 3), points(dims)
    turned, n = TurnedAround(chain), 50_000
    assert isinstance(turned, TopDownChain)
    assert not isinstance(chain, TopDownChain)
    path, log_q = infer_path(turned, x.expand(n, -1), generator.manual_seed(1))
    bound = elbo(turned, x.expand(n, -1), generator.manual_seed(1))
    up = sum(chain.infer(path[i - 1], i).log_prob(path[i]) for i in range(1, len(dims)))
    torch.testing.assert_close(sum(log_q), up)
    torch.testing.assert_close(log_q[-1], turned.infer_last(x).log_prob(path[-1]))
    for i in range(2, len(dims)):
        torch.testing.assert_close(log_q[i - 1], turned.infer_below(path[i], x, i).log_prob(path[i - 1]))
    p = sum(chain.generate(path[i], i).log_prob(path[i - 1]) for i in range(1, len(dims)))
    torch.testing.assert_close(bound.total, p + chain.prior(path[-1]).log_prob(path[-1]) - up)
    assert (bound.mean - chain.exact_elbo(x).total).abs() < 4.5 * bound.standard_error
    weighted = importance_bound(turned, x.expand(n, -1), 4, generator)
    assert bound.mean < weighted.mean() < chain.log_prob(x) + 4.5 * weighted.std() / n**0.5
    like = torch.zeros(5, 1, **float64)
    torch.testing.assert_close(
        sample(turned, like, generator.manual_seed(1)), sample(chain, like, generator.manual_seed(1))
    )


@each_length
def test_a_path_goes_up_from_the_data(dims):
    chain, x = random_chain(dims, 1), points(dims, 4)
    path, log_q = infer_path(chain, x, torch.Generator().manual_seed(1))
    assert path[0] is x
    assert [z.shape for z in path] == [(4, dim) for dim in dims]
    assert torch.equal(log_q[0], torch.zeros(4, **float64))
    for i in range(1, len(dims)):
        torch.testing.assert_close(log_q[i], chain.infer(path[i - 1], i).log_prob(path[i]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: elbo(torch.nn.Linear(1, 1), torch.zeros(1, 2)), TypeError, "chain must have length, prior"),
        (lambda c: elbo(c, torch.zeros(0, 2, **float64)), ValueError, "at least 1 points"),
        (lambda c: elbo(c, torch.zeros(2)), ValueError, r"shape \(n, D\)"),
        (lambda c: importance_bound(c, torch.zeros(1, 2, **float64), 0), ValueError, "samples must be at least 1"),
        (lambda c: importance_bound(c, torch.zeros(1, 2) / 0, 1), ValueError, "x must be finite"),
        (lambda c: importance_bound(c, torch.zeros(1, 2, **float64), 1.5), TypeError, "samples must be an integer"),
        (lambda c: sample(c, [[0.0]]), TypeError, "like must be"),
        (lambda c: infer_path("chain", torch.zeros(1, 2)), TypeError, "chain must have length, prior"),
        (lambda c: elbo(TurnedAround, torch.zeros(1, 2)), TypeError, "chain must have length, prior"),
        (lambda c: sample("chain", torch.zeros(1, 2)), TypeError, "chain must have"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(random_chain([2, 1], 0))


class Sized:
    """A chain of standard Gaussians whose generative step i makes points with that many coordinates."""

    def __init__(self, *dims):
        self.dims, self.length = dims, len(dims)

    def prior(self, like):
        return standard_normal(like)

    def infer(self, z, i):
        return standard_normal(z)

    def generate(self, z, i):
        return standard_normal(z.new_zeros(len(z), self.dims[i - 1]))


@pytest.mark.parametrize(("dims", "name"), [((2, 1, 1), "x"), ((1, 2, 1), "z"), ((1, 1, 2), "z")])
def test_a_step_that_makes_points_of_another_size_is_told_which(dims, name):
    elbo(Sized(1, 1, 1), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=rf"^{name} must have shape \(\.\.\., 2\), as what the model makes"):
        elbo(Sized(*dims), torch.zeros(4, 1))


@pytest.mark.parametrize("length", [1, 1000])
def test_a_long_chain_has_its_length(length):
    check_chain(Sized(*[1] * length), int(str(length)))  # equal to it, and not the same object
    with pytest.raises(ValueError, match=f"chain must have length {length + 1}, got {length}"):
        check_chain(Sized(*[1] * length), length + 1)
