"""The best noise levels: prices against the general KL, the choice against trying all, the doubt against the roll's."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch.distributions import kl_divergence

from diffusion_notes.data import Clusters
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import ForwardProcess, bound_terms
from diffusion_notes.distributions import gaussian
from diffusion_notes.schedule import Schedule, best_bound, best_schedule, log_snr_levels, mmse
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}


class Normal:
    """Data N(0, s² I) in the plane: everything is known by hand."""

    def __init__(self, variance: float) -> None:
        self.variance = variance

    def diffuse(self, alpha_bar):
        return Normal(alpha_bar * self.variance + 1 - alpha_bar)

    def log_prob(self, x):
        return -x.square().sum(-1) / (2 * self.variance) - math.log(2 * math.pi * self.variance)

    def score(self, x):
        return -x / self.variance

    def expect(self, f):
        """Exact for what is quadratic in x and even in each coordinate."""
        return f(math.sqrt(2 * self.variance) * torch.eye(2, **float64)).mean(0)

    def mmses(self, levels):
        return 2 * self.variance * (1 - levels) / (levels * self.variance + 1 - levels)


def test_the_levels_are_even_in_the_log_of_signal_to_noise():
    levels = log_snr_levels(7, first=0.99, last=0.01)
    steps = (levels / (1 - levels)).log().diff()
    torch.testing.assert_close(steps, steps[:1].expand(6))
    assert (levels[0].item(), levels[-1].item()) == pytest.approx((0.99, 0.01))


def test_the_mmse_of_gaussian_data():
    data, levels = Normal(0.49), log_snr_levels(9)
    torch.testing.assert_close(mmse(data, levels), data.mmses(levels))


@pytest.mark.parametrize("data", [SwissRoll(), Clusters()])
def test_the_mmse_is_the_smallest_loss(data):
    """On the roll, against its own quadrature of the covariance; on the clusters, against samples."""
    levels = torch.tensor([0.9, 0.5, 0.05], **float64)
    found = mmse(data, levels) * levels / (1 - levels)
    if isinstance(data, SwissRoll):
        torch.testing.assert_close(found, data.noise_mmse(levels), rtol=1e-6, atol=1e-8)
        return
    generator = torch.Generator().manual_seed(0)
    x0 = data.sample(200_000, generator, **float64)
    for level, loss in zip(levels, found, strict=True):
        noise = torch.randn(x0.shape, generator=generator, **float64)
        xt = level.sqrt() * x0 + (1 - level).sqrt() * noise
        error = (noise + (1 - level).sqrt() * data.diffuse(level.item()).score(xt)).square().sum(-1)
        assert abs(error.mean() - loss) < 4.5 * error.std() / len(error) ** 0.5


def test_for_gaussian_data_the_best_model_is_perfect_however_few_its_layers():
    """Then every step is Gaussian, so there is no gap at all but that of the prior."""
    data, levels = Normal(0.49), log_snr_levels(12, last=1e-7)
    entropy = math.log(2 * math.pi * math.e * 0.49)
    for layers in (1, 2, 5, 12):
        schedule, cost = best_schedule(levels, mmse(data, levels), layers)
        chosen = schedule.alpha_bar[1:]
        assert best_bound(chosen, data.mmses(chosen), 2 * 0.49) == pytest.approx(entropy, abs=1e-6)
        # one step from pure noise costs what the data's own Gaussian does; the cost of the way down is the rest
        assert cost == pytest.approx(entropy, abs=1e-6)


def test_the_best_bound_is_that_of_the_general_function():
    """Of a DDPM with the exact prediction and the best variances, by the terms of the bound themselves."""
    data, schedule = Clusters(), Schedule.cosine(T=6)
    alpha_bar = schedule.alpha_bar[1:]
    mmses = mmse(data, alpha_bar)
    variance = schedule.beta_tilde + schedule.from_x0.square() * torch.cat((mmses.new_zeros(1), mmses)) / 2

    def exact(xt, t):
        return -(1 - schedule.alpha_bar[t]).sqrt() * data.diffuse(schedule.alpha_bar[t].item()).score(xt)

    ddpm = DDPM(exact, schedule, variance)
    x0 = data.sample(40_000, torch.Generator().manual_seed(1), **float64)
    measured = bound_terms(ddpm, x0, torch.Generator().manual_seed(2)).total
    exactly = best_bound(alpha_bar, mmses, 1 + 2 * 0.08**2)
    assert abs(measured.mean() - exactly) < 4.5 * measured.std() / len(measured) ** 0.5


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_no_other_choice_of_levels_is_cheaper(layers):
    data, levels = Clusters(), log_snr_levels(8)
    mmses, second = mmse(data, levels), 1 + 2 * 0.08**2

    def bound(chosen):
        chosen = list(chosen)
        return best_bound(levels[chosen], mmses[chosen], second)

    free, _ = best_schedule(levels, mmses, layers, second)
    fixed, _ = best_schedule(levels, mmses, layers)
    among = list(combinations(range(8), layers))
    for schedule, allowed in ((free, among), (fixed, [choice for choice in among if choice[-1] == 7])):
        cheapest = min(allowed, key=bound)
        torch.testing.assert_close(schedule.alpha_bar[1:], levels[list(cheapest)])


def test_the_tail_is_a_divergence():
    levels, x0 = log_snr_levels(3), Clusters().sample(1000, torch.Generator().manual_seed(0), **float64)
    second = x0.square().sum(-1).mean().item()
    q = ForwardProcess(best_schedule(levels, 1 - levels, 3)[0])
    prior = gaussian(torch.zeros_like(x0), torch.ones_like(x0))
    exact = kl_divergence(q.marginal(x0, 3), prior).mean().item()
    without = best_bound(levels, 1 - levels, 1e-12) - best_bound(levels, 1 - levels, second)
    assert -without == pytest.approx(levels[-1].item() * second / 2, rel=1e-6)
    noise = levels[-1].item()
    assert exact == pytest.approx((noise * second - 2 * noise - 2 * math.log1p(-noise)) / 2, rel=1e-6)


@pytest.mark.parametrize("last", [1e-7, 0.2, 0.7])
def test_what_the_prior_costs_is_its_divergence_from_the_last_latent(last):
    """For Gaussian data the steps are perfect, so nothing else is left between bound and entropy."""
    data, levels = Normal(0.49), log_snr_levels(5, first=0.99, last=last)
    end = data.diffuse(last).variance
    exact = math.log(2 * math.pi * math.e * 0.49) + end - 1 - math.log(end)
    assert best_bound(levels, data.mmses(levels), 2 * 0.49) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"count": 1}, "count"),
        ({"first": 0.0}, "first"),
        ({"first": 1.0}, "first"),
        ({"first": 1.5}, "first"),
        ({"last": 0.0}, "last"),
        ({"last": -0.5}, "last"),
        ({"last": 0.9}, "last"),
    ],
)
def test_levels_between_what_are_no_levels_are_refused(wrong, named):
    right = {"count": 2, "first": 0.9, "last": 0.1}
    assert log_snr_levels(**right).tolist() == pytest.approx([0.9, 0.1])
    with pytest.raises(ValueError, match=f"{named} must"):
        log_snr_levels(**right | wrong)


LEVELS = [
    [0.9, 0.9], [0.5, 0.9], [0.9, 0.0], [0.9, -0.5], [1.0, 0.5], [1.5, 0.5], [], [[0.9], [0.5]], [[0.9, 0.5]], 0.5,
]  # fmt: skip


@pytest.mark.parametrize("levels", LEVELS)
def test_levels_that_do_not_fall_within_are_refused(levels):
    levels = torch.tensor(levels, **float64)
    for call in (
        lambda: mmse(Normal(0.49), levels),
        lambda: best_schedule(levels, torch.ones_like(levels), 1),
        lambda: best_bound(levels, torch.ones_like(levels), 1.0),
    ):
        with pytest.raises(ValueError, match="levels must"):
            call()


DOUBTS = [[1.0], [1.0, 1.0, 1.0], [[1.0, 1.0]], [0.0, 1.0], [-0.5, 1.0], [math.inf, 1.0], [math.nan, 1.0]]


@pytest.mark.parametrize("mmses", DOUBTS)
def test_mmses_that_do_not_fit_are_refused(mmses):
    levels = torch.tensor([0.9, 0.5], **float64)
    with pytest.raises(ValueError, match="mmses must"):
        best_bound(levels, torch.tensor(mmses, **float64), 1.0)


def test_layers_that_are_none_or_too_many_are_refused():
    levels = torch.tensor([0.9, 0.5], **float64)
    for layers in (0, 3):
        with pytest.raises(ValueError, match="layers must"):
            best_schedule(levels, torch.ones(2, **float64), layers)
