"""The checks of times, noise levels and tables: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_notes._arguments.levels import check_times, checked_alpha_bar


def test_noise_levels():
    assert checked_alpha_bar(1) == 1.0
    level = torch.tensor([0.0, 0.5, 1.0])
    assert checked_alpha_bar(level) is level
    for bad in (-0.1, 1.1, math.nan, torch.tensor([0.5, math.nan])):
        with pytest.raises(ValueError, match=r"alpha_bar must lie in \[0, 1\]"):
            checked_alpha_bar(bad)
    for bad in ("1", None, True, torch.tensor(1)):
        with pytest.raises(TypeError, match="alpha_bar must be a number or a floating-point tensor"):
            checked_alpha_bar(bad)


def test_times_are_in_range_and_fit_the_points():
    x = torch.zeros(3, 2)
    for good in (1, 10, torch.tensor([1, 10, 5]), torch.tensor([7])):
        check_times(good, x, 1, 10)
    for bad in (0, 11, torch.tensor([1, 11, 5]), torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="t must"):
            check_times(bad, x, 1, 10)
    check_times(torch.tensor([1, 11, 5]), x, 1, 10, look=False)
