"""A mixture for each condition: against torch's own mixtures, autograd, quadrature and draws."""

from __future__ import annotations

import math

import pytest
import scipy.integrate
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_notes.data import ConditionalMixture

float64 = {"dtype": torch.float64}


def law(n: int = 4, K: int = 3, D: int = 2, seed: int = 0) -> ConditionalMixture:
    generator = torch.Generator().manual_seed(seed)
    weight, mean, variance = (torch.randn(n, K, *d, generator=generator, **float64) for d in ((), (D,), (D,)))
    return ConditionalMixture(weight, mean, (0.4 * variance).exp())


def by_torch(q: ConditionalMixture) -> MixtureSameFamily:
    each = Independent(Normal(q.mean, q.variance.sqrt()), 1)
    return MixtureSameFamily(Categorical(logits=q.log_weight), each)


def points(n: int = 4, D: int = 2, seed: int = 1) -> torch.Tensor:
    return 1.5 * torch.randn(n, D, generator=torch.Generator().manual_seed(seed), **float64)


@pytest.mark.parametrize("D", [1, 2, 5])
def test_the_density_is_that_of_torch(D):
    q, x = law(D=D), points(D=D)
    torch.testing.assert_close(q.log_prob(x), by_torch(q).log_prob(x))


def test_the_weights_add_up():
    torch.testing.assert_close(law().log_weight.exp().sum(-1), torch.ones(4, **float64))


@pytest.mark.parametrize("level", [1.0, 0.7, 0.01])
def test_the_score_is_the_gradient(level):
    q, x = law().diffuse(level), points().requires_grad_()
    (gradient,) = torch.autograd.grad(q.log_prob(x).sum(), x)
    torch.testing.assert_close(q.score(x), gradient)


def test_diffusion_is_a_convolution():
    q, level, x = law(n=1, D=1), 0.6, 0.3
    shrunk = ConditionalMixture(q.log_weight, math.sqrt(level) * q.mean, level * q.variance)

    def integrand(u: float) -> float:
        noise = math.exp(-((x - u) ** 2) / (2 * (1 - level))) / math.sqrt(2 * math.pi * (1 - level))
        return noise * shrunk.log_prob(torch.tensor([[u]], **float64)).exp().item()

    value, _ = scipy.integrate.quad(integrand, -15, 15, epsabs=1e-12, limit=200)
    found = q.diffuse(level).log_prob(torch.tensor([[x]], **float64)).exp().item()
    assert found == pytest.approx(value, rel=1e-8)
    twice = q.diffuse(0.75).diffuse(0.8)
    torch.testing.assert_close(twice.variance, q.diffuse(0.6).variance)
    torch.testing.assert_close(twice.mean, q.diffuse(0.6).mean)


def test_the_expected_noise_is_the_average_noise():
    q, level, x = law(n=1, D=1), 0.6, 0.3

    def moment(power: int) -> float:
        def integrand(noise: float) -> float:
            clean = torch.tensor([[(x - math.sqrt(1 - level) * noise) / math.sqrt(level)]], **float64)
            return noise**power * math.exp(-(noise**2) / 2) * q.log_prob(clean).exp().item()

        return scipy.integrate.quad(integrand, -9, 9, epsabs=1e-12, limit=200)[0]

    found = q.expected_noise(torch.tensor([[x]], **float64), level).item()
    assert found == pytest.approx(moment(1) / moment(0), rel=1e-8)


def test_the_parts_are_bayes_rule():
    q, x = law(), points()
    joint = q.log_weight + Independent(Normal(q.mean, q.variance.sqrt()), 1).log_prob(x.unsqueeze(1))
    torch.testing.assert_close(q.parts(x), (joint - joint.logsumexp(-1, keepdim=True)).exp())


def test_the_moments_are_those_of_torch():
    mean, std = law().moments()
    torch.testing.assert_close(mean, by_torch(law()).mean)
    torch.testing.assert_close(std, by_torch(law()).variance.sqrt())


def test_draws_have_the_moments_and_the_parts():
    one = law(n=1)
    many = ConditionalMixture(
        *(each.expand(60_000, *each.shape[1:]) for each in (one.log_weight, one.mean, one.variance))
    )
    x = many.sample(torch.Generator().manual_seed(3))
    mean, std = one.moments()
    torch.testing.assert_close(x.mean(0), mean[0], atol=4 * std.max().item() / 60_000**0.5, rtol=0)
    torch.testing.assert_close(x.std(0), std[0], atol=0, rtol=0.02)
    torch.testing.assert_close(many.parts(x).mean(0), one.log_weight.exp()[0], atol=0.01, rtol=0)
    assert torch.equal(x, many.sample(torch.Generator().manual_seed(3)))


def test_the_cdf_is_the_integral_of_the_density():
    q = law(n=1, D=1)
    for x in (-1.0, 0.2, 1.7):
        value, _ = scipy.integrate.quad(
            lambda u: q.log_prob(torch.tensor([[u]], **float64)).exp().item(), -15, x, epsabs=1e-12, limit=200
        )
        assert q.cdf(torch.tensor([[x]], **float64)).item() == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("x", [-2.0, 0.2, 1.7])
def test_the_crps_is_its_integral(x):
    q = law(n=1, D=1)

    def squared(u: float) -> float:
        return (q.cdf(torch.tensor([[u]], **float64)).item() - (u >= x)) ** 2

    value = sum(scipy.integrate.quad(squared, *ends, epsabs=1e-12, limit=200)[0] for ends in ((-15, x), (x, 15)))
    assert q.crps(torch.tensor([[x]], **float64)).item() == pytest.approx(value, rel=1e-7)


def test_the_crps_of_one_gaussian_is_the_known_one():
    """As Gneiting and Raftery 2007 give it."""
    mean, std, x = 0.4, 0.7, 1.3
    z = torch.tensor((x - mean) / std, **float64)
    unit = Normal(torch.zeros((), **float64), 1.0)
    known = std * (z * (2 * unit.cdf(z) - 1) + 2 * unit.log_prob(z).exp() - 1 / math.sqrt(math.pi))
    q = ConditionalMixture(torch.zeros(1, 1, **float64), *(torch.full((1, 1, 1), v, **float64) for v in (mean, std**2)))
    torch.testing.assert_close(q.crps(torch.tensor([[x]], **float64))[0], known)


def test_one_point_for_each_condition_is_asked_for():
    for x in (points(n=3), points(D=3), points()[0]):
        with pytest.raises(ValueError, match=r"^x must have shape"):
            law().log_prob(x)
    for name in ("cdf", "crps"):
        with pytest.raises(ValueError, match=r"^the mixture must be on a line, D = 1, got D = 2"):
            getattr(law(), name)(points())
