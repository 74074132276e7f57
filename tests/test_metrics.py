"""Measures of samples, against brute force and against what is known of their floors."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from scipy import stats

from diffusion_notes.metrics import band_width, binned_kl, kl_from_counts, plug_in_kl, stray_share
from diffusion_notes.swiss_roll import SwissRoll

# of points, and of the standard roll
MEASURES = [
    SwissRoll().nearest,
    partial(stray_share, data=SwissRoll()),
    partial(band_width, roll=SwissRoll()),
    partial(binned_kl, data=SwissRoll()),
]


def test_nearest_is_nearest(generator):
    x = 2 * torch.randn(300, 2, generator=generator, dtype=torch.float64)
    u, way = SwissRoll().nearest(x)
    everywhere = SwissRoll().spiral(torch.linspace(0, 1, 100_001, dtype=torch.float64))
    torch.testing.assert_close(way.norm(dim=-1), torch.cdist(x, everywhere).amin(-1), rtol=0, atol=1e-6)
    torch.testing.assert_close(SwissRoll().spiral(u) + way, x)
    assert ((u >= 0) & (u <= 1)).all()


def test_points_on_the_spiral_are_found(generator):
    """To half of the last step, which is a fifth of 0.008 of a two-hundredth."""
    u = torch.rand(20_000, generator=generator, dtype=torch.float64)
    found, way = SwissRoll().nearest(SwissRoll().spiral(u))
    torch.testing.assert_close(found, u, rtol=0, atol=4.001e-6)
    assert way.abs().max() < 1e-4


def test_the_floor_of_true_samples(generator):
    measured = torch.tensor([binned_kl(SwissRoll().sample(10_000, generator), SwissRoll()) for _ in range(20)])
    assert abs(measured.mean()) < 0.0015
    # the spread of (χ² − df) / 2n with df = 499
    assert measured.std().item() == pytest.approx(math.sqrt(2 * 499) / 20_000, rel=0.5)
    share = stray_share(SwissRoll().sample(200_000, generator), SwissRoll())
    assert share == pytest.approx(2 * stats.norm.sf(3), rel=0.1)


def test_a_memoriser_is_caught(generator):
    """Resampling n points doubles the variance of every count: χ² is 2 df, so the mean is df / 2n."""
    measured = []
    for _ in range(20):
        x = SwissRoll().sample(10_000, generator)
        measured.append(binned_kl(x[torch.randint(10_000, (10_000,), generator=generator)], SwissRoll()))
    assert sum(measured) / 20 == pytest.approx(499 / 20_000, abs=0.002)


def test_half_of_the_roll_costs_log_two_or_more(generator):
    """Samples from one half of the cells only: χ² is known, and KL is log 2."""
    x = SwissRoll().sample(40_000, generator)
    half = x[SwissRoll().nearest(x)[0] < 0.5]
    assert binned_kl(half, SwissRoll()) == pytest.approx(0.5, abs=0.03)  # χ² / 2n for doubling and emptying


def test_samples_that_are_too_tight_or_too_wide_are_told_from_true_ones(generator):
    x = SwissRoll().sample(10_000, generator)
    u, way = SwissRoll().nearest(x)
    for factor in (0.8, 1.25):
        assert binned_kl(SwissRoll().spiral(u) + factor * way, SwissRoll()) > 0.01


def test_the_width_of_the_band_is_the_noise_and_strays_do_not_count(generator):
    x = SwissRoll().sample(200_000, generator)
    assert band_width(x, SwissRoll()) == pytest.approx(0.05, rel=0.01)
    u, way = SwissRoll().nearest(x)
    assert band_width(SwissRoll().spiral(u) + 0.7 * way, SwissRoll()) == pytest.approx(0.035, rel=0.01)
    x[:2000] += 1.0
    assert band_width(x, SwissRoll()) == pytest.approx(0.05, rel=0.03)


def test_another_roll_has_its_own_cells(generator):
    other = SwissRoll(noise=0.02, scale=0.05)
    x = other.sample(10_000, generator)
    assert abs(binned_kl(x, other)) < 0.006
    assert binned_kl(x, SwissRoll()) > 1
    assert stray_share(x, other) == pytest.approx(0.0027, abs=0.002)


def test_how_far_is_too_far(generator):
    x = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    distance = SwissRoll().nearest(x)[1].norm(dim=-1)
    assert (
        stray_share(x, SwissRoll(), further_than=distance.median().item()) == 0.5
    )  # and the median itself is not further
    assert stray_share(x, SwissRoll()) == (distance > 0.15).double().mean().item()


def test_fifty_pieces_of_ten_strips(generator):
    x = SwissRoll().sample(1000, generator)
    assert binned_kl(x, SwissRoll()) == kl_from_counts(*SwissRoll().cells(x, along=50, across=10))


def test_what_is_far_out_is_in_the_last_cell(generator):
    """All n in one of k cells: χ² is (k − 1) n."""
    u = SwissRoll().spiral(torch.rand(100, generator=generator, dtype=torch.float64))
    beyond_the_end = SwissRoll().spiral(torch.tensor([1.2], dtype=torch.float64)).expand(100, 2)
    strips, pieces = {"along": 1, "across": 4}, {"along": 4, "across": 1}
    for x, cells in ((3 * u, strips), (0 * u, strips), (beyond_the_end, pieces)):
        assert kl_from_counts(*SwissRoll().cells(x, **cells)) == pytest.approx((3 * 100 - 3) / (2 * 100))


def test_the_count_is_in_every_cell_once(generator):
    x = SwissRoll().sample(5000, generator)
    assert kl_from_counts(*SwissRoll().cells(x, along=1, across=1)) == 0


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("x", "error"),
    [
        (torch.zeros(0, 2), ValueError),
        (torch.zeros(2), ValueError),
        (torch.zeros(3, 3), ValueError),
        (torch.zeros(3, 2, dtype=torch.int), TypeError),
        ([[0.0, 0.0]], TypeError),
    ],
)
def test_bad_input_is_named(measure, x, error):
    with pytest.raises(error, match="x must"):
        measure(x)


def test_points_that_are_no_numbers_are_refused():
    for measure in MEASURES:
        with pytest.raises(ValueError, match="x must be finite"):
            measure(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match="nearest must be asked of a clean roll, and this one is diffused"):
        binned_kl(torch.zeros(1, 2), SwissRoll().diffuse(0.5))
    with pytest.raises(ValueError, match="along must be at least 1"):
        SwissRoll().cells(torch.zeros(1, 2), along=0)
    with pytest.raises(ValueError, match="across must be at least 1"):
        SwissRoll().cells(torch.zeros(1, 2), across=0)
    with pytest.raises(ValueError, match="further_than must be positive"):
        stray_share(torch.zeros(1, 2), SwissRoll(), further_than=-1.0)


def test_every_number_of_a_cell_is_one_and_no_other():
    """All n in one of k cells: χ² is (k − 1) n."""
    for cell in range(4):
        assert kl_from_counts(torch.full((5,), cell), 4) == pytest.approx((3 * 5 - 3) / 10)
    assert kl_from_counts(torch.tensor([0]), 1) == 0
    for number in (-2, -1, 4, 5, 400):
        with pytest.raises(ValueError, match=r"^cell must lie in 0, \.\.\., 3, and"):
            kl_from_counts(torch.tensor([0, number, 3]), 4)


@pytest.mark.parametrize("cell", [[0, 1], torch.zeros(3), torch.zeros(3, dtype=torch.int32), None, "0"])
def test_numbers_of_cells_are_whole(cell):
    with pytest.raises(TypeError, match=r"^cell must be a tensor of int64, got"):
        kl_from_counts(cell, 4)


@pytest.mark.parametrize("shape", [(), (0,), (2, 2), (0, 2), (1, 1)])
def test_there_is_one_number_for_each_point(shape):
    with pytest.raises(ValueError, match=r"^cell must be of shape \(n,\) with n at least 1, got"):
        kl_from_counts(torch.zeros(shape, dtype=torch.long), 4)


@pytest.mark.parametrize(("cells", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_the_number_of_cells_is_a_number(cells, error):
    with pytest.raises(error, match=r"^cells must"):
        kl_from_counts(torch.zeros(3, dtype=torch.long), cells)


def test_the_plug_in_divergence_is_the_other_where_it_is_small_and_bounded_where_it_is_not(generator):
    share = torch.linspace(0.8, 1.2, 50, dtype=torch.float64)
    exact = (share / 50 * share.log()).sum().item()
    cell = torch.multinomial(share, 200_000, replacement=True, generator=generator)
    assert plug_in_kl(cell, 50) == pytest.approx(exact, abs=4.5 * (2 * 49) ** 0.5 / 400_000 + 0.0005)
    assert plug_in_kl(cell, 50) == pytest.approx(kl_from_counts(cell, 50), rel=0.03)
    one = torch.zeros(1000, dtype=torch.long)
    assert plug_in_kl(one, 100) == pytest.approx(math.log(100) - 99 / 2000)
    assert kl_from_counts(one, 100) > 40


def test_the_plug_in_divergence_of_true_samples_is_zero_on_average():
    generator = torch.Generator().manual_seed(0)
    found = [plug_in_kl(torch.randint(100, (4000,), generator=generator), 100) for _ in range(400)]
    assert abs(sum(found) / 400) < 4.5 * (2 * 99) ** 0.5 / 8000 / 20 + 5e-5
