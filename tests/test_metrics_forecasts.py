"""Scores of forecasts: against closed forms, scipy's integrals and brute force."""

from __future__ import annotations

import pytest
import scipy.integrate
import scipy.stats
import torch

from diffusion_notes import metrics


def test_the_crps_of_an_ensemble_is_unbiased_for_that_of_its_law():
    """A Gaussian law, whose score is known in closed form; scipy's integral beside it."""
    y = torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64)
    members = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    normal = scipy.stats.norm()
    for each, came in zip(metrics.crps(members, y), y.tolist(), strict=True):
        below, _ = scipy.integrate.quad(lambda u: normal.cdf(u) ** 2, -12, came)
        above, _ = scipy.integrate.quad(lambda u: normal.sf(u) ** 2, came, 12)
        assert each.item() == pytest.approx(below + above, abs=0.03)
    few = members.reshape(2000, 2, 3).transpose(0, 1).flatten(1)  # two members a case
    average = metrics.crps(few, y.repeat(2000)).unflatten(0, (2000, 3)).mean(0)
    torch.testing.assert_close(average, metrics.crps(members, y), atol=0.04, rtol=0)


def test_the_crps_is_the_energy_score_on_a_line():
    generator = torch.Generator().manual_seed(1)
    members = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(5, generator=generator, dtype=torch.float64)
    by_hand = [
        sum(abs(m - came) for m in row) / 7 - sum(abs(a - b) for a in row for b in row) / (2 * 7 * 6)
        for row, came in zip(members.T.tolist(), y.tolist(), strict=True)
    ]
    torch.testing.assert_close(metrics.crps(members, y), torch.tensor(by_hand, dtype=torch.float64))
    torch.testing.assert_close(metrics.energy_score(members.unsqueeze(-1), y.unsqueeze(-1)), metrics.crps(members, y))


def test_the_energy_score_is_half_the_energy_distance_of_its_cases():
    """For draws of one case against a single point, without the pairs of a member with itself."""
    generator = torch.Generator().manual_seed(2)
    members = torch.randn(50, 1, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    distance = metrics.energy_distance(members[:, 0], y)
    within = torch.pdist(members[:, 0]).mean().item()
    known = distance / 2 + within * 49 / 50 / 2 - within / 2
    assert metrics.energy_score(members, y).item() == pytest.approx(known, rel=1e-12)


def test_the_truth_has_the_lowest_score():
    generator = torch.Generator().manual_seed(3)
    y = torch.randn(4000, generator=generator)
    normal = torch.randn(60, 4000, generator=generator)
    scores = [
        metrics.crps(spread * normal + shift, y).mean() for spread, shift in ((1, 0), (0.6, 0), (1.6, 0), (1, 0.4))
    ]
    assert min(scores) == scores[0]


def test_ranks_of_the_truth_are_even():
    generator = torch.Generator().manual_seed(4)
    y = torch.randn(20_000, generator=generator)
    rank = metrics.ranks(torch.randn(9, 20_000, generator=generator), y)
    count = torch.bincount(rank, minlength=10)
    assert len(count) == 10
    assert scipy.stats.chisquare(count.numpy()).pvalue > 0.01
    narrow = torch.bincount(metrics.ranks(0.5 * torch.randn(9, 20_000, generator=generator), y), minlength=10)
    assert narrow[0] + narrow[9] > 2 * count[0] + count[9]
