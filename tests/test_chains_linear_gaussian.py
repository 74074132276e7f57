"""The closed forms, against identities and integrals that do not use them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from torch.distributions import MultivariateNormal, kl_divergence

from diffusion_notes.chains import Affine, LinearGaussianChain

float64 = {"dtype": torch.float64}


def random_chain(dims, seed: int) -> LinearGaussianChain:
    """A chain between spaces of the given dimensions, from the data up."""
    generator = torch.Generator().manual_seed(seed)

    def step(dim_out, dim_in):
        weight = 0.6 * torch.randn(dim_out, dim_in, generator=generator, **float64)
        bias = torch.randn(dim_out, generator=generator, **float64)
        return Affine(weight, bias, 0.3 + torch.rand((), generator=generator, **float64))

    pairs = list(itertools.pairwise(dims))
    return LinearGaussianChain([step(a, b) for a, b in pairs], [step(b, a) for a, b in pairs])


def posterior_of_q(chain, x) -> MultivariateNormal:
    """q(z_1, …, z_L | x) as one Gaussian, by solving for the path from its independent noises."""
    dims = [len(q.bias) for q in chain.inference]
    offset = [sum(dims[:i]) for i in range(len(dims) + 1)]
    lower = torch.eye(offset[-1], **float64)  # (I − C) z = d + r n, with C below the diagonal
    constant, scale = torch.zeros(len(x), offset[-1], **float64), torch.zeros(offset[-1], **float64)
    for i, q in enumerate(chain.inference):
        here = slice(offset[i], offset[i + 1])
        scale[here] = q.std
        constant[:, here] = q.bias
        if i == 0:
            constant[:, here] += x @ q.weight.T
        else:
            lower[here, offset[i - 1] : offset[i]] = -q.weight
    inverse = torch.linalg.inv(lower)
    root = inverse * scale
    return MultivariateNormal(constant @ inverse.T, root @ root.T)


dimensions = st.lists(st.integers(1, 3), min_size=2, max_size=5)


@given(dimensions, st.integers(0, 1000))
def test_the_gap_is_the_kl_to_the_true_posterior(dims, seed):
    """log p(x) − ELBO = KL(q(z | x) ‖ p(z | x)): three closed forms that share no code."""
    chain = random_chain(dims, seed)
    x = torch.randn(3, dims[0], generator=torch.Generator().manual_seed(seed), **float64)
    gap = chain.log_prob(x) - chain.exact_elbo(x).total
    kl = kl_divergence(posterior_of_q(chain, x), chain.posterior(x))
    torch.testing.assert_close(gap, kl, rtol=1e-7, atol=1e-8)


@given(dimensions, st.integers(0, 1000))
def test_q_as_one_gaussian(dims, seed):
    """The moments that are carried up the chain are those of solving for the whole path at once."""
    chain = random_chain(dims, seed)
    x = torch.randn(3, dims[0], generator=torch.Generator().manual_seed(seed), **float64)
    ours, expected = chain.inferred(x), posterior_of_q(chain, x)
    torch.testing.assert_close(ours.mean, expected.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.covariance_matrix[1], expected.covariance_matrix[1], rtol=0, atol=1e-10)
    torch.testing.assert_close(chain.inferred(x[:1]).mean, expected.mean[:1], rtol=0, atol=1e-10)


def test_q_as_one_gaussian_is_the_product_of_its_steps():
    chain = random_chain([2, 3, 1], seed=5)
    generator = torch.Generator().manual_seed(0)
    x, z1, z2 = (torch.randn(6, dim, generator=generator, **float64) for dim in (2, 3, 1))
    product = chain.infer(x, 1).log_prob(z1) + chain.infer(z1, 2).log_prob(z2)
    torch.testing.assert_close(chain.inferred(x).log_prob(torch.cat((z1, z2), 1)), product)


def test_log_prob_is_the_integral_over_the_latents():
    chain = random_chain([1, 1, 1], seed=3)
    x = torch.tensor([[0.4]], **float64)
    (a, b), prior = chain.generative, torch.distributions.Normal(0.0, 1.0)

    def integrand(points):
        z1, z2 = torch.from_numpy(points).T[..., None]
        log_joint = a(z1).log_prob(x) + b(z2).log_prob(z1) + prior.log_prob(z2.squeeze(-1))
        return log_joint.exp().numpy()

    answer = integrate.cubature(integrand, [-9, -9], [9, 9], rtol=1e-9)
    assert chain.log_prob(x).item() == pytest.approx(math.log(answer.estimate), abs=1e-7)


def test_the_joint_is_the_product_of_the_conditionals():
    chain = random_chain([2, 3, 1], seed=5)
    generator = torch.Generator().manual_seed(0)
    x, z1, z2 = (torch.randn(6, dim, generator=generator, **float64) for dim in (2, 3, 1))
    product = chain.prior(x).log_prob(z2) + chain.generate(z2, 2).log_prob(z1) + chain.generate(z1, 1).log_prob(x)
    torch.testing.assert_close(chain.joint().log_prob(torch.cat((x, z1, z2), 1)), product)


def test_bayes_for_the_posterior():
    chain = random_chain([2, 2], seed=7)
    generator = torch.Generator().manual_seed(0)
    x, z = (torch.randn(4, 2, generator=generator, **float64) for _ in range(2))
    bayes = chain.joint().log_prob(torch.cat((x, z), 1)) - chain.log_prob(x)
    torch.testing.assert_close(chain.posterior(x).log_prob(z), bayes)


def test_a_step_between_two_numbers():
    x, z = torch.tensor([[0.7], [-2.0]], **float64), torch.tensor([[0.3], [1.5]], **float64)
    for bias in (0, -0.4):
        expected = torch.distributions.Normal(3 * z + bias, 0.5).log_prob(x).squeeze(-1)
        torch.testing.assert_close(Affine.scalar(3, 0.5, bias)(z).log_prob(x), expected)
    torch.testing.assert_close(Affine.scalar(3, 0.5)(z).mean, 3 * z)


def test_the_terms_are_integrals():
    """Each term of the exact bound, for scalars, by quadrature over the path."""
    chain = random_chain([1, 1, 1], seed=11)
    x = torch.tensor([[-0.3]], **float64)
    (p1, p2), (q1, q2) = chain.generative, chain.inference

    def expectation(which):
        def integrand(points):
            z1, z2 = torch.from_numpy(points).T[..., None]
            density = (q1(x).log_prob(z1) + q2(z1).log_prob(z2)).exp()
            term = [
                lambda: p1(z1).log_prob(x),
                lambda: p2(z2).log_prob(z1) - q1(x).log_prob(z1),
                lambda: chain.prior(z2).log_prob(z2) - q2(z1).log_prob(z2),
            ][which]()
            return (density * term).numpy()

        return float(integrate.cubature(integrand, [-12, -12], [12, 12], rtol=1e-8, atol=1e-10).estimate)

    terms = chain.exact_elbo(x).terms[:, 0]
    for which in range(3):
        assert terms[which].item() == pytest.approx(expectation(which), abs=1e-6)


@pytest.mark.parametrize("dims", [[2, 1], [2, 1, 3], [1, 3, 2, 4]], ids=len)
def test_the_prior_is_of_the_last_latent(dims):
    x = torch.zeros(5, dims[0], **float64)
    prior = random_chain(dims, 0).prior(x)
    assert prior.mean.shape == (5, dims[-1])
    assert prior.mean.dtype == torch.float64
    assert (prior.stddev == 1).all()


def test_no_value_is_looked_at_where_looking_would_synchronise():
    """On `meta` there are no values, so whoever looks at one fails."""

    def there(steps):
        return [Affine(*(part.to("meta") for part in (step.weight, step.bias, step.std))) for step in steps]

    chain = random_chain([2, 3, 1], 0)
    chain, x = LinearGaussianChain(there(chain.generative), there(chain.inference)), torch.empty(4, 2, **float64)
    x = x.to("meta")
    assert chain.joint().mean.shape == (6,)
    assert chain.log_prob(x).shape == chain.exact_elbo(x).total.shape == (4,)
    assert chain.posterior(x).mean.shape == chain.inferred(x).mean.shape == (4, 4)


def test_a_chain_may_be_long_or_wide():
    step = Affine.scalar(0.9, 0.1)
    assert LinearGaussianChain([step] * 1000, [step] * 1000).length == 1000
    assert random_chain([1, 1000, 1], 0).joint().mean.shape == (1002,)


def test_a_step_is_checked_once_and_kept():
    with pytest.raises(AttributeError):
        Affine(eye, zero, std).std = -std


eye, zero, std = torch.eye(2), torch.zeros(2), torch.tensor(1.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Affine([[1.0]], zero, std), TypeError, "weight must be"),
        (
            lambda: Affine(eye, torch.zeros(3), std),
            ValueError,
            r"bias must have the shape of a column of weight, \(2,\)",
        ),
        (
            lambda: Affine(eye, torch.zeros(1), std),
            ValueError,
            r"bias must have the shape of a column of weight, \(2,\)",
        ),
        (lambda: Affine(eye[:0], zero[:0], std), ValueError, "weight must hold at least 1"),
        (lambda: Affine(eye / 0, zero, std), ValueError, "weight must be finite"),
        (lambda: Affine(eye, zero / 0, std), ValueError, "bias must be finite"),
        (
            lambda: Affine(eye, zero.double(), std),
            ValueError,
            "bias must have the dtype and device of a column of weight",
        ),
        (lambda: Affine(eye, zero, torch.ones(2)), ValueError, r"std must have the shape of an entry of weight, \(\)"),
        (lambda: Affine(eye, zero, 1.0), TypeError, "std must be"),
        (lambda: Affine(eye, zero, torch.tensor(-1.0)), ValueError, "std must be positive"),
        (lambda: Affine(eye, zero, torch.tensor(-0.5)), ValueError, "std must be positive, and some"),
        (lambda: Affine(eye, zero, torch.tensor(0.0)), ValueError, "std must be positive, and some"),
        (lambda: Affine.scalar(1.0, 0.0), ValueError, "std must be positive and finite, got 0"),
        (lambda: LinearGaussianChain([eye], [eye]), TypeError, "each of generative must be Affine"),
        (
            lambda: LinearGaussianChain([Affine(eye, zero, std), eye], [eye]),
            TypeError,
            "each of generative must be Affine",
        ),
        (lambda: random_chain([2, 1], 0).infer(torch.zeros(1, 2, **float64), 0), ValueError, "i must be at least 1"),
        (lambda: random_chain([2, 1], 0).generate(torch.zeros(1, 1, **float64), 2), ValueError, "i must be at most 1"),
        (lambda: LinearGaussianChain([], []), ValueError, "at least one: got 0 and 0"),
        (lambda: LinearGaussianChain([Affine(eye, zero, std)], []), ValueError, "got 1 and 0"),
        (lambda: LinearGaussianChain([Affine(eye, zero, std)], [Affine(eye, zero, std)] * 2), ValueError, "1 and 2"),
        (
            lambda: LinearGaussianChain([Affine(eye, zero, std)], [Affine(eye[:1], zero[:1], std)]),
            ValueError,
            "layer 1 must go between the same spaces",
        ),
        (
            lambda: LinearGaussianChain([Affine(eye[:, :1], zero, std)], [Affine(eye, zero, std)]),
            ValueError,
            "layer 1 must go between the same spaces",
        ),
        (
            lambda: LinearGaussianChain(
                [Affine(eye[:, :1], zero, std), Affine(eye, zero, std)],
                [Affine(eye[:1], zero[:1], std), Affine(eye, zero, std)],
            ),
            ValueError,
            "layers 1 and 2 must have the same latent",
        ),
        (
            lambda: LinearGaussianChain(
                [Affine(eye, zero, std), Affine(eye[:1], zero[:1], std)],
                [Affine(eye, zero, std), Affine(eye[:, :1], zero, std)],
            ),
            ValueError,
            "layers 1 and 2 must have the same latent",
        ),
        (lambda: random_chain([2, 1], 0).log_prob(torch.zeros(1, 3, **float64)), ValueError, r"shape \(n, 2\)"),
        (lambda: random_chain([2, 1], 0).exact_elbo(torch.zeros(2, **float64)), ValueError, r"shape \(n, 2\)"),
        (lambda: random_chain([2, 1], 0).posterior("x"), TypeError, "x must be"),
        (
            lambda: random_chain([2, 1], 0).log_prob(torch.full((1, 2), math.nan, **float64)),
            ValueError,
            "x must be fin",
        ),
        (lambda: random_chain([2, 1], 0).prior("x"), TypeError, "like must be"),
        (lambda: random_chain([2, 1], 0).inferred(torch.zeros(1, 3, **float64)), ValueError, r"shape \(n, 2\)"),
        (lambda: random_chain([2, 1], 0).inferred([[0.0, 0.0]]), TypeError, "x must be"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("where", ["generative", "inference"])
def test_a_step_of_another_kind_of_numbers_is_refused(where):
    """It is told from the first one, and both kinds are named."""
    eye, zero, std = torch.eye(2), torch.zeros(2), torch.tensor(1.0)
    alike, other = Affine(eye, zero, std), Affine(eye.double(), zero.double(), std.double())
    steps = {"generative": [alike, alike], "inference": [alike, alike]} | {where: [alike, other]}
    with pytest.raises(ValueError, match=f"step . of {where} must have .* of the first, .*float32.* got .*float64"):
        LinearGaussianChain(**steps)
