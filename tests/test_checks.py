"""The checks themselves: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes.checks import check_integer, check_positive, describe
from diffusion_notes.schedule_checks import checked_alpha_bar
from diffusion_notes.tensor_checks import check_points, check_tensor


@given(st.integers(), st.integers())
def test_integers(value, least):
    if value >= least:
        check_integer("n", value, least)
    else:
        with pytest.raises(ValueError, match=f"n must be at least {least}, got {value}"):
            check_integer("n", value, least)


@given(st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.binary()))
def test_what_is_no_integer(value):
    with pytest.raises(TypeError, match="n must be an integer"):
        check_integer("n", value, 0)


@given(st.one_of(st.floats(), st.integers()))
def test_positive_numbers(value):
    if 0 < value < math.inf:
        check_positive("s", value)
    else:
        with pytest.raises(ValueError, match="s must be positive and finite"):
            check_positive("s", value)


@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0)])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="s must be a number"):
        check_positive("s", value)


def test_tensors_and_points():
    check_tensor("x", torch.zeros(()))
    check_points("x", torch.zeros(0, 3))
    check_points("x", torch.zeros(1, 3), dim=3, least=1)
    for bad in (torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.bool), 1.0, [1.0], "x"):
        with pytest.raises(TypeError, match="x must be a floating-point tensor"):
            check_points("x", bad)
    for bad, words in (
        (torch.zeros(3), r"\(n, D\), got \(3,\)"),
        (torch.zeros(2, 0), r"\(n, D\)"),
        (torch.zeros(1, 2, 3), r"got \(1, 2, 3\)"),
    ):
        with pytest.raises(ValueError, match=words):
            check_points("x", bad)
    with pytest.raises(ValueError, match=r"\(n, 3\), got \(1, 2\)"):
        check_points("x", torch.zeros(1, 2), dim=3)
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        check_points("x", torch.zeros(1, 2), least=2)


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


def test_descriptions_are_short():
    assert describe(torch.zeros(1000)) == "a torch.float32 tensor of shape (1000,)"
    assert len(describe("x" * 1000)) < 80
