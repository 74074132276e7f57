"""The distances between samples, against SciPy, against closed forms, and against what they must be blind to."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from diffusion_notes.metrics import energy_distance, sliced_distance
from diffusion_notes.swiss_roll import SwissRoll

float64 = {"dtype": torch.float64}


def points(n: int, seed: int, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
    """Of a Gaussian in the plane."""
    return mean + std * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), **float64)


def test_energy_distance_is_that_of_scipy():
    """SciPy knows it on a line, as the square root of half of it; there D = 1."""
    x, y = points(50, 0)[:, :1], points(70, 1, mean=1.0)[:, :1]
    half = stats.energy_distance(x.squeeze(-1).numpy(), y.squeeze(-1).numpy()) ** 2
    assert energy_distance(x, y) == pytest.approx(half, rel=1e-10)


def test_energy_distance_is_its_definition_in_the_plane(monkeypatch):
    """Also where the points come in several blocks, of which the last is shorter."""
    monkeypatch.setattr("diffusion_notes.metrics._BLOCK", 7)
    x, y = points(30, 2), points(20, 3, std=2.0)

    def mean(a, b):
        return sum(math.dist(p, q) for p in a.tolist() for q in b.tolist()) / len(a) / len(b)

    assert energy_distance(x, y) == pytest.approx(2 * mean(x, y) - mean(x, x) - mean(y, y), rel=1e-10)


def test_energy_distance_of_near_points_does_not_cancel():
    far = torch.tensor([[1000.0, 1000.0]])
    near = far + torch.tensor([[0.0, 2.0**-7]])
    assert energy_distance(far, near) == 2.0**-6


def test_sliced_distance_of_gaussians_is_in_the_closed_form():
    """Along each line: W_2² = (difference of the means)² + (difference of the deviations)²; half of the first shows."""
    x, y = points(20_000, 4), points(20_000, 5, mean=0.3, std=1.5)
    assert sliced_distance(x, y) == pytest.approx(math.sqrt(0.5 * 2 * 0.3**2 + 0.5**2), rel=0.02)


def test_sliced_distance_is_that_of_the_pairs_along_each_line():
    x, y = points(40, 6), points(40, 7)
    squares = []
    for k in range(180):
        way = torch.tensor([math.cos(math.pi * k / 180), math.sin(math.pi * k / 180)], **float64)
        squares += [(a - b) ** 2 for a, b in zip(sorted((x @ way).tolist()), sorted((y @ way).tolist()), strict=True)]
    assert sliced_distance(x, y) == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-10)


@pytest.mark.parametrize("distance", [sliced_distance, energy_distance])
def test_order_does_not_matter_and_other_data_are_further_than_true_ones(distance):
    one, two, three = (SwissRoll().sample(2000, torch.Generator().manual_seed(seed), **float64) for seed in range(3))
    assert distance(one, one.flip(0)) == pytest.approx(0, abs=1e-12)
    assert distance(one, two) == pytest.approx(distance(two, one))
    floor = max(distance(one, two), distance(one, three), distance(two, three))
    assert distance(one, two + 0.2) > 2 * floor > 0
    assert distance(one, 1.2 * two) > 2 * floor
