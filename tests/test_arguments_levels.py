"""The checks of times, noise levels and tables: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_notes._arguments.levels import check_times, checked_alpha_bar, checked_table
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll


def test_noise_levels():
    assert checked_alpha_bar(1) == 1.0
    assert type(checked_alpha_bar(np.float32(0.5))) is float
    level = torch.tensor([0.0, 0.5, 1.0])
    assert checked_alpha_bar(level) is level
    for bad in (-0.1, 1.1, math.nan, torch.tensor([0.5, math.nan])):
        with pytest.raises(ValueError, match="alpha_bar must be between 0 and 1"):
            checked_alpha_bar(bad)
    for bad in ("1", None, True):
        with pytest.raises(TypeError, match="alpha_bar must be a number or a floating-point tensor"):
            checked_alpha_bar(bad)
    with pytest.raises(TypeError, match="alpha_bar must be a floating-point tensor"):
        checked_alpha_bar(torch.tensor(1))


def test_times_are_in_range_and_fit_the_points():
    x = torch.zeros(3, 2)
    for good in (1, 10, torch.tensor([1, 10, 5]), torch.tensor([7])):
        assert check_times(good, x, 1, 10) is good
    assert type(check_times(np.int64(10), x, 1, 10)) is int
    for bad in (0, 11, torch.tensor([1, 11, 5]), torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="t must"):
            check_times(bad, x, 1, 10)
    for bad in (True, 1.0, "1", np.float64(1), torch.ones(3), torch.ones(3, dtype=torch.bool)):
        with pytest.raises(TypeError, match="t must be an integer"):
            check_times(bad, x, 1, 10)
    check_times(torch.tensor([1, 11, 5]), x, 1, 10, look=False)


def test_the_ends_of_a_table_are_named():
    for bad in (0.0, 1e-300, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"beta\[1\], ..., beta\[T\] must lie strictly between 1e-100 and 1, and"):
            checked_table("beta", torch.tensor([0, bad], dtype=torch.float64), above=1e-100, below=1)
    for bad in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"must be positive and finite, and some"):
            checked_table("variance", torch.tensor([0, bad]))
    with pytest.raises(ValueError, match="beta must hold values, got a tensor on meta"):
        checked_table("beta", torch.zeros(3, device="meta"))


def test_each_point_of_vmap_may_have_its_time():
    """There nothing is looked at."""
    q = ForwardProcess(Schedule.linear(T=10))
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([1, 10, 5, 5])
    each = torch.vmap(lambda x, t: q.marginal(x, t).mean)(x, t)
    torch.testing.assert_close(each, q.marginal(x, t).mean)
    slopes = torch.vmap(torch.func.grad(lambda x, t: q.marginal(x, t).mean.sum()))(x, t)
    torch.testing.assert_close(slopes, q.schedule.sqrt_alpha_bar[t].float().unsqueeze(-1).expand(4, 2))
    level = torch.tensor([0.1, 0.5, 0.9, 1.0])
    scores = torch.vmap(lambda x, level: SwissRoll().diffuse(level).score(x))(x, level)
    torch.testing.assert_close(scores, SwissRoll().diffuse(level).score(x))
