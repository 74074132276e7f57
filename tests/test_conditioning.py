"""Draws given something: against linear algebra for Gaussian data, exact posteriors, and each step by hand."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
import torch
from scipy import stats
from synchronisations import Synchronisations
from torch.testing import assert_close

from diffusion_notes.conditioning import (
    denoised,
    enter,
    gradient_guidance,
    multiplied,
    particles,
    replacement,
)
from diffusion_notes.data import Clusters, GaussianMixture, Peaks, Seen
from diffusion_notes.ddpm import DDPM
from diffusion_notes.metrics import kl_from_counts
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.samplers import ExactNoise, choose_levels, on_levels, walk
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

INF = math.inf
float64 = {"dtype": torch.float64}
SHORT = Schedule.linear(T=12, beta_1=0.02, beta_T=0.6)
LONG = Schedule.linear(T=1000)
CENTRE = np.array([0.4, -0.3])
COVARIANCE = np.array([[0.5, 0.35], [0.35, 0.4]])
N = 100_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def end(states):
    return deque(states, maxlen=1).pop()


# Gaussian data: all is linear, and the law of the samples is a mean and a covariance that numpy can follow. Everything
# here is written with beta and alpha, as in the papers, where the package walks in kappa.


def perfect(schedule: Schedule, variance="beta_tilde") -> DDPM:
    centre, covariance = torch.tensor(CENTRE), torch.tensor(COVARIANCE)

    def network(xt, t):
        level = schedule.alpha_bar[t]
        spread = level * covariance + (1 - level) * torch.eye(2, **float64)
        away = xt.double() - level.sqrt() * centre
        return ((1 - level).sqrt() * torch.linalg.solve(spread, away.T).T).to(xt.dtype)

    return DDPM(network, schedule, variance)


class Tables:
    """The numbers of a step, as in Ho et al. 2020."""

    def __init__(self, t: int):
        self.beta = SHORT.beta[t].item()
        self.alpha = 1 - self.beta
        self.level = SHORT.alpha_bar[t].item()
        self.below = SHORT.alpha_bar[t - 1].item()
        self.sigma2 = (1 - self.below) / (1 - self.level) * self.beta
        spread = self.level * COVARIANCE + (1 - self.level) * np.eye(2)
        noise = math.sqrt(1 - self.level) * np.linalg.inv(spread)  # of x_t - sqrt(alpha_bar) m
        self.A = (np.eye(2) - self.beta / math.sqrt(1 - self.level) * noise) / math.sqrt(self.alpha)
        constant = self.beta / math.sqrt(1 - self.level) * noise @ (math.sqrt(self.level) * CENTRE)
        self.b = constant / math.sqrt(self.alpha)
        # the guess at the data, J x + j
        self.J = (np.eye(2) - math.sqrt(1 - self.level) * noise) / math.sqrt(self.level)
        self.j = math.sqrt(1 - self.level) * noise @ CENTRE
        self.T = t


class Law:
    """A Gaussian that is moved by affine maps with noise."""

    def __init__(self, mean, covariance):
        self.mean, self.covariance = np.asarray(mean, float), np.asarray(covariance, float)

    def move(self, A, b, noise):
        return Law(A @ self.mean + b, A @ self.covariance @ A.T + noise)


def agrees(x: torch.Tensor, law: Law) -> None:
    x = x.double().numpy()
    deviation = np.sqrt(np.diag(law.covariance))
    assert (np.abs(x.mean(0) - law.mean) < 4.5 * deviation / math.sqrt(len(x)) + 1e-6).all()
    error = np.abs(np.cov(x.T) - law.covariance)
    assert (error < 4.5 * math.sqrt(2 / len(x)) * np.outer(deviation, deviation) + 1e-6).all()


def start() -> torch.Tensor:
    return torch.randn(N, 2, generator=seeded(1))


def written(law: Law, value: float, variance: float) -> Law:
    """The first coordinate written over by what knows nothing of the second."""
    M = np.diag([0.0, 1.0])
    return law.move(M, np.array([value, 0.0]), np.diag([variance, 0.0]))


@pytest.mark.parametrize("noised", [True, False])
@pytest.mark.parametrize("resamplings", [1, 3])
def test_replacement_and_its_resampling_are_those_of_the_papers(noised, resamplings):
    a = 0.9

    def write(law, level):
        return written(law, math.sqrt(level) * a if noised else a, 1 - level if noised else 0.0)

    law = write(Law(np.zeros(2), np.eye(2)), SHORT.alpha_bar[-1].item())
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        for again in range(resamplings if t > 1 else 1):
            if again:
                law = law.move(math.sqrt(step.alpha) * np.eye(2), 0, step.beta * np.eye(2))
            law = law.move(step.A, step.b, (step.sigma2 if t > 1 else 0) * np.eye(2))
            law = write(law, step.below)
    states = replacement(perfect(SHORT), start(), Seen((a, 0), (0, INF)), resamplings, noised, generator=seeded())
    t, x = end(states)
    assert t == 0
    agrees(x, law)


def exactly_multiplied(law_step, a, k2, sigma2):
    """Of N(x; mean, sigma2) N(a_1; x_1, k2) with mean = A x + b: the affine map, and the variance."""
    A, b = law_step
    share = np.diag([sigma2 / (sigma2 + k2), 0.0])
    keep = np.eye(2) - share
    return keep @ A, keep @ b + share @ np.array([a, 0.0]), sigma2 * keep


@pytest.mark.parametrize("power", ["constant", "rising"])
def test_steps_times_a_gaussian_are_multiplied_exactly(power):
    a, k = 0.9, 0.3
    exponents = [1.0 if power == "constant" else (SHORT.T - s) / SHORT.T for s in range(SHORT.T + 1)]
    law = Law(np.zeros(2), np.eye(2))
    if power == "constant":
        law = Law(*[exactly_multiplied((np.eye(2), np.zeros(2)), a, k**2, 1.0)[i] for i in (1, 2)])
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        sigma2 = step.sigma2 if t > 1 else step.beta
        A, b, variance = exactly_multiplied((step.A, step.b), a, k**2 / exponents[t - 1], sigma2)
        law = law.move(A, b, variance if t > 1 else np.zeros((2, 2)))
    t, x = end(multiplied(perfect(SHORT), start(), Seen((a, 0), (k, INF)), power, generator=seeded()))
    agrees(x, law)


@pytest.mark.parametrize("power", ["constant", "rising"])
def test_any_factor_shifts_the_mean_by_its_gradient(power):
    a, k = 0.9, 0.5
    pull = np.diag([1 / k**2, 0.0])
    law = Law(np.zeros(2), np.eye(2))
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        exponent = 1.0 if power == "constant" else (SHORT.T - t + 1) / SHORT.T
        sigma2 = step.sigma2 if t > 1 else step.beta
        push = np.eye(2) - exponent * sigma2 * pull
        b = push @ step.b + exponent * sigma2 * pull @ np.array([a, 0.0])
        law = law.move(push @ step.A, b, (sigma2 if t > 1 else 0) * np.eye(2))

    def log_r(x):
        return -(x[:, 0] - a).square() / (2 * k**2)

    t, x = end(multiplied(perfect(SHORT), start(), log_r, power, generator=seeded()))
    agrees(x, law)


@pytest.mark.parametrize("guess", ["dps", "pigdm"])
def test_the_gradient_is_that_of_the_guess(guess):
    """The score of the step is the model's plus J' (k² + r²)⁻¹ (y − x̂0)."""
    y, k = np.array([0.9, -0.5]), np.array([0.6, 0.8])
    law = Law(np.zeros(2), np.eye(2))
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        spread = 0.0 if guess == "dps" else 1 - step.level
        pull = step.J.T @ np.diag(1 / (k**2 + spread))
        size = step.beta / math.sqrt(step.alpha)
        A = step.A - size * pull @ step.J
        b = step.b + size * pull @ (y - step.j)
        law = law.move(A, b, (step.sigma2 if t > 1 else 0) * np.eye(2))
    seen = Seen(tuple(y), tuple(k))
    t, x = end(gradient_guidance(perfect(SHORT), start(), seen, guess, generator=seeded()))
    agrees(x, law)


def test_a_step_of_dps_is_theirs():
    """x' − ζ ∇‖y − x̂0‖² / ‖y − x̂0‖ (their algorithm 1), the gradient by differences; of what was not seen, nothing."""
    model, zeta = perfect(SHORT), 0.7
    xT = torch.randn(5, 2, generator=seeded(3), **float64)
    seen = Seen((0.9, 0.0), (0.0, INF))
    states = list(gradient_guidance(model, xT, seen, "dps", zeta, generator=seeded(4)))
    step = Tables(SHORT.T)

    def square(x):
        return (0.9 - (x @ step.J.T + step.j)[:, 0]) ** 2

    x = xT.numpy()
    gradient = np.stack([(square(x + d) - square(x - d)) / 2e-5 for d in 1e-5 * np.eye(2)], -1)
    noise = torch.randn(5, 2, generator=seeded(4), **float64).numpy()
    expected = x @ step.A.T + step.b + math.sqrt(step.sigma2) * noise - zeta * gradient / np.sqrt(square(x))[:, None]
    np.testing.assert_allclose(states[1][1].numpy(), expected, atol=1e-6)
    assert (states[-1][1][:, 0] == 0.9).all()


