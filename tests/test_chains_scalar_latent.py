"""The integrals over a single latent, against closed forms, other quadratures and an optimiser of another library."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from test_chains_linear_gaussian import random_chain
from torch.distributions import Normal, kl_divergence

from diffusion_notes.chains import Chain, FreePosterior, ScalarLatent, elbo, importance_bound
from diffusion_notes.distributions import gaussian, standard_normal
from diffusion_notes.vae import VAE

float64 = {"dtype": torch.float64}


def points(n: int, dim: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), **float64)


class Humps:
    """p(x | z) = N((z − c)²/2, s²): two z explain a point, on either side of c. Its q is wide."""

    length = 1

    def __init__(self, center: float = 0.0, std: float = 0.1) -> None:
        self.center, self.std = center, std

    def prior(self, like):
        return standard_normal(like.new_zeros(len(like), 1))

    def infer(self, z, i):
        return gaussian(z / 4, torch.full_like(z, 0.9))

    def generate(self, z, i):
        return gaussian((z - self.center).square() / 2, torch.full_like(z, self.std))

    def log_joint(self, z: float, x: float) -> float:
        return stats.norm.logpdf(z) + stats.norm.logpdf(x, (z - self.center) ** 2 / 2, self.std)

    def exact_elbo(self, mean: float, std: float, x: float) -> float:
        """The bound of N(mean, std²), since E z⁴ is known."""
        m = mean - self.center
        first, second = m**2 + std**2, m**4 + 6 * m**2 * std**2 + 3 * std**4
        square = x**2 - x * first + second / 4
        reconstruction = -square / (2 * self.std**2) - math.log(self.std) - math.log(2 * math.pi) / 2
        return reconstruction - (mean**2 + std**2 - 1) / 2 + math.log(std)


@given(st.integers(1, 3), st.integers(0, 1000))
@settings(max_examples=20)
def test_on_a_linear_gaussian_chain_it_is_the_closed_forms(dim, seed):
    chain, x = random_chain([dim, 1], seed), points(4, dim, seed)
    scalar = ScalarLatent(chain, reach=25.0)  # far enough for a q that is far off
    torch.testing.assert_close(scalar.log_prob(x), chain.log_prob(x), rtol=0, atol=1e-9)
    torch.testing.assert_close(scalar.elbo(x), chain.exact_elbo(x).total, rtol=0, atol=1e-9)


def test_the_defaults_reach_far_enough_for_a_good_q():
    chain, x = random_chain([2, 1], 3), points(4, 2)
    posterior = chain.posterior(x)
    q = Normal(posterior.mean + 0.2, 0.8 * posterior.stddev)
    scalar = ScalarLatent(FreePosterior(chain, q.mean, q.stddev))
    torch.testing.assert_close(scalar.log_prob(x), chain.log_prob(x), rtol=0, atol=1e-9)
    gap = kl_divergence(q, Normal(posterior.mean, posterior.stddev)).squeeze(-1)
    torch.testing.assert_close(scalar.log_prob(x) - scalar.elbo(x), gap, rtol=0, atol=1e-9)


@pytest.mark.parametrize("x", [2.0, 0.4, -0.2])
def test_where_nothing_is_gaussian_it_is_the_integral_still(x):
    chain = Humps(0.3, 0.25)
    scalar, at = ScalarLatent(chain), torch.tensor([[x]], **float64)
    evidence = integrate.quad(lambda z: math.exp(chain.log_joint(z, x)), -8, 8, epsrel=1e-11, limit=400)[0]
    assert scalar.log_prob(at).item() == pytest.approx(math.log(evidence), abs=1e-9)
    assert scalar.elbo(at).item() == pytest.approx(chain.exact_elbo(x / 4, 0.9, x), rel=1e-9)


def test_it_is_what_sampling_estimates(generator):
    """For a VAE with hidden layers nothing is known, but everything can be estimated."""
    vae = VAE(latent=1, generator=torch.Generator().manual_seed(3)).double().requires_grad_(False)
    scalar, x = ScalarLatent(vae), points(1, 2)
    bound = elbo(vae, x.expand(100_000, -1), generator)
    assert abs(bound.mean - scalar.elbo(x)) < 4.5 * bound.standard_error
    ratio = (importance_bound(vae, x.expand(100_000, -1), 1, generator) - scalar.log_prob(x)).exp()
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std() / 100_000**0.5


def test_many_points_are_taken_in_their_order():
    chain, x = random_chain([2, 1], 4), points(150, 2)
    torch.testing.assert_close(ScalarLatent(chain).log_prob(x), chain.log_prob(x), rtol=0, atol=1e-9)
    joint = ScalarLatent(chain, nodes=5, reach=2.0).log_joint(x)
    for k, z in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
        z = torch.tensor([[z]], **float64)
        expected = chain.joint().log_prob(torch.cat((x, z.expand(150, 1)), 1))
        torch.testing.assert_close(joint[:, k], expected)


def test_the_grid():
    grid = ScalarLatent(Humps(), nodes=5, reach=2.0).grid(torch.zeros(1, 7, **float64))
    assert grid.tolist() == [[-2], [-1], [0], [1], [2]]
    assert grid.dtype == torch.float64
    default = ScalarLatent(Humps()).grid(torch.zeros(1))
    assert default.shape == (8001, 1)
    assert default[[0, -1]].tolist() == [[-8], [8]]


def test_the_likelihood_can_be_differentiated():
    chain, x = random_chain([2, 1], 5), points(3, 2)
    p = chain.generative[0]
    parameters = [part.requires_grad_() for part in (p.weight, p.bias, p.std)]
    ours, exact = (torch.autograd.grad(of.log_prob(x).sum(), parameters) for of in (ScalarLatent(chain), chain))
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 3])
def test_the_best_gaussian_is_the_posterior_where_that_is_gaussian(dim):
    chain, x = random_chain([dim, 1], 6), points(4, dim)
    best = ScalarLatent(chain, nodes=1001).best_gaussian(x)
    q, posterior = best.infer(x, 1), chain.posterior(x)
    torch.testing.assert_close(q.mean, posterior.mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(q.stddev, posterior.stddev, rtol=0, atol=1e-5)
    torch.testing.assert_close(ScalarLatent(best, nodes=1001).elbo(x), chain.log_prob(x), rtol=0, atol=1e-9)


def test_the_best_gaussian_covers_one_of_two_humps():
    """Half of the posterior's mass is then missed, which costs log 2 (and the humps are not quite Gaussian)."""
    x = torch.tensor([[2.0], [3.0]], **float64)
    scalar = ScalarLatent(Humps(std=0.05), nodes=4001)
    best = scalar.best_gaussian(x)
    gap = scalar.log_prob(x) - ScalarLatent(best, nodes=4001).elbo(x)
    torch.testing.assert_close(gap, torch.full((2,), math.log(2), **float64), rtol=0, atol=1e-3)
    torch.testing.assert_close(best.mean.abs(), (2 * x).sqrt(), rtol=0, atol=1e-2)
    assert (best.log_std.exp() < 0.05).all()
    # the posterior's own moments lose far more
    wide = FreePosterior(Humps(std=0.05), torch.zeros_like(x), (2 * x).sqrt())
    assert (ScalarLatent(wide, nodes=8001, reach=16.0).elbo(x) < scalar.log_prob(x) - 100).all()


