"""The VAE as a chain, and the two estimates that it replaces, against integrals and closed forms."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from test_chains_linear_gaussian import random_chain

from diffusion_notes.chains import Affine, Chain, LinearGaussianChain, elbo
from diffusion_notes.distributions import gaussian, standard_normal
from diffusion_notes.fitting import train
from diffusion_notes.vae import VAE, naive_estimate, naive_spread, score_function_surrogate

float64 = {"dtype": torch.float64}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(n, dim, generator=seeded(seed), **float64)


def affine(conditional, dim: int) -> Affine:
    """What a conditional is, if it is affine: asked at the origin and along the axes."""
    at = conditional(torch.cat((torch.zeros(1, dim, **float64), torch.eye(dim, **float64))))
    return Affine((at.mean[1:] - at.mean[0]).T, at.mean[0], at.stddev[0, 0])


def linear_vae(latent: int, dim: int, std: float | None = 0.4) -> VAE:
    """A VAE whose every standard deviation is a constant and whose every mean is affine."""
    vae = VAE(latent, dim, std=std, depth=0, generator=seeded(1)).double()
    with torch.no_grad():
        for layer, size in ((vae.encoders[0].layers[0], latent), (vae.decoders[0].layers[0], dim)):
            layer.weight[size:], layer.bias[size:] = 0, -0.7
    return vae.requires_grad_(False)


def as_linear(vae: VAE, latent: int, dim: int) -> LinearGaussianChain:
    return LinearGaussianChain([affine(vae.generate, latent)], [affine(vae.infer, dim)])


def test_it_is_a_chain_of_length_one():
    vae = VAE(latent=3)
    assert isinstance(vae, Chain)
    assert vae.length == 1
    prior = vae.prior(torch.zeros(5, 2, **float64))
    assert prior.mean.dtype == torch.float64
    z = points(5, 3)
    expected = torch.distributions.MultivariateNormal(torch.zeros(3, **float64), torch.eye(3, **float64))
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z))


def test_the_loss_is_minus_the_bound_of_any_chain():
    vae, x = VAE(latent=2, dim=3, features=2, generator=seeded()), torch.randn(50, 3, generator=seeded(1))
    torch.testing.assert_close(vae.loss(x, seeded(2)), -elbo(vae, x, seeded(2)).mean, rtol=0, atol=0)
    assert vae.loss(x, seeded(2)) != vae.loss(x, seeded(3))


@pytest.mark.parametrize("std", [0.4, None])
@pytest.mark.parametrize(("latent", "dim"), [(1, 2), (3, 2)])
def test_without_hidden_layers_it_is_a_linear_gaussian_chain(latent, dim, std):
    vae = linear_vae(latent, dim, std)
    linear, x = as_linear(vae, latent, dim), points(1, dim)
    torch.testing.assert_close(elbo(vae, x, seeded()).terms, elbo(linear, x, seeded()).terms)
    losses = torch.stack([vae.loss(x.expand(500, -1), seeded(seed)) for seed in range(100)])
    assert abs(losses.mean() + linear.exact_elbo(x).total) < 4.5 * losses.std() / 10
    assert -losses.mean() < linear.log_prob(x)


def test_training_the_linear_one_is_principal_component_analysis(generator):
    """The likelihood's maximum is known (Tipping and Bishop 1999), and there the gap of a linear VAE is zero."""
    s2 = 0.3**2
    mixing = torch.tensor([[1.0, 0.5], [-0.6, 0.8], [0.4, 0.2]])
    data = torch.randn(2000, 2, generator=generator) @ mixing.T + 0.3 * torch.randn(2000, 3, generator=generator) + 1
    vae = VAE(latent=2, dim=3, std=0.3, depth=0, generator=generator)
    run = train(vae, data, steps=1200, batch_size=256, learning_rate=2e-2, generator=generator, progress=False)
    for state in run:
        average = state.average
    x = data.double()
    eigenvalues = torch.linalg.eigvalsh(x.T.cov(correction=0))
    explained = torch.cat((torch.tensor([s2], **float64), eigenvalues[1:].clamp(min=s2)))  # of the model
    best = -0.5 * (3 * math.log(2 * math.pi) + explained.log().sum() + (eigenvalues / explained).sum())
    vae = average.double().requires_grad_(False)
    decoder = affine(vae.generate, 2)
    linear = LinearGaussianChain([decoder], [Affine(decoder.weight.T, decoder.weight.new_zeros(2), decoder.std)])
    log_p = linear.log_prob(x).mean()
    assert best - 0.01 < log_p <= best + 1e-9
    bound = elbo(vae, x.repeat(10, 1), generator)
    assert abs(log_p - bound.mean) < 0.01 + 4.5 * bound.standard_error


