"""What samples are measured by: scores that are known beforehand, and who has learned the points by heart."""

from __future__ import annotations

import pytest
import torch

from diffusion_notes import measured
from diffusion_notes.data import KernelDensity
from diffusion_notes.swiss_roll import SwissRoll


def test_the_floor_and_what_is_wrong_are_told_apart():
    x = SwissRoll().sample(5000, torch.Generator().manual_seed(1))
    floor, shifted = measured.scores(x), measured.scores(x + torch.tensor([0.15, 0.0]))
    assert abs(floor["KL500"]) < 0.015  # its standard deviation is 0.0032
    assert floor["off the spiral"] == pytest.approx(0.0027, abs=0.003)
    for measure in floor:
        assert shifted[measure] > 3 * floor[measure], measure
    assert shifted["sliced distance"] == pytest.approx(0.15 / 2**0.5, rel=0.2)


def test_who_has_learned_the_points_by_heart_draws_all_of_them_and_nothing_else():
    points = SwissRoll().sample(10, torch.Generator().manual_seed(3))
    copied = measured.memorised(points, 100, torch.Generator())
    assert {tuple(point) for point in copied.tolist()} == {tuple(point) for point in points.tolist()}


def test_who_blurs_the_points_draws_from_their_kernel_density():
    points = SwissRoll().sample(500, torch.Generator().manual_seed(3))
    blurred = measured.smoothed(points, 4000, torch.Generator().manual_seed(4))
    estimate = KernelDensity(points.double())
    assert blurred.dtype == points.dtype
    apart = torch.cdist(blurred.double(), points.double()).min(1).values
    assert 0.3 * estimate.width < apart.mean() < 1.2 * estimate.width
    assert measured.REFERENCES["kernel density"] is measured.smoothed