def test_a_step_of_dps_at_the_observation_itself_is_none():
    silent = DDPM(lambda xt, t: torch.zeros_like(xt), SHORT)
    xT = torch.zeros(1, 2)
    states = list(gradient_guidance(silent, xT, Seen((0.0, 0.0), (0.1, INF)), "dps", 1.0, levels=[12]))
    assert_close(states[-1][1], xT)


def test_the_chain_is_entered_where_it_is_as_noisy():
    noise = LONG.kappa[300].item()
    assert LONG.nearest(noise) == 300
    assert LONG.nearest(1e-9) == 1
    assert LONG.nearest(1e9) == 1000
    y = torch.tensor([[0.5, 0.1]])
    states = list(enter(perfect(LONG), y, noise, generator=seeded()))
    assert [t for t, _ in states] == list(range(300, -1, -1))
    assert_close(states[0][1] * (1 + noise**2) ** 0.5, y)


def test_a_denoised_point_is_a_draw_from_the_posterior_of_a_gaussian():
    k = 0.7
    t = LONG.nearest(k)
    k = LONG.kappa[t].item()
    y = np.array([1.0, 0.2])
    gain = COVARIANCE @ np.linalg.inv(COVARIANCE + k**2 * np.eye(2))
    mean, covariance = CENTRE + gain @ (y - CENTRE), COVARIANCE - gain @ COVARIANCE
    points = torch.tensor(y, dtype=torch.float32).expand(20_000, 2)
    _, x = end(enter(perfect(LONG), points, k, generator=seeded()))
    assert_close(x.mean(0).double(), torch.tensor(mean), atol=0.02, rtol=0)
    assert_close(x.T.cov().double(), torch.tensor(covariance), atol=0.01, rtol=0)
    assert_close(denoised(perfect(LONG), points[:1].double(), k), torch.tensor(mean)[None], atol=1e-8, rtol=0)