def test_the_decoders_width_is_given_or_learned():
    z = points(6, 1).float()
    fixed, learned = VAE(latent=1, std=0.05), VAE(latent=1)
    assert (fixed.generate(z).stddev == 0.05).all()
    assert learned.generate(z).stddev.unique().numel() > 6
    for vae in (fixed, learned):
        x = torch.zeros(6, 2) + z
        assert vae.infer(x).stddev.unique().numel() == 6
        assert vae.infer(x).mean.shape == (6, 1)
        vae.loss(x).backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in vae.parameters())


def test_the_generator_decides():
    a, b, other = (VAE(latent=1, features=4, generator=seeded(seed)) for seed in (0, 0, 1))
    for one, same, another in zip(*(vae.state_dict().values() for vae in (a, b, other)), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, another)


def test_what_a_run_is_not_resumed_without():
    sizes = [{}, {"std": 0.05}, {"std": 0.06}, {"dim": 3}, {"width": 8}, {"depth": 1}, {"features": 1}]
    settings = [json.dumps(VAE(**({"latent": 1} | size)).settings()) for size in [*sizes, {"latent": 2}]]
    assert len(set(settings)) == len(settings)
    assert json.dumps(VAE(latent=1).settings()) == settings[0]


@pytest.mark.parametrize(("dims", "samples"), [([1, 1], 1), ([2, 1], 4), ([2, 3], 7)])
def test_the_naive_estimate_is_unbiased_and_varies_as_predicted(dims, samples, generator):
    chain, x, n = random_chain(dims, 1), points(1, dims[0]), 100_000
    ratio = (naive_estimate(chain, x.expand(n, -1), samples, generator) - chain.log_prob(x)).exp()
    assert ratio.shape == (n,)
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std() / n**0.5
    square = (ratio - 1).square()
    spread = naive_spread(chain.generative[0], x) / samples
    assert abs(square.mean() - spread) < 4.5 * square.std() / n**0.5


def test_the_logarithm_of_the_naive_estimate_is_too_low(generator):
    chain, x = random_chain([2, 1], 1), 2 * points(1, 2)
    estimates = torch.stack([naive_estimate(chain, x.expand(20_000, -1), k, generator) for k in (1, 4, 16)])
    mean, error = estimates.mean(1), estimates.std(1) / 20_000**0.5
    assert mean[0] < mean[1] < mean[2]
    assert mean[2] < chain.log_prob(x) - 4.5 * error[2]


@pytest.mark.parametrize("dim", [1, 2, 4])
@pytest.mark.parametrize("seed", [3, 5])
def test_the_spread_is_an_integral_over_z(dim, seed):
    p, x = random_chain([dim, 1], seed).generative[0], points(1, dim)
    weight, bias, std, at = (a.squeeze().numpy() for a in (p.weight, p.bias, p.std, x))

    def moment(power):
        def integrand(z):
            return stats.norm.pdf(z) * stats.norm.pdf(at, weight * z + bias, std).prod() ** power

        return integrate.quad(integrand, -10, 10, epsabs=0, epsrel=1e-11, limit=200)[0]

    assert naive_spread(p, x).item() == pytest.approx(moment(2) / moment(1) ** 2 - 1, rel=1e-8)


def test_the_spread_with_two_latents_is_an_integral_too():
    p, x = random_chain([2, 2], 7).generative[0], points(1, 2)

    def moment(power):
        def integrand(z):
            z = torch.from_numpy(z)
            return (standard_normal(z).log_prob(z) + power * p(z).log_prob(x)).exp().numpy()

        return float(integrate.cubature(integrand, [-9, -9], [9, 9], rtol=1e-10).estimate)

    assert naive_spread(p, x).item() == pytest.approx(moment(2) / moment(1) ** 2 - 1, rel=1e-7)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1000))
def test_the_spread_is_never_negative_and_zero_where_z_does_not_matter(dim, latent, seed):
    p, x = random_chain([dim, latent], seed).generative[0], points(3, dim, seed)
    assert (naive_spread(p, x) > 0).all()
    still = Affine(torch.zeros_like(p.weight), p.bias, p.std)
    torch.testing.assert_close(naive_spread(still, x), torch.zeros(3, **float64), rtol=0, atol=1e-12)


def gradients(chain, x, parameters, generator, runs=200):
    """Estimates of the gradient of the bound, ``(runs, parameters)``, from the surrogate."""
    rows = []
    for _ in range(runs):
        surrogate = score_function_surrogate(chain, x, generator)
        assert surrogate.shape == (len(x),)
        parts = torch.autograd.grad(surrogate.mean(), parameters)
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


@pytest.mark.parametrize("dims", [[1, 1], [2, 3]])
def test_the_surrogates_gradient_is_that_of_the_exact_bound(dims, generator):
    chain, x = random_chain(dims, 2), points(1, dims[0])
    steps = (chain.inference[0], chain.generative[0])
    parameters = [part.requires_grad_() for step in steps for part in (step.weight, step.bias, step.std)]
    exact = torch.autograd.grad(chain.exact_elbo(x).total.sum(), parameters)
    exact = torch.cat([part.flatten() for part in exact])
    estimates = gradients(chain, x.expand(500, -1), parameters, generator)
    error = estimates.std(0) / len(estimates) ** 0.5
    assert ((estimates.mean(0) - exact).abs() < 4.5 * error).all()
    assert (exact.abs() > 4.5 * error).sum() > len(exact) / 2  # it could have told


