"""Mixtures and their posteriors: against torch's own mixtures, scipy's quadrature, autograd, and the roll itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_notes.data import Clusters, GaussianMixture, KnownDistribution, Peaks, Seen
from diffusion_notes.ddpm import DDPM
from diffusion_notes.metrics import kl_from_counts
from diffusion_notes.samplers import ExactNoise
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}
INF = math.inf


def three(dim: int = 2) -> GaussianMixture:
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(3, dim, generator=generator, **float64)
    return GaussianMixture(torch.tensor([0.1, -0.7, 0.4], **float64), mean, 0.1 + 0.1 * torch.arange(dim, **float64))


def by_torch(mixture: GaussianMixture) -> MixtureSameFamily:
    each = Independent(Normal(mixture.mean, mixture.variance.sqrt().expand_as(mixture.mean)), 1)
    return MixtureSameFamily(Categorical(logits=mixture.log_weight), each)


@given(st.floats(0.001, 1), st.integers(1, 4))
def test_the_density_is_that_of_torch(alpha_bar, dim):
    x = torch.randn(5, 4, dim, generator=torch.Generator().manual_seed(0), **float64)
    diffused = three(dim).diffuse(alpha_bar)
    torch.testing.assert_close(diffused.log_prob(x), by_torch(diffused).log_prob(x))


@pytest.mark.parametrize("alpha_bar", [1.0, 0.5, 1e-4])
def test_the_score_is_the_gradient(alpha_bar):
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), **float64).requires_grad_()
    diffused = three().diffuse(alpha_bar)
    (gradient,) = torch.autograd.grad(diffused.log_prob(x).sum(), x)
    torch.testing.assert_close(diffused.score(x), gradient)


@pytest.mark.parametrize("alpha_bar", [1.0, 0.9999, 0.97, 0.5, 0.01, 0.0])
def test_the_roll_is_a_mixture_at_all_levels(alpha_bar, generator):
    roll, mixture = SwissRoll(), SwissRoll().mixture()
    x = roll.diffuse(alpha_bar).sample(300, generator, **float64)
    x = torch.cat((x, torch.tensor([[0.0, 0.0], [2.0, -2.0]], **float64)))
    if alpha_bar < 1:
        roll, mixture = roll.diffuse(alpha_bar), mixture.diffuse(alpha_bar)
    torch.testing.assert_close(mixture.log_prob(x), roll.log_prob(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixture.score(x), roll.score(x), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_pieces_of_the_roll_are_stretches_of_it(pieces, generator):
    roll = SwissRoll()
    mixture = roll.mixture(pieces)
    x = roll.sample(200, generator, **float64)
    torch.testing.assert_close(mixture.log_prob(x), roll.log_prob(x), rtol=1e-9, atol=1e-9)
    first = torch.arange(len(mixture.log_weight)) < len(mixture.log_weight) // pieces
    assert mixture.share(first) == pytest.approx(1 / pieces, abs=1e-12)
    inner = mixture.only(first)

    def density(u: float) -> np.ndarray:
        apart = x - roll.spiral(torch.tensor(u, **float64))
        return (torch.exp(-apart.square().sum(-1) / (2 * 0.05**2)) / (2 * math.pi * 0.05**2)).numpy()

    nodes = np.linspace(0, 1 / pieces, 4001)
    simpson = integrate.simpson(np.stack([density(u) for u in nodes]), x=nodes, axis=0) * pieces
    np.testing.assert_allclose(inner.log_prob(x).exp().numpy(), simpson, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("alpha_bar", [1.0, 0.4])
def test_clusters_and_peaks_are_mixtures(alpha_bar, generator):
    clusters = Clusters().diffuse(alpha_bar)
    x = clusters.sample(50, generator, **float64)
    torch.testing.assert_close(clusters.mixture().log_prob(x), clusters.log_prob(x))
    torch.testing.assert_close(clusters.mixture().score(x), clusters.score(x))
    peaks = Peaks(share=0.2).diffuse(alpha_bar)
    torch.testing.assert_close(peaks.mixture().log_prob(x[:, :1]), peaks.log_prob(x[:, :1]))
    assert peaks.mixture().entropy().item() == pytest.approx(-peaks.expect(peaks.log_prob).item(), abs=1e-8)


OBSERVATIONS = {
    "the first coordinate": Seen((0.3, 0.0), (0.0, INF)),
    "the second coordinate": Seen((0.0, -0.4), (INF, 0.0)),
    "both, with noise": Seen((0.3, -0.4), (0.3, 0.3)),
    "one better than the other": Seen((0.3, -0.4), (0.1, 0.4)),
    "one exactly, the other not": Seen((0.3, -0.4), (0.0, 0.2)),
    "nothing": Seen((0.0, 0.0), (INF, INF)),
}


def joint_on_a_grid(seen: Seen) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Points over the free axes and the roll's own density times the likelihood there: nothing of the mixture's."""
    axis = np.linspace(-2.2, 2.2, 221)
    free = [d for d in range(2) if seen.noise[d] > 0]
    points = np.stack(np.meshgrid(*([axis] * len(free)), indexing="ij"), -1).reshape(-1, len(free))
    x = np.empty((len(points), 2))
    x[:] = seen.value.numpy()
    x[:, free] = points
    keep = SwissRoll().diffuse(1.0)
    density = np.concatenate([keep.log_prob(b).exp().numpy() for b in torch.tensor(x, **float64).split(20_000)])
    for d in free:
        if seen.noise[d] < INF:
            density = density * stats.norm.pdf(seen.value[d], x[:, d], seen.noise[d])
    return x, density * (axis[1] - axis[0]) ** len(free), free


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_the_posterior_of_the_roll_is_that_of_a_grid(name):
    seen = OBSERVATIONS[name]
    x, mass, free = joint_on_a_grid(seen)
    mixture = SwissRoll().mixture()
    posterior = mixture.given(seen)
    assert posterior.free == free
    assert mixture.evidence(seen) == pytest.approx(math.log(mass.sum()), abs=1e-7)
    cell = 0.02 ** len(free)
    share = mass / mass.sum()
    some = slice(None, None, 1 + len(x) // 1000)
    exact = posterior.log_prob(torch.tensor(x, **float64)[some]).exp()
    np.testing.assert_allclose(exact.numpy() * cell, share[some], rtol=1e-6, atol=1e-12)
    assert posterior.entropy().item() == pytest.approx(-special_sum(share) + math.log(cell), abs=1e-6)
    mean, covariance = posterior.moments()
    np.testing.assert_allclose(mean.numpy(), share @ x, atol=1e-7)
    away = x - share @ x
    np.testing.assert_allclose(covariance.numpy(), (share[:, None] * away).T @ away, atol=1e-7)
    square = posterior.expect(lambda x: x.square())
    np.testing.assert_allclose(square.numpy(), share @ x**2, atol=1e-7)


def special_sum(share: np.ndarray) -> float:
    return float((share[share > 0] * np.log(share[share > 0])).sum())


@settings(max_examples=20)
@given(st.floats(0.05, 3), st.floats(-2, 2))
def test_the_posterior_of_one_gaussian_is_in_the_form_of_precisions(noise, value):
    one = GaussianMixture(torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([0.7], **float64))
    posterior = one.given(Seen([value], [noise]))
    precision = 1 / 0.7 + 1 / noise**2
    assert posterior.variance.item() == pytest.approx(1 / precision)
    assert posterior.mean.item() == pytest.approx((0.5 / 0.7 + value / noise**2) / precision)
    assert one.evidence(Seen([value], [noise])) == pytest.approx(
        stats.norm.logpdf(value, 0.5, math.hypot(noise, 0.7**0.5))
    )


def test_two_observations_one_after_the_other_are_both_at_once():
    mixture = SwissRoll().mixture()
    first, second = Seen((0.3, 0.0), (0.2, INF)), Seen((0.0, -0.4), (INF, 0.0))
    both = Seen((0.3, -0.4), (0.2, 0.0))
    twice, once = mixture.given(first).given(second), mixture.given(both)
    x = torch.tensor([[0.3, -0.4], [0.25, -0.4]], **float64)
    torch.testing.assert_close(twice.log_prob(x), once.log_prob(x))
    assert mixture.evidence(first) + mixture.given(first).evidence(second) == pytest.approx(mixture.evidence(both))


def test_noise_that_goes_to_zero_is_a_coordinate_that_is_known():
    mixture = SwissRoll().mixture()
    known, nearly = mixture.given(Seen((0.3, 0), (0, INF))), mixture.given(Seen((0.3, 0), (1e-6, INF)))
    torch.testing.assert_close(known.log_weight, nearly.log_weight, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(known.mean, nearly.mean, atol=1e-8, rtol=0)
    assert mixture.evidence(Seen((0.3, 0), (0, INF))) == pytest.approx(mixture.evidence(Seen((0.3, 0), (1e-6, INF))))


@pytest.mark.parametrize("alpha_bar", [0.9, 0.1])
def test_what_is_known_exactly_is_diffused_too(alpha_bar, generator):
    """q(x_t | y) is an ordinary density, and the score of its known axis that of one Gaussian."""
    posterior = SwissRoll().mixture().given(Seen((0.3, 0), (0, INF)))
    diffused = posterior.diffuse(alpha_bar)
    x = diffused.sample(40, generator, **float64)
    assert diffused.free == [0, 1]
    assert posterior.score(x)[:, 0].abs().max() == 0
    known = -(x[:, 0] - math.sqrt(alpha_bar) * 0.3) / (1 - alpha_bar)
    torch.testing.assert_close(diffused.score(x)[:, 0], known)
    torch.testing.assert_close(diffused.log_prob(x), by_torch(diffused).log_prob(x))


def test_the_score_of_the_diffused_posterior_is_bayes_rule(generator):
    r"""∇ log q(x_t|y) = ∇ log q(x_t) + ∇ log p(y|x_t), the last by quadrature over x_0."""
    seen, alpha_bar = Seen((0.3, -0.2), (0.2, 0.4)), 0.7
    mixture = Peaks().mixture()
    seen = Seen([0.3], [0.4])
    x = torch.linspace(-2, 2, 9, **float64).unsqueeze(-1).requires_grad_()
    x0 = torch.linspace(-3, 3, 6001, **float64).unsqueeze(-1)
    kernel = Normal(math.sqrt(alpha_bar) * x0.squeeze(-1), math.sqrt(1 - alpha_bar)).log_prob(x)
    prior = mixture.log_prob(x0)
    likelihood = seen.log_likelihood(x0)
    log_p = (kernel + prior + likelihood).logsumexp(-1) - (kernel + prior).logsumexp(-1)
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    exact = mixture.given(seen).diffuse(alpha_bar).score(x) - mixture.diffuse(alpha_bar).score(x)
    torch.testing.assert_close(exact, gradient)


def test_samples_are_drawn_from_the_density(generator):
    for mixture in (three(), SwissRoll().mixture().given(Seen((0.3, 0), (0, INF))), three(3).diffuse(0.5)):
        x = mixture.sample(100_000, generator, **float64)
        surprise = -mixture.log_prob(x)
        mean, covariance = mixture.moments()
        assert (x.mean(0) - mean).abs().max() < 4.5 * (covariance.diagonal().max() / len(x)).sqrt()
        torch.testing.assert_close(x.T.cov(correction=0), covariance, atol=0.03, rtol=0)
        if mixture.dim < 3:
            assert abs(surprise.mean() - mixture.entropy()) < 4.5 * surprise.std() / len(x) ** 0.5


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_rosenblatt_makes_uniform_numbers_of_samples(name, generator):
    posterior = SwissRoll().mixture().given(OBSERVATIONS[name])
    u = posterior.uniforms(posterior.sample(4000, generator)).numpy()
    assert u.shape == (4000, len(posterior.free))
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    if len(posterior.free) == 2:
        assert abs(stats.spearmanr(*u.T).statistic) < 0.07


def test_the_distribution_functions_are_integrals_of_the_density():
    posterior = three().given(Seen((0.3, -0.4), (0.5, INF)))
    x = torch.tensor([[0.1, 0.2], [-0.5, 1.0]], **float64)
    u = posterior.uniforms(x)
    for point, (first, second) in zip(x.tolist(), u.tolist(), strict=True):

        def density(b: float, a: float) -> float:
            return posterior.log_prob(torch.tensor([a, b], **float64)).exp().item()

        below, _ = integrate.dblquad(density, -6, point[0], -6, 6, epsabs=1e-7)
        assert first == pytest.approx(below, abs=1e-6)
        part = integrate.quad(density, -6, point[1], args=(point[0],))[0]
        assert second == pytest.approx(part / integrate.quad(density, -6, 6, args=(point[0],))[0], abs=1e-6)


def test_true_samples_are_at_the_floor_and_a_lost_arm_is_seen(generator):
    posterior = SwissRoll().mixture().given(Seen((0.3, 0), (0, INF)))
    x = posterior.sample(20_000, generator)
    cell, count = posterior.cells(x)
    assert count == 100
    assert abs(kl_from_counts(cell, count)) < 4.5 * math.sqrt(2 * 99) / 40_000
    below = x[x[:, 1] < 0]
    lost = 1 - len(below) / len(x)
    # of a share that is gone, KL is its logarithm; χ² / 2n is odds / 2
    assert kl_from_counts(*posterior.cells(below)) == pytest.approx(lost / (1 - lost) / 2, rel=0.05)
    assert posterior.strays(x).double().mean().item() == pytest.approx(0.0027, abs=4.5 * math.sqrt(0.0027 / 20_000))
    assert posterior.strays(torch.tensor([[0.3, 3.0]])).all()


def test_strays_of_one_gaussian_are_three_standard_deviations_away():
    one = GaussianMixture(torch.zeros(1), torch.zeros(1, 1), torch.tensor([4.0]))
    assert one.strays(torch.tensor([[5.98], [6.02], [-6.02], [0.0]])).tolist() == [False, True, True, False]
    plane = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(2))
    edge = math.sqrt(-2 * math.log(0.0027))  # the radius that so many are outside of
    assert plane.strays(torch.tensor([[edge + 0.03, 0.0], [0.0, edge - 0.03]])).tolist() == [True, False]


def test_strays_are_those_of_the_level(generator):
    """The threshold is kept, but not across levels."""
    mixture = three()
    x = mixture.diffuse(0.5).sample(4000, generator)
    few = mixture.strays(x)
    assert few.double().mean() > mixture.diffuse(0.5).strays(x).double().mean()
    assert mixture.diffuse(0.5).strays(x).double().mean() < 0.01


def test_classes_are_mixtures_and_the_classifier_is_theirs(generator):
    clusters = Clusters().mixture()
    kept = torch.tensor([True, False, False, True, False, False, False, False])
    assert clusters.share(kept) == pytest.approx(0.25)
    labelled = clusters.only(kept)
    x = clusters.diffuse(0.5).sample(30, generator, **float64)
    by_bayes = labelled.diffuse(0.5).log_prob(x) + math.log(0.25) - clusters.diffuse(0.5).log_prob(x)
    torch.testing.assert_close(clusters.diffuse(0.5).log_parts(x)[:, kept].logsumexp(-1), by_bayes)
    # a class of a diffused mixture is the diffused class
    torch.testing.assert_close(clusters.diffuse(0.5).only(kept).log_prob(x), labelled.diffuse(0.5).log_prob(x))
    assert labelled.share(~kept) == 0


def test_a_perfect_model_takes_a_posterior_as_its_data(generator):
    """Walked with the exact conditional score, a chain ends in the posterior."""
    posterior = Peaks().mixture().given(Seen([0.2], [0.5]))
    assert isinstance(posterior, KnownDistribution)
    exact = DDPM(ExactNoise(posterior, Schedule.linear(T=200, beta_T=0.1)), Schedule.linear(T=200, beta_T=0.1))
    x0 = exact.sample(torch.randn(4000, 1, generator=generator), generator)
    right = (x0 > 0).double().mean().item()
    assert right == pytest.approx(posterior.share(torch.tensor([False, True])), abs=4.5 * 0.5 / 4000**0.5)


def test_the_likelihood_is_that_of_normals():
    seen = Seen(torch.tensor([0.3, 5.0, -1.0]), torch.tensor([0.5, INF, 2.0]))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), **float64)
    expected = Normal(0.3, 0.5).log_prob(x[:, 0]) + Normal(-1.0, 2.0).log_prob(x[:, 2])
    torch.testing.assert_close(seen.log_likelihood(x), expected, rtol=1e-6, atol=1e-6)
    assert seen.is_seen.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Seen((0.3,), (0.1, 0.2)), "noise must have shape"),
        (lambda: Seen((0.3,), (-0.1,)), "noise must not be negative"),
        (lambda: Seen((INF,), (0.1,)), "value must be finite"),
        (lambda: Seen((), ()), "value must have shape"),
        (lambda: Seen((0.3,), (math.nan,)), "noise must not be negative"),
        (lambda: Seen((0.3,), (0.0,)).log_likelihood(torch.zeros(1)), "noise must be positive"),
        (lambda: three().given(Seen((0.3,), (0.1,))), "observation must have 2 coordinates"),
        (lambda: three().given(Seen((0.3, 0.2), (0.0, 0.0))), "variance must be 0 only"),
        (lambda: three().given(OBSERVATIONS["the first coordinate"]).given(OBSERVATIONS["the first coordinate"]),
         "observation must not say exactly what is known"),
        (lambda: three().only(torch.zeros(3, dtype=torch.bool)), "kept must hold at least one"),
        (lambda: three().share(torch.ones(2, dtype=torch.bool)), "kept must have shape"),
        (lambda: three(3).entropy(), "at most two free axes"),
        (lambda: three().expect(lambda x: x[0]), "what f returns must have shape"),
        (lambda: three().given(Seen((0.0, 0.0), (1e-7, 1e-7))).diffuse(1.0).cells(torch.zeros(0, 2)), "x must hold"),
        (lambda: GaussianMixture(torch.zeros(2), torch.zeros(3, 1), torch.ones(1)), "mean must have shape"),
        (lambda: GaussianMixture(torch.zeros(2), torch.zeros(2, 1), torch.ones(2)), "variance must have shape"),
        (lambda: GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(1)), "log_weight must have shape"),
        (lambda: GaussianMixture(torch.full((2,), -INF), torch.zeros(2, 1), torch.ones(1)), "log_weight must hold"),
        (lambda: GaussianMixture(torch.zeros(2), torch.arange(4.0).view(2, 2), torch.tensor([0.0, 1.0])),
         "variance must be 0 only"),
        (lambda: GaussianMixture(torch.zeros(1), torch.tensor([[INF]]), torch.ones(1)), "mean must be finite"),
        (lambda: GaussianMixture(torch.zeros(2), torch.tensor([[0.0, 0.0], [1e5, 0.0]]), torch.ones(2)).entropy(),
         "must not be so narrow"),
        (lambda: SwissRoll().diffuse(0.5).mixture(), "mixture must be asked of a clean roll"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call", [lambda: Seen("ab", (0.1, 0.2)), lambda: Seen(("a",), (0.1,)), lambda: three().given((0.3, 0.1)),
             lambda: three().only(torch.ones(3)), lambda: three().only([True, True, False])],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused(call):
    with pytest.raises(TypeError, match="must be"):
        call()


def test_its_name_says_what_it_is():
    assert repr(Clusters().mixture()) == "GaussianMixture(8 parts in 2 dimensions)"
    assert repr(Clusters().mixture().diffuse(0.5)) == "GaussianMixture(8 parts in 2 dimensions).diffuse(0.5)"