def test_entering_at_the_top_is_ancestral_sampling():
    xT = torch.randn(7, 2, generator=seeded(1))
    _, ours = end(
        enter(perfect(SHORT), xT / SHORT.sqrt_alpha_bar[-1].float(), SHORT.kappa[-1].item(), generator=seeded())
    )
    _, theirs = end(walk(perfect(SHORT), xT, "ancestral", calls=12, generator=seeded()))
    assert_close(ours, theirs)


# All of them, where nothing is seen, are ancestral sampling.
WAYS = {
    "replacement": lambda model, xT, seen, **more: replacement(model, xT, seen, **more),
    "multiplied": lambda model, xT, seen, **more: multiplied(model, xT, seen, **more),
    "shifted": lambda model, xT, seen, **more: multiplied(model, xT, lambda x: 0 * x[:, 0], **more),
    "DPS": lambda model, xT, seen, **more: gradient_guidance(model, xT, seen, "dps", **more),
    "ΠGDM": lambda model, xT, seen, **more: gradient_guidance(model, xT, seen, "pigdm", **more),
}
NOTHING = Seen((0.0, 0.0), (INF, INF))


@pytest.mark.parametrize(
    ("levels", "variance"),
    [(None, "beta"), (None, "beta_tilde"), (None, "table"), ([1, 4, 7, 12], "beta"), ([1, 4, 7, 12], "beta_tilde")],
)
@pytest.mark.parametrize("way", WAYS)
def test_given_nothing_they_are_ancestral_sampling(way, levels, variance):
    table = torch.cat((torch.zeros(1), torch.linspace(0.01, 0.5, 12)))
    model = perfect(SHORT, table if variance == "table" else variance)
    xT = torch.randn(7, 2, generator=seeded(1), **float64)
    states = list(WAYS[way](model, xT, NOTHING, levels=levels, generator=seeded()))
    calls = len(levels or range(12))
    theirs = list(walk(model, xT, "ancestral", calls, levels=levels or "uniform", generator=seeded()))
    assert [t for t, _ in states] == [t for t, _ in theirs]
    for (_, one), (_, other) in zip(states, theirs, strict=True):
        # writing over what is not known draws numbers too, that nobody sees
        if way != "replacement":
            assert_close(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_they_ask_the_network_once_a_level(way):
    asked = []

    def network(xt, t):
        asked.append(t)
        return 0 * xt

    seen = Seen((0.5, 0.0), (0.3, INF)) if way != "replacement" else Seen((0.5, 0.0), (0.0, INF))
    model = DDPM(network, SHORT)
    for _ in WAYS[way](model, torch.zeros(3, 2), seen, levels=[2, 5, 12]):
        pass
    assert asked == [12, 5, 2]


def test_resampling_and_particles_count_their_calls():
    asked = []

    def network(xt, t):
        asked.append(t)
        return 0 * xt

    model = DDPM(network, SHORT)
    for _ in replacement(model, torch.zeros(3, 2), Seen((0.5, 0.0), (0.0, INF)), resamplings=3, levels=[2, 12]):
        pass
    assert asked == [12, 12, 12, 2]
    asked.clear()
    for _ in particles(model, torch.zeros(3, 2), Seen((0.5, 0.0), (0.0, INF)), levels=[2, 12]):
        pass
    assert asked == [12, 2]


# Particles


def model_evidence(y: np.ndarray, k: np.ndarray) -> float:
    """log p_θ(y) of the model: its x_0 is Gaussian, by the recursion, with the noise of the last step."""
    law = Law(np.zeros(2), np.eye(2))
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        law = law.move(step.A, step.b, (step.sigma2 if t > 1 else step.beta) * np.eye(2))
    seen = np.isfinite(k)
    spread = (law.covariance + np.diag(np.where(seen, k, 0) ** 2))[np.ix_(seen, seen)]
    return stats.multivariate_normal.logpdf(y[seen], law.mean[seen], spread)


OBSERVED = {"one exactly": (0.9, 0.0, 0.0, INF), "both with noise": (0.9, -0.5, 0.3, 0.6), "nothing": (0, 0, INF, INF)}


@pytest.mark.parametrize("twisted", [True, False])
@pytest.mark.parametrize("name", OBSERVED)
def test_the_evidence_is_unbiased(name, twisted):
    """The mean of the estimate over many small runs is the model's own evidence, by linear algebra."""
    *y, k1, k2 = OBSERVED[name]
    seen = Seen(tuple(map(float, y)), (k1, k2))
    generator = seeded(5)
    found = []
    for _ in range(200):
        xT = torch.randn(30, 2, generator=generator, **float64)
        last = end(particles(perfect(SHORT), xT, seen, twisted, generator=generator))
        found.append(last.log_evidence.item())
    exact = model_evidence(np.array(y, float), np.array([k1, k2])) if name != "nothing" else 0.0
    ratio = np.exp(np.array(found) - exact)
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std() / math.sqrt(len(ratio)) + 1e-9


@pytest.mark.parametrize("twisted", [True, False])
def test_particles_are_draws_from_the_posterior_of_the_model(twisted):
    y, k = np.array([0.9, -0.5]), np.array([0.3, 0.6])
    law = Law(np.zeros(2), np.eye(2))
    for t in range(SHORT.T, 0, -1):
        step = Tables(t)
        law = law.move(step.A, step.b, (step.sigma2 if t > 1 else step.beta) * np.eye(2))
    gain = law.covariance @ np.linalg.inv(law.covariance + np.diag(k**2))
    mean, covariance = law.mean + gain @ (y - law.mean), law.covariance - gain @ law.covariance
    last = end(particles(perfect(SHORT), start(), Seen(tuple(y), tuple(k)), twisted, generator=seeded()))
    assert_close(last.x.mean(0).double(), torch.tensor(mean), atol=0.01, rtol=0)
    assert_close(last.x.T.cov().double(), torch.tensor(covariance), atol=0.01, rtol=0)
    assert last.log_evidence.item() == pytest.approx(model_evidence(y, k), abs=0.02)
    assert 1 < last.effective.item() <= N
    assert_close(last.log_weight.exp().sum(), torch.tensor(1.0))


def standard(variance="beta") -> DDPM:
    one = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(2))
    return DDPM(ExactNoise(one, LONG), LONG, variance)