def test_the_surrogate_needs_no_slope_in_z(generator):
    """With a decoder that jumps there is no slope to use: the estimate of `elbo` is wrong, this one is not."""
    mean = torch.tensor([0.3], requires_grad=True, **float64)

    class Jump:
        length = 1

        def prior(self, like):
            return standard_normal(like)

        def infer(self, z, i):
            return gaussian(mean.expand(len(z), 1), torch.tensor(0.6, **float64))

        def generate(self, z, i):
            return gaussian(torch.where(z > 0, 1.0, -1.0).to(z), torch.tensor(0.5, **float64))

    x = torch.tensor([[0.7]], **float64)
    # E_q log p(x | z) is a sum of two, the probability of the jump times what is gained by it; the rest is a KL
    gain = (-((0.7 - 1) ** 2) + (0.7 + 1) ** 2) / (2 * 0.5**2)
    exact = gain * stats.norm.pdf(0.3 / 0.6) / 0.6 - 0.3
    estimates = gradients(Jump(), x.expand(500, -1), [mean], generator)
    assert abs(estimates.mean() - exact) < 4.5 * estimates.std() / len(estimates) ** 0.5
    (slope,) = torch.autograd.grad(elbo(Jump(), x.expand(20_000, -1), generator).mean, mean)
    assert abs(slope - exact) > 1


def test_the_spread_looks_at_no_value_where_looking_would_synchronise():
    """On `meta` there are no values, so whoever looks at one fails."""
    p = random_chain([2, 1], 0).generative[0]
    p = Affine(*(part.to("meta") for part in (p.weight, p.bias, p.std)))
    assert naive_spread(p, points(3, 2).to("meta")).shape == (3,)


TWO = random_chain([2, 1, 1], 0)
ONE = random_chain([2, 1], 0)
X = torch.zeros(3, 2, **float64)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: VAE(latent=0), ValueError, "latent must be at least 1, got 0"),
        (lambda: VAE(latent="1"), TypeError, "latent must be an integer, got str '1'"),
        (lambda: VAE(latent=1, dim=0), ValueError, "must be at least 1, got 0"),
        (lambda: VAE(latent=1, std=0.0), ValueError, "std must be positive and finite"),
        (lambda: VAE(latent=1, std="learned"), TypeError, "std must be a number"),
        (lambda: VAE(latent=1, width=0), ValueError, "width must be at least 1"),
        (lambda: VAE(latent=1, depth=-1), ValueError, "depth must be at least 0"),
        (lambda: VAE(latent=1, features=0.5), TypeError, "features must be an integer"),
        (lambda: VAE(latent=1).loss(torch.zeros(3, 3)), ValueError, r"shape \(n, 2\), got \(3, 3\)"),
        (lambda: VAE(latent=1).loss(torch.zeros(0, 2)), ValueError, "x must hold at least 1 points"),
        (lambda: VAE(latent=1).loss([[0.0, 0.0]]), TypeError, "x must be a floating-point tensor"),
        (lambda: VAE(latent=1).generate(torch.zeros(3, 2)), ValueError, r"shape \(n, 1\), got \(3, 2\)"),
        (lambda: naive_estimate("chain", X, 2), TypeError, "chain must have length, prior"),
        (lambda: naive_estimate(TWO, X, 2), ValueError, "chain must have length 1, got 2"),
        (lambda: naive_estimate(ONE, X[:0], 2), ValueError, "x must hold at least 1 points"),
        (lambda: naive_estimate(ONE, X[0], 2), ValueError, r"x must have shape \(n, D\)"),
        (lambda: naive_estimate(ONE, X, 0), ValueError, "samples must be at least 1"),
        (lambda: naive_estimate(ONE, X, 2.0), TypeError, "samples must be an integer"),
        (lambda: naive_estimate(ONE, X / 0, 2), ValueError, "x must be finite"),
        (lambda: naive_spread(ONE.generative[0], X / 0), ValueError, "x must be finite"),
        (lambda: naive_spread(ONE, X), TypeError, "p must be Affine, got LinearGaussianChain"),
        (lambda: naive_spread(ONE.generative[0], X[:, :1]), ValueError, r"x must have shape \(n, 2\)"),
        (lambda: naive_spread(ONE.generative[0], 0.0), TypeError, "x must be a floating-point tensor"),
        (lambda: score_function_surrogate(torch.nn.Linear(1, 1), X), TypeError, "chain must have length, prior"),
        (lambda: score_function_surrogate(TWO, X), ValueError, "chain must have length 1, got 2"),
        (lambda: score_function_surrogate(ONE, X[:0]), ValueError, "x must hold at least 1 points"),
        (lambda: score_function_surrogate(ONE, [[0.0, 0.0]]), TypeError, "x must be a floating-point tensor"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
