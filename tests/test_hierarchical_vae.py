"""Every split of the two-layer bound, against Monte Carlo and Gaussian identities."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_chains_linear_gaussian import posterior_of_q, random_chain
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from diffusion_notes.chains import Affine, Chain, LinearGaussianChain, NeuralChain
from diffusion_notes.distributions import draw
from diffusion_notes.hierarchical_vae import HierarchicalVAE, Splits, splits
from diffusion_notes.vae import VAE

float64 = {"dtype": torch.float64}
three = st.tuples(*[st.integers(1, 3)] * 3)
close = {"rtol": 1e-8, "atol": 1e-8}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(n, dim, generator=seeded(seed), **float64)


def part(joint: MultivariateNormal, where: slice) -> MultivariateNormal:
    """A marginal."""
    return MultivariateNormal(joint.mean[..., where], joint.covariance_matrix[..., where, where])


def of_first(chain) -> tuple[slice, slice]:
    """Where z_1 and where z_2 are, among the latents."""
    first = len(chain.inference[0].bias)
    return slice(None, first), slice(first, None)


def independent(joint: MultivariateNormal, chain) -> MultivariateNormal:
    """q(z_1 | x) q(z_2 | x): the same marginals, and nothing between the two."""
    covariance = joint.covariance_matrix.clone()
    below, above = of_first(chain)
    covariance[..., below, above] = covariance[..., above, below] = 0
    return MultivariateNormal(joint.mean, covariance)


def paths(chain, x, n, generator):
    """n draws of z_1 and of z_2 for one point, and the point as often."""
    x = x.expand(n, -1)
    z1 = draw(chain.infer(x, 1), generator)
    return x, z1, draw(chain.infer(z1, 2), generator)


def agrees(samples: torch.Tensor, exact: torch.Tensor) -> bool:
    return bool(abs(samples.mean() - exact) < 4.5 * samples.std() / len(samples) ** 0.5)


def test_it_is_the_vae_with_more_layers():
    """One class serves both, so whatever holds of a chain of networks holds of either."""
    assert HierarchicalVAE.__mro__[1] is VAE.__mro__[1] is NeuralChain
    assert HierarchicalVAE([2, 1]).length == 2
    assert isinstance(HierarchicalVAE([2, 1]), Chain)


def some(dims, seed) -> tuple[LinearGaussianChain, torch.Tensor, Splits]:
    chain, x = random_chain(dims, seed), points(3, dims[0], seed)
    return chain, x, splits(chain, x)


@given(three, st.integers(0, 1000))
def test_the_right_split_is_the_bound(dims, seed):
    chain, x, terms = some(dims, seed)
    bound = chain.exact_elbo(x)
    torch.testing.assert_close(terms.elbo, bound.total, rtol=0, atol=0)
    torch.testing.assert_close(terms.posterior_form, bound.total, **close)
    torch.testing.assert_close(terms.log_prob, chain.log_prob(x), rtol=0, atol=0)
    torch.testing.assert_close(terms.top_given_below, terms.top + terms.shared, **close)


@given(three, st.integers(0, 1000))
def test_every_divergence_is_one(dims, seed):
    """None is negative, and those of two Gaussians are torch's, of a q that is put together in another way."""
    chain, x, terms = some(dims, seed)
    (below, above), q = of_first(chain), posterior_of_q(chain, x)
    normal = MultivariateNormal(torch.zeros(dims[2], **float64), torch.eye(dims[2], **float64))
    torch.testing.assert_close(terms.shared, kl_divergence(q, independent(q, chain)), **close)
    torch.testing.assert_close(terms.top, kl_divergence(part(q, above), normal), **close)
    to_true = kl_divergence(part(q, below), part(chain.posterior(x), below))
    torch.testing.assert_close(terms.to_true_posterior, to_true, **close)
    for name in ("shared", "to_true_posterior", "averaged", "conditional", "top", "top_given_below"):
        assert getattr(terms, name).shape == (3,)
        assert (getattr(terms, name) >= 0).all(), name


@given(three, st.integers(0, 1000))
def test_the_repaired_split_is_the_bound_of_an_independent_q_less_what_is_shared(dims, seed):
    """The bound of any q is log p(x) − KL(q ‖ p(z_1, z_2 | x)), and here q forgets that z_2 came from z_1."""
    chain, x, terms = some(dims, seed)
    q = posterior_of_q(chain, x)
    bound = chain.log_prob(x) - kl_divergence(independent(q, chain), chain.posterior(x))
    shared = kl_divergence(q, independent(q, chain))
    torch.testing.assert_close(terms.repaired, bound - shared, rtol=1e-7, atol=1e-7)
    assert (terms.repaired <= terms.log_prob).all()