def test_for_standard_normal_data_the_guess_of_pigdm_is_the_truth():
    """So the twisted particles hardly need their weights, and the gradient leads to the posterior."""
    seen = Seen((1.0, -0.4), (0.5, 0.8))
    xT = torch.randn(6_000, 2, generator=seeded(1))
    states = list(particles(standard(), xT, seen, resample_below=0.0, generator=seeded()))
    exact = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(2)).evidence(seen)
    assert states[-1].log_evidence.item() == pytest.approx(exact, abs=0.02)
    assert states[-1].effective > 0.95 * len(xT)
    _, guided = end(gradient_guidance(standard(), xT, seen, "pigdm", generator=seeded()))
    for x in (states[-1].x, guided):
        for d, (y, k) in enumerate(((1.0, 0.5), (-0.4, 0.8))):
            assert x[:, d].mean().item() == pytest.approx(y / (1 + k**2), abs=0.03)
            assert x[:, d].var().item() == pytest.approx(k**2 / (1 + k**2), rel=0.09)


def test_for_standard_normal_data_dps_is_too_sure():
    """It takes the guess for the truth: its law is narrower than the posterior."""
    xT = torch.randn(6_000, 2, generator=seeded(1))
    _, x = end(gradient_guidance(standard(), xT, Seen((1.0, 0.0), (0.5, INF)), "dps", generator=seeded()))
    assert x[:, 0].mean() > 1.1 * (1.0 / 1.25)
    assert x[:, 0].var() < 0.9 * (0.25 / 1.25)
    assert x[:, 1].var().item() == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("twisted", [True, False])