@pytest.mark.parametrize(("center", "std", "x"), [(0.5, 0.1, 2.0), (-0.5, 0.3, 1.0), (0.4, 0.5, 0.0)])
def test_no_other_optimiser_finds_a_better_gaussian(center, std, x):
    """Also where the posterior has one flat top, and where one hump is higher: there it is found at the higher."""
    chain, at = Humps(center, std), torch.tensor([[x]], **float64)
    best = ScalarLatent(chain, nodes=2001).best_gaussian(at)
    ours = chain.exact_elbo(best.mean.item(), best.log_std.exp().item(), x)
    theirs = max(
        -optimize.minimize(lambda v: -chain.exact_elbo(v[0], math.exp(v[1]), x), start, tol=1e-12).fun
        for start in ([-1.5, -2.0], [1.5, -2.0], [0.0, -1.0])
    )
    assert ours == pytest.approx(theirs, abs=1e-7)


def test_fewer_steps_find_less():
    x, humps = torch.tensor([[2.0]], **float64), ScalarLatent(Humps(0.3, 0.5), nodes=1001)
    bounds = [ScalarLatent(humps.best_gaussian(x, steps=steps), nodes=1001).elbo(x) for steps in (1, 10, 100)]
    assert bounds[0] < bounds[1] < bounds[2]