@given(three, st.integers(0, 1000))
def test_with_a_q_without_memory_two_of_the_splits_agree(dims, seed):
    """Where z_2 does not depend on z_1 nothing is shared, and there is nothing to turn around."""
    chain = random_chain(dims, seed)
    first, second = chain.inference
    chain = LinearGaussianChain(chain.generative, [first, Affine(0 * second.weight, second.bias, second.std)])
    terms = splits(chain, points(3, dims[0], seed))
    torch.testing.assert_close(terms.shared, torch.zeros(3, **float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(terms.conditional, terms.averaged, **close)
    torch.testing.assert_close(terms.repaired, terms.elbo, **close)


@given(st.integers(0, 1000))
def test_how_far_the_repaired_split_is_off_for_scalars(seed):
    chain, _, terms = some([2, 1, 1], seed)
    a, c = chain.generative[1].weight.squeeze(), chain.inference[1].weight.squeeze()
    r1, s2 = chain.inference[0].std, chain.generative[1].std
    expected = (a * c * r1**2 / s2**2).expand(3)
    torch.testing.assert_close(terms.elbo - terms.repaired, expected, **close)


each = pytest.mark.parametrize(("dims", "seed"), [([1, 1, 1], 1), ([2, 3, 1], 2), ([1, 2, 3], 3)])


@each
def test_every_term_is_an_expectation(dims, seed, generator):
    """Each as its symbol is read: draw from q, and ask torch for the divergence inside."""
    chain, x = random_chain(dims, seed), points(1, dims[0])
    terms = splits(chain, x)
    x, z1, z2 = paths(chain, x, 200_000, generator)
    q1, q2, p1 = chain.infer(x, 1), chain.infer(z1, 2), chain.generate(z2, 2)
    assert agrees(chain.generate(z1, 1).log_prob(x), terms.reconstruction)
    assert agrees(kl_divergence(q2, chain.prior(x)), terms.top_given_below)
    assert agrees(kl_divergence(q1, p1), terms.averaged)
    marginal = part(posterior_of_q(chain, x[:1]), of_first(chain)[1])
    # KL(q(z_1 | z_2, x) ‖ p(z_1 | z_2)), with q(z_1 | z_2, x) by Bayes' rule and z_1 drawn from it
    turned = q1.log_prob(z1) + q2.log_prob(z2) - marginal.log_prob(z2)
    assert agrees(turned - p1.log_prob(z1), terms.conditional)


@each
def test_how_far_the_printed_split_is_off(dims, seed, generator):
    """By E_q[log p(z_1 | z_2) − log p(z_1 | x)], which has no sign."""
    chain, x = random_chain(dims, seed), points(1, dims[0])
    terms, true = splits(chain, x), part(chain.posterior(x), of_first(chain)[0])
    _, z1, z2 = paths(chain, x, 200_000, generator)
    assert agrees(chain.generate(z2, 2).log_prob(z1) - true.log_prob(z1), terms.elbo - terms.printed)


@pytest.mark.parametrize("x", [-1.0, 0.5, 3.0])
def test_the_printed_split_can_lie_above_the_likelihood(x):
    """With q(z_1 | x) the true posterior and q(z_2 | z_1) the prior both its divergences are zero, and what is left
    is too large by KL(p(z_1 | x) ‖ p(z_1)).
    """
    # p(z_1) = N(0, 0.8² + 0.6²) = N(0, 1) and p(x | z_1) = N(z_1, 0.5²), so p(z_1 | x) = N(0.8 x, 0.2)
    generative = [Affine.scalar(1.0, 0.5), Affine.scalar(0.8, 0.6)]
    chain = LinearGaussianChain(generative, [Affine.scalar(0.8, math.sqrt(0.2)), Affine.scalar(0.0, 1.0)])
    terms = splits(chain, torch.tensor([[x]], **float64))
    excess = kl_divergence(Normal(0.8 * x, math.sqrt(0.2)), Normal(0.0, 1.0)).item()
    assert terms.to_true_posterior.item() == pytest.approx(0, abs=1e-12)
    assert terms.top_given_below.item() == pytest.approx(0, abs=1e-12)
    assert (terms.printed - terms.log_prob).item() == pytest.approx(excess, rel=1e-6)
    assert terms.log_prob.item() == pytest.approx(Normal(0.0, math.sqrt(1.25)).log_prob(torch.tensor(x)).item())
    assert terms.repaired < terms.log_prob < terms.printed


def test_the_terms_belong_together():
    _, _, terms = some([2, 1, 1], 0)
    with pytest.raises(AttributeError):
        terms.elbo = terms.log_prob


def test_no_value_is_looked_at_where_looking_would_synchronise():
    """On `meta` there are no values, so whoever looks at one fails."""
    steps = [
        [Affine(*(part.to("meta") for part in (step.weight, step.bias, step.std))) for step in steps]
        for steps in (TWO.generative, TWO.inference)
    ]
    assert splits(LinearGaussianChain(*steps), X.to("meta")).posterior_form.shape == (3,)


THREE, TWO, ONE = (random_chain([2, *[1] * length], 0) for length in (3, 2, 1))
X = torch.zeros(3, 2, **float64)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: HierarchicalVAE([]), ValueError, "the number of latents must be at least 1, got 0"),
        (lambda: splits("chain", X), TypeError, "chain must be a LinearGaussianChain, got str 'chain'"),
        (lambda: splits(HierarchicalVAE([2, 1]), X), TypeError, "chain must be a LinearGaussianChain"),
        (lambda: splits(ONE, X), ValueError, "chain must have length 2, got 1"),
        (lambda: splits(THREE, X), ValueError, "chain must have length 2, got 3"),
        (lambda: splits(TWO, X[:, :1]), ValueError, r"x must have shape \(n, 2\)"),
        (lambda: splits(TWO, X[:0]), ValueError, "x must hold at least 1 points"),
        (lambda: splits(TWO, [[0.0, 0.0]]), TypeError, "x must be a floating-point tensor"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