def test_particles_find_both_peaks_with_their_shares(twisted):
    peaks, seen = Peaks().mixture(), Seen([0.25], [0.6])
    model = DDPM(ExactNoise(peaks, LONG), LONG)
    levels = choose_levels(LONG, 60, "log_snr")
    xT = torch.randn(20_000, 1, generator=seeded(1))
    last = end(particles(model, xT, seen, twisted, levels=levels, generator=seeded()))
    share = peaks.given(seen).share(torch.tensor([False, True]))
    assert (last.x > 0).double().mean().item() == pytest.approx(share, abs=0.02)
    assert last.log_evidence.item() == pytest.approx(peaks.evidence(seen), abs=0.03)


def test_on_the_roll_particles_are_near_the_floor_and_replacement_is_not():
    roll = SwissRoll().mixture()
    seen = Seen((0.3, 0.0), (0.0, INF))
    posterior = roll.given(seen)
    model = DDPM(ExactNoise(roll, LONG), LONG)
    levels = choose_levels(LONG, 50, "log_snr")
    xT = torch.randn(4000, 2, generator=seeded(1))
    last = end(particles(model, xT, seen, levels=levels, generator=seeded()))
    assert (last.x[:, 0] == 0.3).all()
    assert last.log_evidence.item() == pytest.approx(roll.evidence(seen), abs=0.15)
    _, replaced = end(replacement(model, xT, seen, levels=levels, generator=seeded()))
    near, far = (kl_from_counts(*posterior.cells(x)) for x in (last.x, replaced))
    assert near < far / 3