def test_it_starts_at_the_posterior_if_that_is_gaussian_and_goes_a_twentieth_of_its_width_at_most():
    chain, x = random_chain([2, 1], 6), points(4, 2)
    scalar, posterior = ScalarLatent(chain, nodes=1001), chain.posterior(x)
    first = scalar.best_gaussian(x, steps=1)
    assert ((first.mean - posterior.mean).abs() < 0.051 * posterior.stddev + scalar.step).all()
    assert ((first.log_std - posterior.stddev.log()).abs() < 0.051).all()


def test_four_hundred_steps_are_taken():
    x, humps = torch.tensor([[2.0]], **float64), ScalarLatent(Humps(), nodes=101)
    assert torch.equal(humps.best_gaussian(x).log_std, humps.best_gaussian(x, steps=400).log_std)


moments = st.tuples(st.floats(-3, 3), st.floats(0.05, 1))


@given(moments, st.floats(-1, 4), st.booleans())
def test_no_gaussian_is_above_the_likelihood(moments, x, humped):
    chain = Humps(0.3, 0.25) if humped else random_chain([1, 1], 8)
    at = torch.tensor([[x]], **float64)
    q = ScalarLatent(FreePosterior(chain, torch.tensor([moments[:1]], **float64), moments[1]), nodes=2001)
    assert q.elbo(at).item() <= q.log_prob(at).item() + 1e-9


def test_each_point_has_a_posterior_of_its_own(generator):
    chain, x, mean = random_chain([2, 1], 7), points(3, 2), torch.tensor([[-1.0], [0.0], [2.0]], **float64)
    std = torch.tensor([[0.2], [0.5], [1.0]], **float64)
    free = FreePosterior(chain, mean, std)
    assert isinstance(free, Chain)
    torch.testing.assert_close(free.infer(x).mean, mean, rtol=0, atol=0)
    torch.testing.assert_close(free.infer(x).stddev, std)
    for ours, theirs in ((free.prior(x), chain.prior(x)), (free.generate(mean), chain.generate(mean, 1))):
        assert torch.equal(ours.mean, theirs.mean)
        assert torch.equal(ours.stddev, theirs.stddev)
    totals = torch.stack([elbo(free, x, generator).total for _ in range(5000)])
    gap = kl_divergence(Normal(mean, std), Normal(chain.posterior(x).mean, chain.posterior(x).stddev)).squeeze(-1)
    assert ((totals.mean(0) - chain.log_prob(x) + gap).abs() < 4.5 * totals.std(0) / 5000**0.5).all()


def test_many_points_have_a_posterior_each_and_on_a_gpu_no_value_is_looked_at():
    mean = torch.zeros(1000, 1, **float64)
    assert FreePosterior(ONE, mean).infer(torch.zeros(1000, 2, **float64)).mean.shape == (1000, 1)
    # on `meta` there are no values, so whoever looks at one fails
    assert FreePosterior(ONE, mean.to("meta"), mean.to("meta")).log_std.shape == (1000, 1)


def test_a_free_posterior_is_what_is_trained(generator):
    mean = torch.zeros(3, 2)
    free = FreePosterior(random_chain([2, 2], 7), mean)
    assert {name: tuple(p.shape) for name, p in free.named_parameters()} == {"mean": (3, 2), "log_std": (3, 2)}
    assert (free.infer(mean).stddev == 1).all()
    with torch.no_grad():
        free.mean += 1
    assert (mean == 0).all()


def test_the_gap_of_an_encoder_is_larger_than_that_of_the_best(generator):
    vae = VAE(latent=1, generator=torch.Generator().manual_seed(3)).double()
    scalar, x = ScalarLatent(vae, nodes=1001), points(5, 2)
    best = ScalarLatent(scalar.best_gaussian(x), nodes=1001)
    own, optimal, log_p = scalar.elbo(x), best.elbo(x), scalar.log_prob(x)
    assert (own < optimal).all()
    assert (optimal < log_p).all()
    assert (log_p - optimal < 0.05).all()


class Bare(Humps):
    """Its prior forgets that the single number is a point."""

    def prior(self, like):
        return Normal(like.new_zeros(len(like)), 1.0)


