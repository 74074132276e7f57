"""The kicked oscillator: its law against its draws, and against the formula by hand."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from diffusion_notes.data import KickedOscillator

float64 = {"dtype": torch.float64}
CLOCK = KickedOscillator()


def test_the_law_is_the_formula():
    before, last, x = 0.3, -0.5, 0.1
    clock = KickedOscillator(kick=0.5, noise=0.2, period=8, damping=0.9, gain=2.0)
    centre = 2 * 0.9 * math.cos(2 * math.pi / 8) * last - 0.9**2 * before
    right = 1 / (1 + math.exp(-2.0 * (last - before)))
    density = (1 - right) * scipy.stats.norm.pdf(x, centre - 0.5, 0.2) + right * scipy.stats.norm.pdf(
        x, centre + 0.5, 0.2
    )
    law = clock.given(torch.tensor([[before, last]], **float64))
    assert law.log_prob(torch.tensor([[x]], **float64)).item() == pytest.approx(math.log(density), rel=1e-12)


def test_what_follows_is_drawn_from_the_law():
    history = torch.tensor([[0.8, 0.5]], **float64).expand(20_000, 2)
    after = CLOCK.follow(history, 2, torch.Generator().manual_seed(0))
    first = CLOCK.given(history).cdf(after[:, :1])
    second = CLOCK.given(torch.stack((history[:, 1], after[:, 0]), 1)).cdf(after[:, 1:])
    for uniform in (first, second):
        assert scipy.stats.kstest(uniform.numpy(), "uniform").pvalue > 0.01
    assert abs(torch.corrcoef(torch.stack((first, second)))[0, 1]) < 0.03


def test_following_is_the_law_one_after_the_other():
    """With hardly any noise, and a direction that decides, nothing is left to chance."""
    clock = KickedOscillator(noise=1e-9, gain=9.9)
    history = torch.tensor([[-30.0, 10.0]], **float64)
    path = torch.cat((history, clock.follow(history, 3, torch.Generator().manual_seed(0))), 1)[0]
    for k in range(3):
        mean, std = clock.given(path[None, k : k + 2]).moments()
        assert std < 1e-6
        assert path[k + 2] == pytest.approx(mean.item(), abs=1e-7)


def test_it_swings_for_ever():
    series = CLOCK.series(4000, 61, torch.Generator().manual_seed(0), **float64)
    assert series.shape == (4000, 61)
    early, late = series[:, 0].std(), series[:, -1].std()
    assert early == pytest.approx(late.item(), rel=0.05)
    assert 1.1 < early < 1.3
    assert abs(series.mean()) < 0.05
    half = (series[:, :-5] * series[:, 5:]).mean() / series.square().mean()
    assert half < -0.5  # half a period later it is on the other side


def test_no_gaussian_is_near():
    series = CLOCK.series(20_000, 3, torch.Generator().manual_seed(1), **float64)
    law = CLOCK.given(series[:, :2])
    mean, std = law.moments()
    gaussian = torch.distributions.Normal(mean, std).log_prob(series[:, 2:]).sum(-1)
    assert 0.65 < (law.log_prob(series[:, 2:]) - gaussian).mean() < 0.8


def test_it_says_what_it_is():
    assert repr(CLOCK) == "KickedOscillator(kick=0.4, noise=0.1, period=10, damping=0.8, gain=1)"
