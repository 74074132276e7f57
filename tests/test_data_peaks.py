"""Two peaks on a line: against quadrature, autograd and torch's own mixtures."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, Normal

from diffusion_notes.data import KnownDistribution, Peaks
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.schedule import Schedule

float64 = {"dtype": torch.float64}
LEVELS = [0.97, 0.659, 0.2, 4e-5]


def number(x: float) -> torch.Tensor:
    return torch.tensor([[x]], **float64)


def by_hand(x: torch.Tensor, level: float, noise: float, share: float) -> torch.Tensor:
    centres = math.sqrt(level) * torch.tensor([-1.0, 1.0], **float64)
    each = Normal(centres, math.sqrt(level * noise**2 + 1 - level))
    return MixtureSameFamily(Categorical(torch.tensor([1 - share, share], **float64)), each).log_prob(x.squeeze(-1))


@given(st.floats(0, 1), st.floats(0.02, 0.9), st.floats(0.01, 0.99))
def test_the_density_is_the_mixture(level, noise, share):
    x = torch.linspace(-3, 3, 20, **float64).unsqueeze(-1)
    torch.testing.assert_close(Peaks(noise, share).diffuse(level).log_prob(x), by_hand(x, level, noise, share))


@pytest.mark.parametrize("level", [1.0, *LEVELS])
def test_the_score_is_the_gradient(level):
    q = Peaks(share=0.3).diffuse(level)
    x = torch.linspace(-2, 2, 21, **float64).unsqueeze(-1).requires_grad_()
    (gradient,) = torch.autograd.grad(q.log_prob(x).sum(), x)
    torch.testing.assert_close(q.score(x), gradient)


@pytest.mark.parametrize("far", [1.0, 100.0, 1e4])
def test_the_gradient_is_the_score_in_single_precision_too(far):
    x = torch.tensor([[far], [-0.7 * far]]).requires_grad_()
    (gradient,) = torch.autograd.grad(Peaks().log_prob(x).sum(), x)
    torch.testing.assert_close(gradient, Peaks().score(x.detach().double()).float(), rtol=1e-3, atol=0)


def test_it_is_diffused_step_by_step_as_at_once():
    twice = Peaks(share=0.2).diffuse(0.5).diffuse(0.6)
    torch.testing.assert_close(twice.log_prob(number(0.4)), Peaks(share=0.2).diffuse(0.3).log_prob(number(0.4)))
    assert repr(twice) == "Peaks(noise=0.15, share=0.2).diffuse(0.3)"


@pytest.mark.parametrize("t", [1, 50, 200, 600])
@pytest.mark.parametrize("xt", [-1.3, 0.1, 0.7])
def test_where_it_was_is_bayes_rule(t, xt):
    """By quadrature: the posterior's density is q(x_s) q(x_t | x_s) / q(x_t), and its mean and variance follow."""
    schedule = Schedule.linear(1000)
    peaks = Peaks(share=0.35)
    level = schedule.alpha_bar[t].item()
    for s in {0, t // 2, t - 1}:
        earlier = schedule.alpha_bar[s].item()
        root = math.sqrt(level / earlier)
        step = Normal(torch.tensor(0.0, **float64), math.sqrt(1 - level / earlier))
        before = peaks.diffuse(earlier)

        found = peaks.posterior(number(xt), level, earlier)
        x = torch.linspace(-8, 8, 40_001, **float64)
        joint = (before.log_prob(x.unsqueeze(-1)) + step.log_prob(xt - root * x)).exp()
        density = torch.trapezoid(joint, x)
        exactly = peaks.diffuse(level).log_prob(number(xt)).exp().squeeze()
        torch.testing.assert_close(density, exactly, rtol=1e-8, atol=0)
        ours = found.log_prob(x.unsqueeze(-1)).exp().squeeze()
        torch.testing.assert_close(ours, joint / density, rtol=1e-6, atol=1e-9)
        mean = torch.trapezoid(x * joint, x) / density
        assert found.mean.item() == pytest.approx(mean.item(), abs=1e-8)
        square = torch.trapezoid((x - mean).square() * joint, x) / density
        assert found.variance.item() == pytest.approx(square.item(), rel=1e-6)


def test_with_one_narrow_peak_known_it_is_the_forward_posterior():
    """Where x_0 is known almost exactly, q(x_{t−1} | x_t) is the posterior of the forward process."""
    schedule = Schedule.linear(1000)
    t = 300
    levels = (schedule.alpha_bar[t].item(), schedule.alpha_bar[t - 1].item())
    q = ForwardProcess(schedule).posterior(number(0.4), number(1.0), t)
    found = Peaks(noise=0.0101, share=1 - 1e-9).posterior(number(0.4), *levels)
    assert found.mean.item() == pytest.approx(q.mean.item(), abs=1e-5)
    assert found.mean.item() != pytest.approx(number(0.4).item(), abs=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_the_best_guess_of_the_noise_is_what_is_left_of_that_of_x_0(level):
    xt = torch.linspace(-2, 2, 9, **float64).unsqueeze(-1)
    peaks = Peaks(share=0.6)
    left = (xt - math.sqrt(level) * peaks.posterior(xt, level).mean) / math.sqrt(1 - level)
    torch.testing.assert_close(peaks.expected_noise(xt, level), left)


@pytest.mark.parametrize("level", LEVELS)
def test_no_other_guess_of_the_noise_is_better(level):
    """Against a joint integral: the error of the best guess, and of that guess moved a little."""
    peaks = Peaks(share=0.6)
    doubt = peaks.diffuse(level).expect(lambda x: peaks.posterior(x, level).variance.squeeze(-1))
    smallest = level / (1 - level) * doubt

    def error(moved: float) -> torch.Tensor:
        def given(xt: torch.Tensor) -> torch.Tensor:
            guess = (xt - math.sqrt(1 - level) * (peaks.expected_noise(xt, level) + moved)) / math.sqrt(level)
            p = peaks.posterior(xt, level)
            return (p.variance + (p.mean - guess).square()).squeeze(-1)

        return level / (1 - level) * peaks.diffuse(level).expect(given)

    torch.testing.assert_close(error(0.0), smallest)
    torch.testing.assert_close(error(0.1), smallest + 0.01)


@pytest.mark.parametrize("level", [1.0, *LEVELS])
def test_expectations_are_exact(level):
    q = Peaks(0.2, 0.7).diffuse(level)
    one, mean, square = q.expect(lambda x: torch.cat((x**0, x, x**2), -1))
    assert one.item() == pytest.approx(1, abs=1e-12)
    assert mean.item() == pytest.approx(0.4 * math.sqrt(level), abs=1e-12)
    assert square.item() == pytest.approx(level * (1 + 0.2**2) + 1 - level, abs=1e-12)


def test_it_is_a_known_distribution():
    assert isinstance(Peaks(), KnownDistribution)
    assert repr(Peaks()) == "Peaks(noise=0.15, share=0.5)"


def test_what_lies_before_must_have_less_noise():
    for earlier in (0.5, 0.4):
        with pytest.raises(ValueError, match=r"earlier must be larger than alpha_bar, got 0\.[45] and 0.5"):
            Peaks().posterior(number(0.1), 0.5, earlier)
    with pytest.raises(ValueError, match="posterior must be asked of clean peaks"):
        Peaks().diffuse(0.5).posterior(number(0.1), 0.5)


def test_points_keep_their_axes():
    x = torch.zeros(2, 3, 1)
    assert Peaks().log_prob(x).shape == (2, 3)
    assert Peaks().score(x).shape == Peaks().posterior(x, 0.5).mean.shape == (2, 3, 1)
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 1\)"):
        Peaks().log_prob(torch.zeros(3, 2))