def test_zero_shot_denoising_of_clusters_is_at_the_floor():
    clusters = Clusters().mixture()
    y, k = (0.6, 0.5), 0.4
    model = on_levels(DDPM(ExactNoise(clusters, LONG), LONG), torch.logspace(-2, math.log10(k), 200, **float64))
    assert model.schedule.kappa[-1].item() == pytest.approx(k)
    points = torch.tensor(y).expand(10_000, 2)
    _, x = end(enter(model, points, k, generator=seeded()))
    posterior = clusters.given(Seen(y, (k, k)))
    shares = posterior.log_weight.exp()
    nearest = torch.cdist(x.double(), clusters.mean).argmin(-1)
    found = torch.bincount(nearest, minlength=8) / len(x)
    assert_close(found.double(), shares, atol=0.018, rtol=0)
    # the one call gives the mean, which is in no cluster
    mean, _ = posterior.moments()
    assert_close(denoised(model, points[:1].double(), k)[0], mean, atol=1e-6, rtol=0)


# What goes wrong, and where it is computed


def test_nothing_synchronises_inside_the_loops():
    for way in (*WAYS.values(), lambda *a, **more: particles(*a, **more)):
        seen = []
        for levels in ([1, 12], list(range(1, 13))):
            model, xT, noise = DDPM(NoiseMLP(SHORT, width=4), SHORT), torch.zeros(5, 2), seeded()
            with Synchronisations() as found:
                for _ in way(model, xT, Seen((0.5, 0.0), (INF, INF)), levels=levels, generator=noise):
                    pass
            seen.append(len(found.seen))
        assert seen[0] == seen[1]


REFUSED = [
    (lambda m, x, s: replacement(m, x, Seen((0.5, 0), (0.1, INF))), "observation must have noise 0 or infinite"),
    (lambda m, x, s: replacement(m, x, Seen((0.5,), (0.0,))), "observation must have as many coordinates"),
    (lambda m, x, s: replacement(m, x, s, levels=[3, 3]), "levels must be integers that rise"),
    (lambda m, x, s: replacement(m, x, s, levels=[]), "levels must be integers that rise"),
    (lambda m, x, s: replacement(m, x, s, levels=[13]), "each of levels must be at most 12"),
    (lambda m, x, s: replacement(m, x, s, resamplings=0), "resamplings must be at least 1"),
    (lambda m, x, s: replacement(m, x * INF, s), "xT must be finite"),
    (lambda m, x, s: multiplied(m, x, lambda z: z), "what factor returns must have shape"),
    (lambda m, x, s: multiplied(m, x, s, "falling"), "power must be one of"),
    (lambda m, x, s: gradient_guidance(m, x, s, "dps"), "step_size must be given"),
    (lambda m, x, s: gradient_guidance(m, x, s, "pigdm", 1.0), "step_size must be None"),
    (lambda m, x, s: gradient_guidance(m, x, s, "dps", 0.0), "step_size must be positive"),
    (lambda m, x, s: gradient_guidance(m, x, s, "guess"), "guess must be one of"),
    (lambda m, x, s: particles(m, x[:0], s), "xT must hold at least 1"),
    (lambda m, x, s: particles(m, x, s, resample_below=1.5), "resample_below must be between 0 and 1"),
    (lambda m, x, s: enter(m, x, 0.0), "noise must be positive"),
    (lambda m, x, s: enter(m, x, 0.5, levels=[1, 12]), "each of levels must be at most"),
    (lambda m, x, s: enter(m, x, 0.5, levels=[1]), "levels must end at the one that is entered"),
    (lambda m, x, s: replacement(DDPM(m.network, SHORT, SHORT.beta + 1), x, s, levels=[2]), "model must have"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_makes_no_sense_is_refused(call, message):
    silent = DDPM(lambda xt, t: torch.zeros_like(xt), SHORT)
    with pytest.raises(ValueError, match=message):
        list(call(silent, torch.zeros(3, 2), Seen((0.5, 0.0), (0.0, INF))))


def test_what_is_of_another_kind_is_refused():
    silent = DDPM(lambda xt, t: torch.zeros_like(xt), SHORT)
    for call in (
        lambda: replacement(silent, torch.zeros(3, 2), 0.5),
        lambda: replacement(silent.network, torch.zeros(3, 2), NOTHING),
        lambda: replacement(silent, torch.zeros(3, 2), NOTHING, noised=1),
        lambda: multiplied(silent, torch.zeros(3, 2), 0.5),
        lambda: particles(silent, torch.zeros(3, 2), NOTHING, twisted=None),
        lambda: particles(silent, torch.zeros(3, 2).half(), NOTHING),
    ):
        with pytest.raises(TypeError, match="must"):
            list(call())