TWO, ONE, PLANE = (random_chain(dims, 0) for dims in ([2, 1, 1], [2, 1], [2, 2]))
X = torch.zeros(3, 2, **float64)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ScalarLatent("chain"), TypeError, "chain must have length, prior"),
        (lambda: ScalarLatent(TWO), ValueError, "chain must have length 1, got 2"),
        (lambda: ScalarLatent(ONE, nodes=1), ValueError, "nodes must be at least 2"),
        (lambda: ScalarLatent(ONE, nodes=10.0), TypeError, "nodes must be an integer"),
        (lambda: ScalarLatent(ONE, reach=0), ValueError, "reach must be positive and finite"),
        (lambda: ScalarLatent(ONE, reach="8"), TypeError, "reach must be a number"),
        (lambda: ScalarLatent(ONE).log_prob(X[0]), ValueError, r"x must have shape \(n, D\)"),
        (lambda: ScalarLatent(ONE).log_joint(X[:0]), ValueError, "x must hold at least 1 points"),
        (lambda: ScalarLatent(ONE).elbo([[0.0]]), TypeError, "x must be a floating-point tensor"),
        (lambda: ScalarLatent(PLANE).log_prob(X), ValueError, r"a single number, and has shape \(2,\)"),
        (lambda: ScalarLatent(Bare()).log_prob(X[:, :1]), ValueError, r"a single number, and has shape \(\)"),
        (lambda: ScalarLatent(ONE).log_prob(X[:0]), ValueError, "x must hold at least 1 points"),
        (lambda: ScalarLatent(ONE).log_joint(X / 0), ValueError, "x must be finite"),
        (lambda: ScalarLatent(ONE).best_gaussian(X, steps=0), ValueError, "steps must be at least 1"),
        (lambda: ScalarLatent(PLANE).elbo(X), ValueError, r"a single number, and has shape \(2,\)"),
        (lambda: ScalarLatent(PLANE).best_gaussian(X), ValueError, r"a single number, and has shape \(2,\)"),
        (lambda: FreePosterior("chain", X), TypeError, "chain must have length, prior"),
        (lambda: FreePosterior(TWO, X), ValueError, "chain must have length 1, got 2"),
        (lambda: FreePosterior(ONE, X[0]), ValueError, r"mean must have shape \(n, D\)"),
        (lambda: FreePosterior(ONE, X[:0]), ValueError, "mean must hold at least 1 points"),
        (lambda: FreePosterior(ONE, 0.0), TypeError, "mean must be a floating-point tensor"),
        (lambda: FreePosterior(ONE, X[:, :1] / 0), ValueError, "mean must be finite"),
        (
            lambda: FreePosterior(ONE, X[:2, :1]).infer(X),
            ValueError,
            "z must be the 2 points that have a q of their own, got 3",
        ),
        (lambda: FreePosterior(ONE, X[:, :1], X[:, :1]), ValueError, "std must be positive, and some"),
        (lambda: FreePosterior(ONE, X[:, :1], X[:, :1] - 1), ValueError, "std must be positive, and some"),
        (lambda: FreePosterior(ONE, X[:, :1], X[:, :1] / 0), ValueError, "std must be finite"),
        (lambda: FreePosterior(ONE, X[:, :1]).infer(X, 0), ValueError, "i must be at least 1"),
        (lambda: FreePosterior(ONE, X[:, :1]).infer(X, 2), ValueError, "i must be at most 1"),
        (lambda: FreePosterior(ONE, X[:, :1]).generate(X[:, :1], 0), ValueError, "i must be at least 1"),
        (lambda: FreePosterior(ONE, X[:, :1]).generate(X[:, :1], 2), ValueError, "i must be at most 1"),
        (
            lambda: FreePosterior(ONE, X[:, :1]).infer(X[:2]),
            ValueError,
            "z must be the 3 points that have a q of their own, got 2",
        ),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_slopes_of_the_search_are_those_of_the_bound():
    """By autograd through the bound itself."""
    line = ScalarLatent(Humps(), nodes=801)
    x = torch.tensor([[1.0], [0.3]], dtype=torch.float64)
    joint = line.log_joint(x)
    mean = torch.tensor([[1.1], [-0.4]], dtype=torch.float64, requires_grad=True)
    log_std = torch.tensor([[-1.5], [-0.7]], dtype=torch.float64, requires_grad=True)
    line._elbo(joint, line.grid(x), gaussian(mean, log_std.exp())).sum().backward()
    with torch.no_grad():
        found = line._slopes(joint, line.grid(x).squeeze(-1), mean, log_std.exp())
    torch.testing.assert_close(found, (mean.grad, log_std.grad), rtol=1e-9, atol=1e-9)
